*** Settings ***
Documentation    The list of runtimes is true: what it lists is executed (Piston v2 contract, section 5).

Resource         ../../resources/backend_api.resource

Test Timeout     2 minutes

Test Tags        phase-1    contract

Name             Runtimes


*** Test Cases ***
List Of Runtimes Matches The Contract
    Send Request    GET    runtimes
    Answer Status Should Be    200
    Answer Should Match The Contract    runtimes

Python Is Listed
    Runtimes Should List    python

Every Listed Runtime Is Executed
    Every Listed Runtime Should Execute
