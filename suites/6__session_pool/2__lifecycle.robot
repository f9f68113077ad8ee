*** Settings ***
Documentation    A session begins with its identifier's first call and ends some time after the last one.
...              The pool's clock is moved; nobody waits.

Resource         ../../resources/session_pool.resource

Test Setup       Share Session Pool

Test Tags        phase-2    contract    rehearsal

Name             Lifecycle


*** Test Cases ***
First Call Allocates And Second Reuses
    Program Should Be Served By A New Session    alice
    Program Should Be Served By The Same Session    alice

Every Identifier Has A Session Of Its Own
    Program Should Be Served By A New Session    alice
    Program Should Be Served By A New Session    bob
    Program Should Be Served By The Same Session    alice
    Sessions Held Should Be    2

Identifiers That Look Alike Have Sessions Of Their Own
    [Documentation]    They differ in case, in a hyphen, or in their last character of many.
    Fill The Pool    alice    ALICE    al-ice
    ...    one-identifier-of-more-than-32-characters    one-identifier-of-more-than-32-characterz
    Sessions Held Should Be    5

Longest Identifier Has A Session
    [Documentation]    With the token of the test it has 128 characters.
    Program Should Be Served By A New Session
    ...    an-identifier-may-have-as-many-as-128-characters-and-this-one-has-all-of-them-and-is-served-as-any-others

Session That Is Used Again And Again Goes On
    Program Should Be Served By A New Session    alice
    Session Should Stay While It Is Used    alice    times=6

Session Is Listed While It Lives
    Program Should Be Served By A New Session    alice
    Session Should Be Listed    alice
    Move Pool Clock    301
    Session Should Not Be Listed    alice

Pool Lists The Sessions That It Holds And No Others
    Fill The Pool    alice    bob
    List Of Sessions Should Be    alice    bob
    Stop Session    alice
    List Of Sessions Should Be    bob

Session Tells When It Was Used Last
    [Documentation]    Its beginning stays, its end moves along.
    Program Should Be Served By A New Session    alice
    Move Pool Clock    100
    Program Should Be Served By The Same Session    alice
    Session Should Tell Its Use    alice    age=100    cooldown=300

Session Tells When It Ends
    [Documentation]    As ``expiresAt``, where the specification and built-in pools say ``expireAt``.
    Program Should Be Served By A New Session    alice
    Session Should Tell Its End As    alice    expiresAt

Session Is Reused Within Its Cooldown
    Program Should Be Served By A New Session    alice
    Move Pool Clock    290
    Program Should Be Served By The Same Session    alice

Session Is Gone After Its Cooldown
    Program Should Be Served By A New Session    alice
    Move Pool Clock    301
    Program Should Be Served By A New Session    alice

Each Call Restarts The Cooldown
    Program Should Be Served By A New Session    alice
    Move Pool Clock    200
    Program Should Be Served By The Same Session    alice
    Move Pool Clock    200
    Program Should Be Served By The Same Session    alice

Looking At A Session Does Not Keep It
    [Documentation]    Only calls of the session restart its cooldown.
    Program Should Be Served By A New Session    alice
    Move Pool Clock    200
    Session Should Be Listed    alice
    Move Pool Clock    200
    Program Should Be Served By A New Session    alice

Stop Call Ends No Other Session
    Fill The Pool    alice    bob
    Stop Session    alice
    Program Should Be Served By The Same Session    bob

Stop Call Ends A Session At Once
    Program Should Be Served By A New Session    alice
    Stop Session    alice
    Session Should Not Be Listed    alice
    Program Should Be Served By A New Session    alice

Stop Call For An Unknown Identifier Is Refused
    [Documentation]    With 400, not with 404.
    Try To Stop Session    nobody
    Pool Should Have Refused    400    SessionWithIdentifierNotFound

Session Ends With Its Container
    Share Session Pool    max_alive=6000
    Program Should Be Served By A New Session    alice
    Move Pool Clock    5000
    Program Should Be Served By The Same Session    alice
    Container Exits    alice
    Program Should Be Served By A New Session    alice

Session Ends At Its Greatest Age However Often It Is Called
    Share Session Pool    max_alive=6000
    Program Should Be Served By A New Session    alice
    Move Pool Clock    5900
    Program Should Be Served By The Same Session    alice
    Move Pool Clock    200
    Program Should Be Served By A New Session    alice

Without A Ready Session The First Call Waits For A Cold Start
    [Documentation]    The plan's cheapest pool keeps no session ready.
    [Tags]    P1
    Start Session Pool    ready_sessions=0    start_time=1
    Program Should Be Served By A New Session    alice
    Call Should Have Waited For An Instance    seconds=1
    Program Should Be Served By The Same Session    alice

With A Ready Session The First Call Does Not Wait
    [Documentation]    The instance has started before anybody called; another takes its place.
    [Tags]    P1
    Start Session Pool    ready_sessions=1    start_time=10
    Let Instances Start    1
    Program Should Be Served By A New Session    alice
    Call Should Have Met A Ready Instance    seconds=10
    Let Instances Start    1
