*** Settings ***
Documentation    A program reads its stdin as it was sent (Piston v2 contract, section 1). A line feed is added
...              where the last line lacks one; nothing else is changed.

Resource         ../../resources/limits.resource

Test Tags        phase-1    contract

Name             Standard Input


*** Test Cases ***
One Line Of Stdin Arrives
    Stdin Should Reach The Program Exactly    one line\n

Several Lines Of Stdin Arrive
    Stdin Should Reach The Program Exactly    first\nsecond\nthird\n

Blank Lines Of Stdin Arrive
    Stdin Should Reach The Program Exactly    \n\nblank lines\n\n\nbetween and after\n\n

Spaces Of Stdin Arrive
    Stdin Should Reach The Program Exactly    ${SPACE * 3}leading, runs${SPACE * 4}and trailing spaces${SPACE * 3}\n

Tabs Of Stdin Arrive
    Stdin Should Reach The Program Exactly    \ttabs\t\tand tabs\t\n

Windows Line Ends Of Stdin Arrive
    Stdin Should Reach The Program Exactly    carriage return and line feed\r\nagain\r\n

Letters Of Stdin Arrive
    Stdin Should Reach The Program Exactly    umlauts äöüß, Greek αβγ, CJK 漢字\n

Byte Order Mark Of Stdin Arrives
    Execute Python    import sys; print(sys.stdin.buffer.read().hex())    stdin=\ufeff${NONCE}
    Stdout Should Contain    efbbbf    because=stdin reaches the program as it was sent, to the byte

Emoji Of Stdin Arrive
    Stdin Should Reach The Program Exactly    emoji 😀 👩‍💻 🇩🇪\n

Markup And Quotes Of Stdin Arrive
    Stdin Should Reach The Program Exactly    <b>&amp; "quotes" 'single' \\backslash\\ $HOME `x` %20\n

Combining Characters Of Stdin Are Kept
    Execute Program With Combining Characters    stdin

Last Line Without Newline Is Read
    [Documentation]    Piston adds the missing line feed, other services may not; the line itself arrives.
    Execute Python    print(input(), "|", input())    stdin=first\n${NONCE}
    Stdout Should Be    first | ${NONCE}\n    because=the last line of stdin needs no line feed

Empty Stdin Does Not Hang
    [Documentation]    Piston gives an empty line, other services nothing at all; either comes at once.
    Execute Python    import sys; print("${NONCE}", repr(sys.stdin.read().strip()))
    Stdout Should Be    ${NONCE} ''\n    because=stdin is empty, and reading it ends at once
    Answer Should Come Within    2.5    because=a program that reads an empty stdin must not wait

Empty Stdin Is One Empty Line
    [Documentation]    Piston appends a line feed to stdin that lacks one, so a first ``input()`` gives ''.
    Execute Python    print("${NONCE}", repr(input()))
    Stdout Should Be    ${NONCE} ''\n    because=Piston appends a line feed to an empty stdin
    Exit Code Should Be    0

Stdin Is Read To Its End
    [Documentation]    The end of stdin must come, or the program waits until its limit.
    Execute Program File    count_lines.py    stdin=a\nb\nc\n
    Stdout Should Be    ${NONCE} 3\n    because=stdin has three lines and then ends
    Answer Should Come Within    2.5    because=a program that reads stdin to its end must not wait

Stdin Left Unread Does No Harm
    [Documentation]    A program that ends without reading must not break the service's writing.
    Execute Program File    leave_stdin_unread.py    stdin=never read\nneither is this\n
    Stdout Should Be    ${NONCE} done\n    because=stdin may be left unread
    Exit Code Should Be    0    because=stdin may be left unread

Large Stdin Left Unread Does No Harm
    Large Stdin Left Unread Should Do No Harm

Stdin As Large As The Service Takes Arrives Whole
    Largest Stdin Should Arrive Whole

Same Program Gets Its New Stdin
    [Documentation]    A cache of programs must not be one of answers.
    Execute Python    print(input())    stdin=first ${NONCE}
    Stdout Should Be    first ${NONCE}\n
    Execute Python    print(input())    stdin=second ${NONCE}
    Stdout Should Be    second ${NONCE}\n    because=the same program was sent with another stdin
