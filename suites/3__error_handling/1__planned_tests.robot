*** Settings ***
Documentation    Tests 3.1 to 3.3 of the plan. The plan's code has no token; a second program with one follows, so
...              that a service that answers every program with an error does not pass.

Resource         ../../resources/execution.resource

Test Tags        phase-1    must    R2

Name             Planned Tests Of Section 3


*** Test Cases ***
T3.1 Syntax Error
    [Tags]    T3.1
    Execute Python    print("unclosed string
    Stderr Should Contain    SyntaxError
    Exit Code Should Not Be Zero
    Next Program Should Run Normally    after=a syntax error

T3.2 Runtime Error
    [Tags]    T3.2
    Execute Python    x = 1 / 0
    Stderr Should Contain    ZeroDivisionError
    Exit Code Should Not Be Zero
    Next Program Should Run Normally    after=a runtime error

T3.3 Import Error
    [Tags]    T3.3
    Execute Python    import nonexistent_module
    Stderr Should Contain    ModuleNotFoundError
    Exit Code Should Not Be Zero
    Next Program Should Run Normally    after=an import error
