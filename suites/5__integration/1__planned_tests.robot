*** Settings ***
Documentation    Test 5.1 of the plan: the whole flow through the backend's own API.

Resource         ../../resources/backend_api.resource

Test Timeout     2 minutes

Test Tags        phase-1    must

Name             Full Flow Through The Backend API


*** Test Cases ***
T5.1 Full Flow Through Backend API
    [Tags]    T5.1
    ${body} =    Get Execute Body    print("Hello, " + input())    stdin=${NONCE}
    Post To Execute    ${body}
    Answer Status Should Be    200
    Answer Should Match The Contract    execute
    Answer Should Have Field    language    python
    Answer Should Have Field    version
    Answer Should Have Field    run.stdout    Hello, ${NONCE}\n
    Answer Should Have Field    run.stderr    ${EMPTY}
    Answer Should Have Field    run.code    ${0}
