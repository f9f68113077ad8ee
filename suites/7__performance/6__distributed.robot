*** Settings ***
Documentation    Load from several processes, as from several machines: two workers of Locust share one plan, and what
...              they hand back is judged together. Skipped where Locust is not installed.

Resource         ../../resources/distributed_load.resource

Test Tags        phase-3    contract

Name             Distributed Load


*** Test Cases ***
Two Workers Get Their Own Answers
    [Documentation]    Tokens of their own and test cases, of two processes at once.
    [Tags]    P3
    Two Workers Load The Service
    Every Worker Should Have Done Its Share
    Every Answer Should Be Right

Warm Executions Of Two Workers Meet The Plan
    [Tags]    P2
    Two Workers Load The Service
    Warm Executions Should Meet The Plan Under The Load
