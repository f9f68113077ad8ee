*** Settings ***
Documentation    Stdout is what the program wrote, to the byte (Piston v2 contract, section 3).

Resource         ../../resources/limits.resource

Test Tags        phase-1    contract

Name             Standard Output


*** Test Cases ***
Blank Lines Are Kept
    Stdout Should Arrive Exactly    first\n\n\nafter blank lines\n

Blank Lines At Both Ends Are Kept
    Stdout Should Arrive Exactly    \n\nleading and trailing blank lines\n\n\n

Missing Final Newline Stays Missing
    Stdout Should Arrive Exactly    no newline at the end

Runs Of Spaces Are Kept
    Stdout Should Arrive Exactly
    ...    ${SPACE * 4}leading spaces, runs${SPACE * 5}of spaces, trailing spaces${SPACE * 3}\n

Tabs Are Kept
    Stdout Should Arrive Exactly    \ttab\tand\t\ttabs\t\n

Windows Line Ends Are Kept
    Stdout Should Arrive Exactly    carriage return and line feed\r\nagain\r\n

Lone Carriage Return Is Kept
    Stdout Should Arrive Exactly    a lone carriage return\rin a line\n

Output Of White Space Alone Is Kept
    Stdout Should Arrive Exactly    ${SPACE}\n\t\n${SPACE * 2}

Order Of Lines Is Kept
    Stdout Should Arrive Exactly    zeta\nalpha\nmid\nalpha\n10\n9\n

European Letters Are Kept
    Stdout Should Arrive Exactly    umlauts äöüß, accents éèê, Greek αβγ, Cyrillic привет\n

Asian And Right-To-Left Letters Are Kept
    Stdout Should Arrive Exactly    CJK 漢字 and right-to-left שלום\n

Emoji Are Kept
    Stdout Should Arrive Exactly    emoji 😀 👩‍💻 🇩🇪 and symbols ∑ € ½\n

Markup And Quotes Are Kept
    Stdout Should Arrive Exactly    <b>markup</b> & entities &amp; "quotes" 'single' \\backslash\\ %20 $HOME `x`\n

Output That Looks Like JSON Is Kept
    Stdout Should Arrive Exactly    {"json": ["looks", "alike"], "run": {"stdout": ""}}\n

Combining Characters Of Stdout Are Kept
    Execute Program With Combining Characters    source

Terminal Colours Are Kept
    Stdout Should Arrive Exactly    \x1b[1;31mred\x1b[0m and \x1b[2Kcleared\n

Control Characters Are Kept
    Stdout Should Arrive Exactly    bell \x07, backspace \x08, form feed \x0c, delete \x7f\n

NUL Does Not End The Output
    Stdout Should Arrive Exactly    NUL \x00 is not the end\n

Program Without Output Gives Empty Streams
    Execute Python    x = "${NONCE}"
    Stdout Should Be Empty
    Stderr Should Be Empty
    Exit Code Should Be    0

Bytes That Are Not Utf-8 Do Not Break The Answer
    [Documentation]    JSON carries text, so such bytes come as U+FFFD at best; what stands beside them stays.
    Execute Python    import os; os.write(1, b"${NONCE} \\xff\\xfe end")
    Stdout Should Contain    ${NONCE}    because=bytes that are not UTF-8 must not cost the rest of stdout
    Stdout Should Contain    end    because=bytes that are not UTF-8 must not cost the rest of stdout
    Stdout Should Contain    \ufffd    because=a byte that is not UTF-8 is replaced by U+FFFD, not dropped
    Exit Code Should Be    0

Bytes That Are Not Utf-8 Do Not Break Stderr
    Execute Python    import os; os.write(2, b"${NONCE} \\xff\\xfe end")
    Stderr Should Contain    ${NONCE} \ufffd    because=a byte that is not UTF-8 is replaced by U+FFFD, not dropped
    Stderr Should Contain    end    because=bytes that are not UTF-8 must not cost the rest of stderr

Character Written In Two Pieces Stays One
    [Documentation]    Piston itself decodes what arrives piece by piece and shows U+FFFD for a split character.
    Character Written In Two Pieces Should Stay One

Output Of 64 KiB Arrives Whole
    Large Output Should Arrive Whole    65536

Output Of 200 KB Arrives Whole
    Large Output Should Arrive Whole    200000

Output Beyond Any Limit Is Whole Or Visibly Cut
    Output Should Be Whole Or Visibly Cut    4000000

Order Of Many Small Writes Is Kept
    Execute Python    import os; [os.write(1, b"%d " % n) for n in range(100)]; print("${NONCE}")
    Stdout Should Contain    0 1 2 3 4 5 6 7 8 9 10 11 12
    Stdout Should Contain    95 96 97 98 99 ${NONCE}
