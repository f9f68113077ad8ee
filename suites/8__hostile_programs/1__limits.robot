*** Settings ***
Documentation    Programs that want more than their share of time, memory and disk, and tiny ones with a huge effect.

Resource         ../../resources/hostile_programs.resource

Test Setup       Prepare For Hostile Program
Test Teardown    Service Should Be Well

Test Tags        phase-1    contract    hostile    R1

Name             Limits Of Hostile Programs


*** Test Cases ***
Memory Hog Is Stopped
    [Tags]    dangerous
    Memory Of Program Should Be Limited    memory_hog.py

Archive That Unpacks To Much More Is Stopped
    [Tags]    dangerous    thorough
    Memory Of Program Should Be Limited    tiny_archive.py

Full Disk Is The Program's Own
    [Documentation]    By reservation, by a file with a hole, by real writes. The next program finds room again.
    [Tags]    dangerous
    Hostile Program Should Be Contained    fill_disk.py    because=no program may have a tebibyte of disk
    Hostile Program Should Be Contained    use_disk.py    because=a disk that one program filled is another one's, too

Program That Ignores Every Signal Is Stopped
    [Documentation]    Its answer is right, but it goes on: SIGKILL has to follow, and it is no success.
    Program Should Be Stopped At Its Limit    answer_then_loop.py    because=a signal that can be ignored stops nobody

Processes That Compute Side By Side Are Stopped
    [Tags]    dangerous    thorough
    Program Should Be Stopped At Its Limit    burn_side_by_side.py    because=its children are the program, too

Pattern That Never Ends Is Stopped
    [Tags]    thorough
    Program Should Be Stopped At Its Limit    tiny_pattern.py    because=few characters may cost any amount of time

Number That Is Too Large Is Stopped
    [Tags]    thorough
    Program Should Be Stopped At Its Limit    tiny_number.py    because=few characters may cost any amount of time

Deep Recursion In C Is Told
    [Tags]    thorough    language-c
    Requires Language    c
    Hostile Program Should Be Contained    recurse.c    because=a stack that is at an end must not look like a success

Source That Includes Itself Is Stopped
    [Tags]    thorough    language-c
    Compiler Should Be Stopped    c    include_itself.c

Source That Includes An Endless Device Is Stopped
    [Tags]    dangerous    thorough    language-c
    Compiler Should Be Stopped    c    include_endless.c

Source That Grows When Compiled Is Stopped
    [Tags]    dangerous    thorough    language-c++
    Compiler Should Be Stopped    c++    grow_when_compiled.cpp
