*** Settings ***
Documentation    Large programs and outputs pass through a pool unchanged; slow executions keep their session, and the
...              built-in interpreter stops them after 220 seconds (Azure dynamic sessions contract, sections 2.4 and
...              4). Nobody waits for that: the pool's clock is moved while the program runs.

Resource         ../../resources/session_files.resource

Test Tags        phase-2    contract    rehearsal

Name             Large And Slow


*** Test Cases ***
Large Source Arrives Byte For Byte
    [Setup]    Share Session Pool For Large Requests
    Large Source Should Arrive Unchanged    alice    size=1000000

Large Input Comes Back Byte For Byte
    [Setup]    Share Session Pool For Large Requests
    Large Input Should Come Back Unchanged    alice    size=1000000

Large Output Arrives Byte For Byte
    [Setup]    Share Session Pool For Large Requests
    Large Output Should Arrive Unchanged    alice    size=1000000

Slow Execution Keeps Its Session
    [Documentation]    The cooldown would be over before the program is.
    [Setup]    Share Session Pool For Large Requests
    Start Program In Session    alice    take_its_time.py
    Move Pool Clock    301
    Sessions Held Should Be    1
    Wait For Program
    Output Should Be    ${NONCE}\n    because=a session that works does not cool down
    Program Should Be Served By The Same Session    alice

Slow Program Within The Limit Is Not Stopped
    [Setup]    Share Session Pool    kind=python
    Start Program In Session    alice    run_until_told.py
    Move Pool Clock    219
    Program Should Be Running    alice
    Let Program End    alice
    Output Should Be    ${NONCE} ended by itself\n    because=an execution may take 220 s

Interpreter Stops A Program After 220 Seconds
    [Documentation]    The answer is HTTP 200 all the same; its cause and cure are in the log.
    [Tags]    R2
    [Setup]    Share Session Pool    kind=python
    Start Program In Session    alice    run_until_told.py
    Move Pool Clock    219
    Program Should Be Running    alice
    Move Pool Clock    2
    Program Should Be Stopped After    220 s
    Program Should Have Failed    Request timed out waiting for code execution to complete
    Failure Should Be Explained    C11    shorten the program

Caller May Ask For Less Time
    [Tags]    R2
    [Setup]    Share Session Pool    kind=python
    Start Program In Session    alice    run_until_told.py    time_limit=30
    Move Pool Clock    29
    Program Should Be Running    alice
    Move Pool Clock    2
    Program Should Be Stopped After    30 s
    Program Should Have Failed    Request timed out waiting for code execution to complete

Session Is Well After A Program Was Stopped
    [Tags]    R1
    [Setup]    Share Session Pool    kind=python
    Upload Text    alice    kept.txt    ${NONCE}
    Start Program In Session    alice    run_until_told.py
    Move Pool Clock    221
    Program Should Be Stopped After    220 s
    Program Should Be Served By The Same Session    alice
    File Should Come Back    alice    kept.txt

Unbounded Allocation Is Aborted
    [Tags]    R1    R2
    [Setup]    Share Session Pool    kind=python
    Execute In Session    alice    text = bytearray(1 << 60)
    Program Should Have Failed    Execution aborted
    Program Should Be Served By The Same Session    alice
