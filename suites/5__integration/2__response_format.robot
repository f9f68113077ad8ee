*** Settings ***
Documentation    Answers have the shape of the contract, also where a program fails (Piston v2 contract, section 3).
...              Fields that a minimal backend may lack are checked when they are there.

Resource         ../../resources/backend_api.resource

Test Timeout     2 minutes

Test Tags        phase-1    contract

Name             Response Format


*** Test Cases ***
Answer About A Success Matches The Contract
    Answer About A Program Should Match The Contract    print("${NONCE}")

Answer About An Exit Code Matches The Contract
    Answer About A Program Should Match The Contract    import sys; print("${NONCE}"); sys.exit(3)

Answer About A Crash Matches The Contract
    Answer About A Program Should Match The Contract    print("${NONCE}"); 1 / 0

Answer About A Killed Program Matches The Contract
    Answer About A Program Should Match The Contract    import os; print("${NONCE}"); os.kill(os.getpid(), 9)

Answer About A Compiled Program Matches The Contract
    [Tags]    language-c
    Requires Language    c
    Post To Execute
    ...    {"language": "c", "version": "*", "files": [{"name": "main.c", "content": "int main(void) { return 0; }"}]}
    Answer Status Should Be    200
    Answer Should Match The Contract    execute

Output Holds Both Streams
    [Documentation]    How the lines of the two streams are mixed is left to the service.
    Execute Program That Writes To Both Streams
    Answer Should Have Field    run.stdout    ${NONCE} 1\n${NONCE} 2\n
    Answer Should Have Field    run.stderr    ${NONCE} a\n${NONCE} b\n
    Output Should Hold Both Streams    ${NONCE} 1\n${NONCE} 2\n    ${NONCE} a\n${NONCE} b\n

Wall Time Is Plausible
    Execute Program For Its Figures
    Wall Time Should Be Plausible    at_least=300

Processor Time Is Plausible
    Execute Program For Its Figures
    Cpu Time Should Be Plausible

Memory Is Plausible
    Execute Program For Its Figures
    Memory Should Be Plausible

Answer Says That It Is JSON
    ${body} =    Get Execute Body    print("${NONCE}")
    Post To Execute    ${body}
    Answer Content Type Should Be    application/json


*** Keywords ***
Answer About A Program Should Match The Contract
    [Documentation]    Executes a Python program and validates the raw answer against the contract's JSON Schema.
    [Arguments]    ${code}
    ${body} =    Get Execute Body    ${code}
    Post To Execute    ${body}
    Answer Status Should Be    200
    Answer Should Match The Contract    execute

Execute Program That Writes To Both Streams
    [Documentation]    Executes a Python program that writes two lines to each stream, in turns.
    ${code} =    Catenate    SEPARATOR=\n
    ...    import sys
    ...    for out, err in zip("12", "ab"):
    ...    ${SPACE * 4}print("${NONCE}", out, flush=True)
    ...    ${SPACE * 4}print("${NONCE}", err, file=sys.stderr, flush=True)
    ${body} =    Get Execute Body    ${code}
    Post To Execute    ${body}
    Answer Status Should Be    200

Execute Program For Its Figures
    [Documentation]    Executes a Python program that sleeps for 300 ms and tells the number of its processors.
    ${body} =    Get Execute Body    import os, time; time.sleep(0.3); print("${NONCE}", os.cpu_count() or 1)
    Post To Execute    ${body}
    Answer Status Should Be    200
