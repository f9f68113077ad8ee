*** Settings ***
Documentation    Tests 1.1 to 1.3 of the plan. Each runs the plan's own code, and then the same with a token, so
...              that a canned answer does not pass.

Resource         ../../resources/execution.resource

Test Tags        phase-1    must

Name             Planned Tests Of Section 1


*** Test Cases ***
T1.1 Simple Print Statement
    [Tags]    T1.1
    Execute Python    print("Hello, World!")
    Stdout Should Contain    Hello, World!
    Exit Code Should Be    0
    Execute Python    print("Hello, ${NONCE}!")
    Stdout Should Contain    Hello, ${NONCE}!

T1.2 Arithmetic Operations
    [Tags]    T1.2
    Execute Python    print(2 + 2)
    Stdout Should Contain    4
    Exit Code Should Be    0
    Execute Python    print("${NONCE}", 20 + 22, 7 // 2, -7 % 3, 2 ** 70)
    Stdout Should Contain    ${NONCE} 42 3 2 1180591620717411303424

T1.3 Variable Assignment And Output
    [Tags]    T1.3
    Execute Python    x = 10; print(x * 2)
    Stdout Should Contain    20
    Exit Code Should Be    0
    Execute Python    x = "${NONCE}"; print(x * 2)
    Stdout Should Contain    ${NONCE}${NONCE}
