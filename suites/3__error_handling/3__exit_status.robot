*** Settings ***
Documentation    How a program ended is told exactly (Piston v2 contract, sections 3 and 8).

Resource         ../../resources/execution.resource

Test Tags        phase-1    contract    R2

Name             Exit Status


*** Test Cases ***
Low Exit Codes Are Exact
    Every Exit Code Should Come Back    0    1    2    3    42    43    64

High Exit Codes Are Exact
    [Documentation]    137 and 139 are left out: they may stand for a signal.
    Every Exit Code Should Come Back    100    126    127    128    200    255

Exit Code That May Stand For A Time Limit Is Exact
    [Documentation]    Shells leave with 124 after a time limit; a program that does so by itself was not stopped.
    Every Exit Code Should Come Back    124

Exit Codes Drawn At Random Are Exact
    [Documentation]    Nobody can have prepared for these. The log has the seed that draws them again.
    ${codes} =    Draw Exit Codes    8
    Every Exit Code Should Come Back    @{codes}

Abort Is Told
    Death By Signal Should Show    6    SIGABRT

Arithmetic Fault Is Told
    Death By Signal Should Show    8    SIGFPE

Kill Is Told
    Death By Signal Should Show    9    SIGKILL

Broken Pipe Is Told
    Death By Signal Should Show    13    SIGPIPE

Hang-Up Is Told
    Death By Signal Should Show    1    SIGHUP

Illegal Instruction Is Told
    Death By Signal Should Show    4    SIGILL

Bus Error Is Told
    Death By Signal Should Show    7    SIGBUS

Alarm Is Told
    Death By Signal Should Show    14    SIGALRM

Segmentation Fault Is Told
    Death By Signal Should Show    11    SIGSEGV

Termination Is Told
    Death By Signal Should Show    15    SIGTERM

Exit Without Flushing Keeps The Code
    Execute Python    import os; print("${NONCE}", flush=True); os._exit(3)
    Exit Code Should Be    3
    Stdout Should Be    ${NONCE}\n

Exit By None Is A Success
    Execute Python    import sys; print("${NONCE}"); sys.exit(None)
    Exit Code Should Be    0
    Stdout Should Be    ${NONCE}\n
