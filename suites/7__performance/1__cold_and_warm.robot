*** Settings ***
Documentation    The first request of a caller, which has to wait for a session, and those that follow it in turn. Each
...              sample is labelled by what is known of the session that it met, and labels are judged apart.

Resource         ../../resources/performance.resource

Suite Setup      Load Target Is There

Test Tags        phase-3

Name             Cold And Warm


*** Test Cases ***
Cold Starts Meet The Plan
    [Documentation]    Several new callers come at once, more than instances are ready.
    [Tags]    P1    must
    Cold Starts Should Meet The Plan

Warm Executions Meet The Plan
    [Tags]    P2    must
    Warm Executions Should Meet The Plan

Sessions In Use Save Time
    [Documentation]    What a session in use saves, and what the embedded pool adds to a new one, is in the report.
    [Tags]    P2    contract
    Reused Sessions Should Save Time

Every Request In Turn Succeeds
    [Documentation]    Finds a service that fails one request in 50.
    [Tags]    P5    contract
    Every Request Should Succeed    in turn
