*** Settings ***
Documentation    A built-in pool keeps files in its sessions: callers upload, list, download and delete them, programs
...              find them under /mnt/data (Azure dynamic sessions contract, sections 2 and 4). The contract has two
...              generations of these operations, A and B; where they differ, a test shows both.

Resource         ../../resources/session_files.resource

Suite Setup      Share Session Pool    kind=python    max_sessions=50    ready_sessions=2

Test Tags        phase-2    contract    rehearsal

Name             Files


*** Test Cases ***
Binary File Comes Back Byte For Byte
    [Template]    Binary File Should Come Back Unchanged
    A    alice
    B    alice

Empty File Comes Back
    [Template]    Empty File Should Come Back Unchanged
    A    alice
    B    alice

Uploaded File Is Listed And Described
    [Template]    Uploaded File Should Be Known
    A    alice
    B    bob

Deleted File Is Gone
    [Documentation]    The older generation answers 200, the newer 204.
    [Template]    Deleted File Should Be Gone
    A    alice
    B    bob

Missing File Is Told
    [Tags]    R2
    [Template]    Missing File Should Be Told
    A    alice
    B    alice

Newer Upload Replaces The Older
    [Template]    Newer Upload Should Replace The Older
    A    alice
    B    alice

Spaces And Other Languages In A Name Are Kept
    [Template]    Name Should Be Kept
    A    alice    quarterly report (final).csv
    A    alice    grüße, Ωμέγα 数据.txt
    B    alice    yearly report (final).csv
    B    alice    grüße, Ωμέγα 数据 & mehr.txt

Path In A Name Is Stripped
    [Template]    Path Should Be Stripped From Name
    A    alice
    B    alice

Program Reads An Uploaded File
    Upload Text    alice    input.txt    ${NONCE}
    Execute In Session    alice    print(open("/mnt/data/input.txt").read())
    Output Should Be    ${NONCE}\n    because=an uploaded file is for the programs of its session

File Written By A Program Can Be Downloaded
    [Template]    File Of A Program Should Come Back
    A    alice
    B    alice

File In A Folder Comes Back
    [Documentation]    Only the newer generation has folders.
    Upload Text    alice    inner.txt    ${NONCE}    folder=reports
    File Should Be Listed    alice    inner.txt    folder=reports
    File Should Come Back    alice    inner.txt    folder=reports

Upload Above 128 MB Is Refused
    [Documentation]    The caller asks before it sends (``Expect: 100-continue``), so that the answer comes without
    ...    the bytes.
    [Tags]    R2
    [Template]    Too Large Upload Should Be Refused
    A    alice
    B    alice

Older Operation Tells What A Program Did
    [Documentation]    By generation A, which most clients speak; they need all its fields, also those that are empty.
    [Template]    Older Operation Should Tell
    alice    6 * 7    result=42
    alice    print("${NONCE}")    stdout=${NONCE}\n
    alice    import sys; print("${NONCE}", file=sys.stderr)    stderr=${NONCE}\n

Session Tells Until When Its Files Stay
    [Documentation]    As ``expireAt``, where pools of containers say ``expiresAt``.
    Upload Text    alice    own.txt    of alice
    Session Should Tell Its End As    alice    expireAt

Files Of Two Sessions Are Apart
    Upload Text    alice    own.txt    of alice
    Upload Text    bob    other.txt    of bob
    Files Listed Should Be    alice    own.txt
    Files Listed Should Be    bob    other.txt
    File Should Be Missing    bob    own.txt

Files End With A Stopped Session
    Upload Text    alice    left.txt    ${NONCE}
    Stop Session    alice
    Files Listed Should Be    alice
    File Should Be Missing    alice    left.txt

Files End With A Session That Cooled Down
    Upload Text    alice    left.txt    ${NONCE}
    Move Pool Clock    301
    Files Listed Should Be    alice
    File Should Be Missing    alice    left.txt

Using A File Keeps Its Session
    [Documentation]    Every request restarts the cooldown, also one that only lists files.
    Upload Text    alice    kept.txt    ${NONCE}
    Move Pool Clock    200
    Files Listed Should Be    alice    kept.txt
    Move Pool Clock    200
    File Should Come Back    alice    kept.txt
