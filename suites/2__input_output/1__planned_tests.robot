*** Settings ***
Documentation    Tests 2.1 to 2.3 of the plan. Each runs the plan's own code and input, and then a token as input.

Resource         ../../resources/execution.resource

Test Tags        phase-1    must

Name             Planned Tests Of Section 2


*** Test Cases ***
T2.1 Reading From Stdin
    [Tags]    T2.1
    Execute Python    name = input(); print(f"Hello, {name}")    stdin=Alice
    Stdout Should Contain    Hello, Alice
    Exit Code Should Be    0
    Execute Python    name = input(); print(f"Hello, {name}")    stdin=${NONCE}
    Stdout Should Contain    Hello, ${NONCE}

T2.2 Multiple Input Lines
    [Tags]    T2.2
    Execute Python    a = int(input()); b = int(input()); print(a + b)    stdin=5\n3
    Stdout Should Contain    8
    Exit Code Should Be    0
    Execute Python    a = input(); b = input(); print(b + a)    stdin=first\n${NONCE}
    Stdout Should Contain    ${NONCE}first

T2.3 Test Case Format
    [Documentation]    The program of the case ``hello-n-times`` in ``test_cases/`` is this one.
    [Tags]    T2.3
    Execute Python    n = int(input())\nfor _ in range(n):\n${SPACE * 4}print("Hello")    stdin=5
    Stdout Should Be    Hello\nHello\nHello\nHello\nHello\n
    Exit Code Should Be    0
    Execute Python    n = int(input())\nfor _ in range(n):\n${SPACE * 4}print("${NONCE}")    stdin=3
    Stdout Should Be    ${NONCE}\n${NONCE}\n${NONCE}\n
