*** Settings ***
Documentation    More requests at once than are meant to be served: what comes of each is named, and afterwards the
...              service is well again. A service that is given is overloaded only with ``LOAD_PROFILE`` or
...              ``COSTLY=true``.

Resource         ../../resources/performance.resource

Suite Setup      Load Target Is There
Test Setup       Overload Should Be Allowed

Test Tags        phase-3    contract    R3

Name             Overload


*** Test Cases ***
Overload Is Answered Properly
    [Tags]    R2
    Overload Should Be Answered Properly

Service Recovers From Overload
    Service Should Be Well After The Overload
