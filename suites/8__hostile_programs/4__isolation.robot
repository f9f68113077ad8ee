*** Settings ***
Documentation    Programs that look at what is not theirs, write where they must not, and ask for privileges.

Resource         ../../resources/hostile_programs.resource

Test Setup       Prepare For Hostile Program
Test Teardown    Service Should Be Well

Test Tags        phase-1    contract    hostile    P5

Name             Isolation Of Hostile Programs


*** Test Cases ***
Privileges Are Refused
    [Documentation]    The clock, priority, limits, mounts, the host's name, settings of the kernel.
    Hostile Program Should Be Contained    take_privileges.py    because=a program has no privileges

Host And Other Users Can Not Be Read
    [Documentation]    Hashes of passwords, keys, tokens, sockets of container services, other processes' environments.
    Hostile Program Should Be Contained    read_host.py    because=a program reads nothing of its host

No File Survives In System Folders
    [Documentation]    Nor is it on this machine afterwards.
    [Tags]    dangerous    thorough
    Trace Should Not Survive    hostile/leave_files.py    hostile/look_for_files.py    stdin=${SYSTEM_FOLDERS}
    ...    because=a file left in a system folder must not survive its run
    Files Should Not Be On This Machine    ${SYSTEM_FOLDERS}

Two Runs At Once See Nothing Of Each Other
    [Documentation]    One has a secret in a file, in arguments and in an environment; the other looks for it.
    [Tags]    thorough
    Programs At Once Should Be Contained    simultaneous runs must not see each other
    ...    hold_secrets.py    snoop.py

Odd File Names Do No Harm
    [Documentation]    NUL, 5,000 characters, deep paths, ``.`` and ``..``, names that a shell would interpret.
    [Tags]    thorough
    Requires Capability    files
    Odd File Names Should Do No Harm

Folder That Is Hard To Clear Does No Harm
    [Documentation]    Links out of it, a deep path, odd names, pipes and sockets, folders without permissions.
    [Tags]    thorough
    Hostile Program Should Be Contained    leave_a_mess.py    because=a service must clear up after any program
    Hostile Program Should Be Contained    use_disk.py    because=what one program left is not another one's burden
