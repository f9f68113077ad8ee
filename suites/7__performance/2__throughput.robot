*** Settings ***
Documentation    How much a service does with several requests at once, and from which number on more bring no more.

Resource         ../../resources/performance.resource

Suite Setup      Load Target Is There

Test Tags        phase-3    P4

Name             Throughput


*** Test Cases ***
Throughput Is Documented Up To The Knee
    [Tags]    must
    Throughput Should Be Known

Several Programs Run At Once
    [Documentation]    Finds a service that runs one program at a time, or two.
    [Tags]    contract
    Several Programs Should Run At Once

Every Request At Once Is Answered Properly
    [Documentation]    With its own result, or with a refusal for want of capacity.
    [Tags]    contract
    Every Request Should Succeed    at once

Pool For A Contest Is Recommended
    [Documentation]    By the service times measured here; the contest and what it is promised stand in
    ...    ``variables/load_profiles.yaml``.
    [Tags]    contract
    Pool Should Be Recommended
