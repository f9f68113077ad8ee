*** Settings ***
Documentation    Load, rest, probe again, twice: a cache stops growing, a leak does not. The load's programs leave files
...              behind, which no session may keep.

Resource         ../../resources/performance.resource

Suite Setup      Load Target Is There

Test Tags        phase-3    P5

Name             Soak


*** Test Cases ***
Latency Does Not Grow During The Soak
    [Documentation]    By a slope that outliers don't move.
    [Tags]    must
    Latency Should Not Grow During The Soak

Latency Is As Before After The Soak
    [Documentation]    Probes of the same callers are compared in pairs.
    [Tags]    must
    Latency Should Be As Before The Soak

Every Request Of The Soak Succeeds
    [Tags]    must
    Every Request Should Succeed    soak

Sessions Keep Nothing Of The Soak
    [Documentation]    A program looks for files, processes and memory in use, before and after. Programs of a service
    ...    without sandboxes or sessions may see those of each other, which the plan does not forbid.
    [Tags]    contract
    Sessions Should Be As Before The Soak

Services Keep Nothing Of The Soak
    [Documentation]    Memory, descriptors, threads and children of the embedded services; those of a service that is
    ...    given are not observable.
    [Tags]    must
    Services Should Be As Before The Soak

Client Keeps Nothing Of The Soak
    [Documentation]    A client that keeps something looks like a service that gets slow.
    [Tags]    contract
    Client Should Be As Before The Soak
