*** Settings ***
Documentation    Nothing survives from one run to the next, and no program reaches what runs it.

Resource         ../../resources/isolation.resource

Test Setup       Requires Sandbox

Test Tags        phase-1    contract    P5

Name             Isolation


*** Test Cases ***
No File Survives In The Working Directory
    File Should Not Survive In    .    the working directory

No File Survives In The Home
    File Should Not Survive In    ~    the home folder

No File Survives In Tmp
    File Should Not Survive In    /tmp    /tmp

No File Survives In Var Tmp
    File Should Not Survive In    /var/tmp    /var/tmp

No File Survives In Shared Memory
    File Should Not Survive In    /dev/shm    /dev/shm

No Environment Variable Survives
    Trace Should Not Survive    leave_variable.py    look_for_variable.py
    ...    because=no environment variable of one run may be there in the next

No Background Process Survives
    Trace Should Not Survive    leave_process.py    look_for_process.py
    ...    because=no background process of one run may be there in the next

Environment Holds No Secrets
    [Documentation]    The program looks at names and values, and prints names only.
    Execute Program File    look_for_secrets.py
    Stdout Should Be    ${NONCE} []\n    because=no secret of the service may be in a program's environment

Ports Of The Service Are Out Of Reach
    Service Should Be Out Of Reach Of Programs
