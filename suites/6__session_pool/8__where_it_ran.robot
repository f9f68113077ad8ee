*** Settings ***
Documentation    Code runs in the sessions of the pool, by evidence: the pool's own list of sessions, and a program
...              that finds itself in the same surroundings through the target and directly in the pool. What the
...              target says of itself does not count. Where no pool is known, the claim is not proven.

Resource         ../../resources/where_it_ran.resource

Test Tags        phase-2    contract

Name             Where It Ran


*** Test Cases ***
Pool Lists The Session That Ran The Program
    [Documentation]    Of the sessions that the target's pool lists, one is new or was used when the target executed.
    Requires Session Pool
    Session List Should Show Use

Backend And Pool Agree On Where Code Runs
    [Documentation]    The program's fingerprint through the backend and directly in the pool agree.
    Requires Session Pool
    Requires Backend In Front Of Pool
    Program Should Find Itself In The Pool

No Answer Of This Run Came From A Fallback
    [Documentation]    Counts all executions of the run so far, of which there are many when this suite is its last.
    Requires Session Pool
    No Execution Should Have Been Degraded

Code Ran In The Session That The Backend Names
    [Documentation]    The session that an answer names is the one that the pool's list shows, and the program's
    ...    fingerprint there is the same.
    [Tags]    rehearsal
    Use Private Pool
    Use Private Backend
    Execute Through Private Backend
    Program Should Have Run In The Pool
    Session List Should Agree

Backend That Never Asks The Pool Is Told By The Session List
    [Tags]    rehearsal
    Use Private Pool
    Use Private Backend    in_pool=${False}
    Execute Through Private Backend
    Run Keyword And Expect Error    *that moved: none*    Session List Should Agree

Backend That Falls Back On Its Own Host Is Told By The Session List
    [Documentation]    The pool is up and refuses the backend, which may fall back: no session of the pool moves.
    [Tags]    rehearsal
    Pool Refuses A Backend    fallback=${True}
    Execute Through Private Backend
    Run Keyword And Expect Error    *that moved: none*    Session List Should Agree
