*** Settings ***
Documentation    Test 5.2 of the plan: every folder of ``test_cases/`` is a test here, and all outputs match.

Resource         ../../resources/test_cases.resource

Test Tags        phase-1    must

Name             Test Cases


*** Test Cases ***
T5.2 Test Case Validation
    [Documentation]    Fails where a case is unpaired, unreadable or empty. One test for every case follows.
    [Tags]    T5.2
    Every Test Case Should Be Readable
