*** Settings ***
Documentation    Command-line arguments reach the program as they were sent (Piston v2 contract, section 1).

Resource         ../../resources/execution.resource

Test Tags        phase-1    contract

Name             Arguments


*** Test Cases ***
Arguments Reach The Program
    Capability Should Be Honoured    args

Arguments Keep Their Order
    Arguments Should Reach The Program    ["first", "second", "third"]    first    second    third

Arguments Keep Their Spaces
    Arguments Should Reach The Program    ["two words", "${SPACE}"]    two words    ${SPACE}

Arguments Keep Their Quotes
    [Documentation]    No shell may interpret them.
    Arguments Should Reach The Program    ["\\"double\\"", "it's", "$HOME", "*"]    "double"    it's    $HOME    *

Empty Argument Is Kept
    Arguments Should Reach The Program    ["before", "", "after"]    before    ${EMPTY}    after

Arguments May Look Like Options
    Arguments Should Reach The Program    ["-v", "--help", "--"]    -v    --help    --

Program Without Arguments Finds None
    Execute Program File    tell_args.py
    Stdout Should Be    ${NONCE} []\n    because=no args were sent
