*** Settings ***
Documentation    Limits are enforced and reported, and the service is well right after (Piston v2 contract,
...              sections 1 and 4). How long it takes is measured here, outside the service.

Resource         ../../resources/limits.resource

Test Tags        phase-1    contract    R1

Name             Limits


*** Test Cases ***
Run Timeout Has An Effect
    Capability Should Be Honoured    run_timeout

Run Timeout Is The One Asked For
    Requires Capability    run_timeout
    Run Timeout Should Be The One Asked For

Run Timeout Is Not Rounded
    [Documentation]    It is given in milliseconds. The program's own clock counts, not the way there and back.
    Requires Capability    run_timeout
    Run Timeout Should Not Be Rounded    1100

Sleeping Program Is Stopped At Its Run Timeout
    Program Should Be Stopped At Its Run Timeout    sleeping

Busy Program Is Stopped At Its Run Timeout
    Program Should Be Stopped At Its Run Timeout    busy

Program That Takes Too Long Is Reported As Stopped
    Execute Program That Takes Too Long    sleeping    run_timeout=1000
    Program Should Be Reported As Stopped

Output Before A Timeout Is Kept
    Execute Program That Takes Too Long    sleeping    run_timeout=1000
    Output Before The Stop Should Be Kept

Service Is Well Right After A Timeout
    Execute Program That Takes Too Long    busy    run_timeout=1000
    Next Program Should Run Normally    after=a program that was stopped

Program Within Its Run Timeout Is Not Cut
    [Documentation]    It needs more than half of what it asks for.
    Execute Python    import time; time.sleep(1.3); print("${NONCE}")    run_timeout=2500
    Stdout Should Be    ${NONCE}\n    because=run_timeout is 2.5 s and the program needs 1.3 s
    Exit Code Should Be    0    because=run_timeout is 2.5 s and the program needs 1.3 s

Memory Limit Has An Effect
    Capability Should Be Honoured    run_memory_limit

Program Within Its Memory Limit Runs
    Requires Capability    run_memory_limit
    Execute Python    print("${NONCE}", len(bytearray(20000000)))    run_memory_limit=134217728
    Stdout Should Be    ${NONCE} 20000000\n    because=run_memory_limit is 128 MiB and the program needs 20 MB
    Exit Code Should Be    0    because=run_memory_limit is 128 MiB and the program needs 20 MB

Service Is Well After A Program That Ran Out Of Memory
    Execute Python    print("${NONCE}", flush=True); x = bytearray(2 ** 60)
    Exit Code Should Not Be Zero    because=no program can have an exbibyte of memory
    Next Program Should Run Normally    after=a program that ran out of memory

Background Child Does Not Hold Back The Answer
    Background Child Should Not Hold Back The Answer
