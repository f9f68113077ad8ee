*** Settings ***
Documentation    Ten clients send a request each at the same moment, and each gets its own result.
...
...              Under ``pabot --testlevelsplit --processes 10`` every client is a process of its own; otherwise the
...              first test drives all ten from one process. What only all ten can tell together, and the picture of
...              it, is in the first test.

Resource         ../../resources/concurrency.resource

Test Tags        phase-1    contract    P3

Name             Ten Clients


*** Test Cases ***
Client 1 Of 10 And All Ten Together
    [Documentation]    All ten programs ran at one moment, no answer went astray, and no program met another's files.
    Client 1 And All Clients Together Should Be Right    10

Client 2 Of 10
    Client Should Get Its Own Result    2

Client 3 Of 10
    Client Should Get Its Own Result    3

Client 4 Of 10
    Client Should Get Its Own Result    4

Client 5 Of 10
    Client Should Get Its Own Result    5

Client 6 Of 10
    Client Should Get Its Own Result    6

Client 7 Of 10
    Client Should Get Its Own Result    7

Client 8 Of 10
    Client Should Get Its Own Result    8

Client 9 Of 10
    Client Should Get Its Own Result    9

Client 10 Of 10
    Client Should Get Its Own Result    10
