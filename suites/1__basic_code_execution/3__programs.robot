*** Settings ***
Documentation    Programs run as their authors expect: as scripts, in their own language and version.

Resource         ../../resources/execution.resource

Test Tags        phase-1    contract

Name             Programs


*** Test Cases ***
Program Runs As A Script
    [Documentation]    ``__name__`` is ``__main__``, as at a command line.
    Execute Python    print("${NONCE}", __name__)
    Stdout Should Be    ${NONCE} __main__\n    because=a program file is run as a script, so __name__ is __main__

Characters In The Program Are Kept
    [Documentation]    The program itself is UTF-8, its strings and comments included.
    Execute Python    print("${NONCE} äöü αβγ 漢字 😀")${SPACE * 2}# ünïcödé
    Stdout Should Be    ${NONCE} äöü αβγ 漢字 😀\n    because=a program file is UTF-8
    Exit Code Should Be    0

Program Keeps Its File Name
    Capability Should Be Honoured    file-names
    Execute Python    import os; print("${NONCE}", os.path.basename(__file__))    file_name=my_program.py
    Stdout Should Be    ${NONCE} my_program.py\n    because=a file has the name that it was sent with

Version Of The Answer Is Concrete
    [Documentation]    ``*`` was asked for; what ran has a version such as 3.11.2.
    Execute Python    print("${NONCE}")    version=*
    Version Of Answer Should Be Concrete

Version Of The Answer Is The One That Ran
    [Documentation]    Compared as far as both have parts: 3.11 is the same as 3.11.2.
    Execute Python    import sys; print("${NONCE}", "{}.{}.{}".format(*sys.version_info))
    Version Of Answer Should Be The One That Ran

Unknown Version Is Refused
    [Documentation]    A service that answers 200 for any version has not looked at it.
    Capability Should Be Honoured    version

Any Version Is Understood
    Version Range Should Be Accepted    *

Major Version Is Understood
    Version Range Should Be Accepted    3

Version With Wildcard Is Understood
    Version Range Should Be Accepted    3.x

Lowest Version Is Understood
    Version Range Should Be Accepted    >=3.0.0

Alias Of A Language Is Understood
    [Documentation]    Whatever name was sent, the answer has the canonical one.
    ${alias} =    Get Alias Of Language    python
    Execute Program    ${alias}    print("${NONCE}")
    Stdout Should Be    ${NONCE}\n    because=${alias} is a listed alias of python
    Language Of Answer Should Be    python

Python Program Greets
    [Tags]    language-python
    Program In Language Should Greet    python    hello.py    Python

JavaScript Program Greets
    [Tags]    language-javascript
    Program In Language Should Greet    javascript    hello.js    JavaScript

Bash Program Greets
    [Tags]    language-bash
    Program In Language Should Greet    bash    hello.sh    Bash

C Program Greets
    [Tags]    language-c
    Program In Language Should Greet    c    hello.c    C

C++ Program Greets
    [Tags]    language-c++
    Program In Language Should Greet    c++    hello.cpp    C++

Java Program Greets
    [Tags]    language-java
    Program In Language Should Greet    java    java/Main.java    Java

C# Program Greets
    [Tags]    language-csharp
    Program In Language Should Greet    csharp    csharp/Hello.cs    C#


*** Keywords ***
Version Range Should Be Accepted
    [Documentation]    Executes a program in the newest Python that ``range`` admits.
    [Arguments]    ${range}
    Requires Capability    version
    Execute Python    import sys; print("${NONCE}", sys.version_info[0])    version=${range}
    Stdout Should Be    ${NONCE} 3\n    because=the version range ${range} admits Python 3
    Version Of Answer Should Be Concrete
