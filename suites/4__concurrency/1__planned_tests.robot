*** Settings ***
Documentation    Tests 4.1 to 4.3 of the plan, and its performance requirements. Every request has a token of its
...              own; latencies are in the log of each test.

Resource         ../../resources/concurrency.resource

Test Tags        must

Name             Planned Tests Of Section 4


*** Test Cases ***
T4.1 Sequential Requests
    [Documentation]    Five requests in turn. After the first, which may be cold, the median latency meets the plan.
    [Tags]    T4.1    phase-1    P2
    Execute Sequentially    5
    Latency Should Meet The Plan

T4.2 Concurrent Requests
    [Documentation]    Ten requests at once, each with its own result.
    [Tags]    T4.2    phase-1    P3
    Execute Simultaneously    10

T4.3 Session Reuse
    [Documentation]    The second request meets the session of the first, and is faster than one that opens a session.
    [Tags]    T4.3    phase-2
    Requires Sessions
    Session Should Be Reused
    Reused Sessions Should Be Faster Than New Ones

Cold Start Meets The Plan
    [Documentation]    The first request of the run counts; it may have met a warm service.
    [Tags]    phase-3    P1
    Cold Start Should Meet The Plan
