*** Settings ***
Documentation    Stderr is whole, and apart from stdout (Piston v2 contract, section 3).

Resource         ../../resources/limits.resource

Test Tags        phase-1    contract    R2

Name             Standard Error


*** Test Cases ***
Line On Stderr Is Kept
    Stderr Should Arrive Exactly    a line\n

Layout Of Stderr Is Kept
    Stderr Should Arrive Exactly    first\n\n\tindented${SPACE * 3}\nno newline at the end

Characters Of Stderr Are Kept
    Stderr Should Arrive Exactly    umlauts äöü, emoji 😀, <b>&amp;</b>\n

Streams Are Kept Apart
    Execute Program File    write_both_streams.py
    Stdout Should Contain    out 00\nout 01\n
    Stdout Should Contain    out 19\nout ${NONCE}\n
    Stdout Should Not Contain    err    because=what is written to stderr must not be on stdout
    Stderr Should Contain    err 00\nerr 01\n
    Stderr Should Contain    err 19\nerr ${NONCE}\n
    Stderr Should Not Contain    out    because=what is written to stdout must not be on stderr

Traceback Is Whole
    [Documentation]    From its first line to its last, and without loss of what was printed before.
    Execute Program File    write_then_crash.py
    Stderr Should Contain    Traceback (most recent call last)
    Stderr Should Contain    in divide
    Stderr Should Contain    ZeroDivisionError: division by zero
    Stdout Should Be    before the crash ${NONCE}\n    because=what was printed before a crash must be kept
    Exit Code Should Be    1

Text Given To Exit Is On Stderr
    Execute Python    import sys; print("${NONCE}"); sys.exit("leaving because of ${NONCE}")
    Stderr Should Be    leaving because of ${NONCE}\n
    Stdout Should Be    ${NONCE}\n
    Exit Code Should Be    1

Endless Recursion Ends With An Error
    Execute Program File    raise_deeply.py
    Stderr Should Contain    RecursionError
    Stdout Should Be    ${NONCE} before\n
    Exit Code Should Be    1

Large Stderr Arrives Whole
    Large Output Should Arrive Whole    200000    stream=stderr

Both Streams Arrive Whole When Large At Once
    Both Streams Should Arrive Whole    200000

Stderr Beyond Any Limit Is Whole Or Visibly Cut
    Output Should Be Whole Or Visibly Cut    4000000    stream=stderr

Compiler Error Is Told
    [Tags]    language-c
    Requires Language    c
    Execute Program    c    int main( { return 0; }    file_name=broken.c
    Compilation Should Have Failed

Compiler Error Of A Typed Language Is Told
    [Tags]    language-java
    Requires Language    java
    Execute Program    java    public class Main { int x = "text"; }    file_name=Main.java
    Compilation Should Have Failed
