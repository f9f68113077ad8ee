*** Settings ***
Documentation    Programs that reach out, or listen.

Resource         ../../resources/hostile_programs.resource

Test Setup       Prepare For Hostile Program
Test Teardown    Service Should Be Well

Test Tags        phase-1    contract    hostile    P5

Name             Network Of Hostile Programs


*** Test Cases ***
No Program Reaches Out
    [Documentation]    Public addresses, the addresses at which clouds give out identities, names, by TCP and by UDP.
    Hostile Program Should Be Contained    reach_out.py    because=programs have no network

Two Runs Can Listen On The Same Port
    [Documentation]    Or both are refused; but none meets the other.
    [Tags]    thorough
    Programs At Once Should Be Contained    each run has a network of its own, or none
    ...    listen.py    listen.py
