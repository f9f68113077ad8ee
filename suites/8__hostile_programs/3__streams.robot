*** Settings ***
Documentation    Programs that flood, close or garble their streams.

Resource         ../../resources/hostile_programs.resource

Test Setup       Prepare For Hostile Program
Test Teardown    Service Should Be Well

Test Tags        phase-1    contract    hostile    R1

Name             Streams Of Hostile Programs


*** Test Cases ***
Endless Output On Both Streams Is Cut
    [Documentation]    In turn: a service that reads one stream to its end before the other waits for ever.
    [Tags]    dangerous
    Flood Should Be Cut    stdout stderr

Endless Standard Output Is Cut
    [Tags]    dangerous    thorough
    Flood Should Be Cut    stdout

Endless Standard Error Is Cut
    [Tags]    dangerous    thorough
    Flood Should Be Cut    stderr

Endless Blanks After A Right Answer Are Cut
    [Documentation]    A comparison that ignores blanks must not see a success.
    [Tags]    dangerous    thorough
    Flood Should Be Cut    ${EMPTY}    program=answer_then_blanks.py

One Line Of A Million Characters Is Whole Or Visibly Cut
    [Tags]    thorough
    Hostile Program Should Be Contained    long_line.py    because=output that was cut must not look like a success

Closed Streams Do Not Hide The Exit Code
    [Documentation]    The program closes all three, its stdin unread, and ends a little later.
    Execute Hostile Program    close_streams.py    stdin=never read
    Program Should Have Been Contained    because=the end of a stream is not the end of its program
    Exit Code Of Hostile Program Should Be    5

Terminal Sequences And Control Characters Do No Harm
    [Documentation]    They are answered, and neither spoil the log of this run nor the terminal of who reads it.
    Hostile Program Should Be Contained    terminal_escapes.py    because=any byte may be written
    Exit Code Of Hostile Program Should Be    0
