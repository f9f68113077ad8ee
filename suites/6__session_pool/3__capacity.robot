*** Settings ***
Documentation    A pool has a greatest number of sessions. Beyond it a new identifier is refused with 429, and the
...              suite says what is likely to have used the sessions up.

Resource         ../../resources/session_pool.resource

Test Setup       Share Session Pool    max_sessions=2

Test Tags        phase-2    contract    rehearsal

Name             Capacity


*** Test Cases ***
Identifier Beyond The Maximum Is Refused And Diagnosed
    [Documentation]    The cause and the cure are in the log.
    [Tags]    R2
    Fill The Pool    alice    bob
    Program Should Be Refused For Want Of Capacity    carol
    Refusal Should Be Explained    C1    reuse one identifier per user or worker
    Sessions Held Should Be    2

Ready Sessions Do Not Raise The Maximum
    Start Session Pool    max_sessions=3    ready_sessions=2
    Fill The Pool    alice    bob    carol
    Program Should Be Refused For Want Of Capacity    dave

Full Pool Still Serves Those Who Have A Session
    Fill The Pool    alice    bob
    Program Should Be Refused For Want Of Capacity    carol
    Program Should Be Served By The Same Session    alice

Full Pool Recovers After The Cooldown
    Fill The Pool    alice    bob
    Program Should Be Refused For Want Of Capacity    carol
    Move Pool Clock    301
    Program Should Be Served By A New Session    carol

Stopped Session Makes Room At Once
    Fill The Pool    alice    bob
    Program Should Be Refused For Want Of Capacity    carol
    Stop Session    bob
    Program Should Be Served By A New Session    carol

One Identifier Per Call Drains The Pool
    [Documentation]    The commonest mistake: each call holds a session for a whole cooldown, although it needs it
    ...    for a moment only.
    [Tags]    R2    P5
    Execute With A New Identifier Per Call    10
    Calls Served Should Be    2
    Sessions Held Should Be    2
    Refusal Should Be Explained    C1    reuse one identifier per user or worker

One Identifier For All Calls Holds One Session
    [Tags]    P5
    Execute With One Identifier    6
    Calls Served Should Be    6
    Sessions Held Should Be    1

Full Built-In Pool Is Diagnosed Likewise
    [Documentation]    Its body is flat, as reported of built-in pools.
    [Tags]    R2
    Start Session Pool    kind=python    max_sessions=2    when_full=flat
    Execute With A New Identifier Per Call    3
    Calls Served Should Be    2
    Pool Should Have Refused    429    "code": "SessionsCountExceedsLimit"
    Refusal Should Be Explained    C4    stop sessions after use
