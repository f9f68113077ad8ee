*** Settings ***
Documentation    Programs that start too many processes, leave some behind, or lay hands on others.

Resource         ../../resources/hostile_programs.resource

Test Setup       Prepare For Hostile Program
Test Teardown    Service Should Be Well

Test Tags        phase-1    contract    hostile    R1

Name             Processes Of Hostile Programs


*** Test Cases ***
Fork Bomb Is Contained
    [Documentation]    Its own cap is 400 children; reaching it shows that nothing was in the way.
    [Tags]    dangerous
    Number Of Processes Should Be Limited    fork_bomb.py    processes

Thread Bomb Is Contained
    [Tags]    dangerous    thorough
    Number Of Processes Should Be Limited    thread_bomb.py    threads

Daemon Is Gone After The Answer
    [Documentation]    Two forks and a session away from its program. Where code runs on this machine, it is looked for
    ...    there. That the next run does not see it is shown in section 4.3.
    [Tags]    P5
    Hostile Program Should Be Contained    leave_daemon.py    because=a daemon must not outlive its program's answer

Child That Computes On Is Gone After The Answer
    [Tags]    thorough    P5
    Hostile Program Should Be Contained    leave_burning_child.py    because=a child must not outlive the answer

Program That Stops Its Parent And Itself Is Ended
    [Tags]    dangerous    thorough
    Program Should Be Stopped At Its Limit    stop_parent.py    because=a stopped program must not hold up its answer

Program That Kills Everything Kills Nobody Else
    [Tags]    dangerous    thorough
    Hostile Program Should Be Contained    kill_everything.py    because=a program may kill its own processes alone

Child Program Runs Or Is Refused Openly
    Hostile Program Should Be Contained    start_program.py    because=a child that did not run must not have succeeded

Runs That Leave Children Leave Nothing
    [Documentation]    After 120 of them the embedded services have as many processes and descriptors as before.
    [Tags]    thorough    P5
    Services Should Not Grow    leave_zombies.py    runs=120
