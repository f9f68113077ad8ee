*** Settings ***
Documentation    Answers have the shape of the contract, also where a program fails (Piston v2 contract, section 3).
...              Fields that a minimal backend may lack are checked when they are there.

Resource         ../../resources/backend_api.resource

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
