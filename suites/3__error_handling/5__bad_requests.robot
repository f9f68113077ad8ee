*** Settings ***
Documentation    Bad requests are refused with a 4xx, and do no harm (Piston v2 contract, section 2). Which body
...              a refusal has is judged once, by the last test.

Resource         ../../resources/backend_api.resource

Test Timeout     2 minutes

Test Tags        phase-1    contract    R2

Name             Bad Requests


*** Test Cases ***
Request Without Language Is Refused
    Malformed Request Should Be Refused    without a language
    ...    {"version": "*", "files": [{"content": "print(1)"}]}

Language That Is A Number Is Refused
    Malformed Request Should Be Refused    whose language is a number
    ...    {"language": 3, "version": "*", "files": [{"content": "print(1)"}]}

Request Without Version Is Refused
    Malformed Request Should Be Refused    without a version
    ...    {"language": "python", "files": [{"content": "print(1)"}]}

Version That Is A Number Is Refused
    Malformed Request Should Be Refused    whose version is a number
    ...    {"language": "python", "version": 3, "files": [{"content": "print(1)"}]}

Request Without Files Is Refused
    Malformed Request Should Be Refused    without files
    ...    {"language": "python", "version": "*"}

Files That Are No List Are Refused
    Malformed Request Should Be Refused    whose files are no list
    ...    {"language": "python", "version": "*", "files": "print(1)"}

Empty List Of Files Is Refused
    [Documentation]    An answer 200 with empty output would be a silent success of nothing.
    Malformed Request Should Be Refused    with an empty list of files
    ...    {"language": "python", "version": "*", "files": []}

File Without Content Is Refused
    Malformed Request Should Be Refused    with a file without content
    ...    {"language": "python", "version": "*", "files": [{"name": "main.py"}]}

Content That Is A Number Is Refused
    Malformed Request Should Be Refused    whose file content is a number
    ...    {"language": "python", "version": "*", "files": [{"content": 1}]}

Stdin That Is A Number Is Refused
    Malformed Request Should Be Refused    whose stdin is a number
    ...    {"language": "python", "version": "*", "files": [{"content": "print(1)"}], "stdin": 5}

Unknown Language Is Refused
    Malformed Request Should Be Refused    of an unknown language
    ...    {"language": "no-such-language", "version": "*", "files": [{"content": "print(1)"}]}

Language In Other Case Is Refused
    [Documentation]    Names of languages are case-sensitive.
    Malformed Request Should Be Refused    whose language is PYTHON
    ...    {"language": "PYTHON", "version": "*", "files": [{"content": "print(1)"}]}

Version Latest Is Refused
    [Documentation]    The word is no version range.
    Requires Capability    version
    Malformed Request Should Be Refused    whose version is the word latest
    ...    {"language": "python", "version": "latest", "files": [{"content": "print(1)"}]}

Unknown Version Of A Known Language Is Refused
    Requires Capability    version
    Malformed Request Should Be Refused    of an unknown version
    ...    {"language": "python", "version": "98.x", "files": [{"content": "print(1)"}]}

Time Limit That Is No Number Is Refused
    Requires Capability    run_timeout
    Malformed Request Should Be Refused    whose run_timeout is a text
    ...    {"language": "python", "version": "*", "files": [{"content": "print(1)"}], "run_timeout": "soon"}

Negative Time Limit Is Refused
    Requires Capability    run_timeout
    Malformed Request Should Be Refused    whose run_timeout is negative
    ...    {"language": "python", "version": "*", "files": [{"content": "print(1)"}], "run_timeout": -5}

Time Limit Above Every Ceiling Is Refused
    Requires Capability    run_timeout
    Malformed Request Should Be Refused    whose run_timeout is above every ceiling
    ...    {"language": "python", "version": "*", "files": [{"content": "print(1)"}], "run_timeout": 999999999}

Malformed JSON Is Refused
    Malformed Request Should Be Refused    whose body is no JSON    {"language": "python", "version":

Body That Is No Object Is Refused
    Malformed Request Should Be Refused    whose body is null    null

Empty Object Is Refused
    Malformed Request Should Be Refused    that is an empty object    {}

Wrong Content Type Is Refused
    ${body} =    Get Execute Body    print("${NONCE}")
    Malformed Request Should Be Refused    of content type text/plain    ${body}    content_type=text/plain

Oversized Body Is Refused Or Served
    [Documentation]    Piston takes 100 kB at most. A service that takes more executes the program.
    ${body} =    Get Oversized Body    300000
    Exchange    POST    execute    ${body}
    Answer Should Be A Refusal Or A Result    stdout=${NONCE}\n    because=the body is 300 kB long
    Next Program Should Run Normally    after=a request whose body is 300 kB long

File Name That Leaves The Job Folder Does No Harm
    File Name Should Not Lead Out    ../${NONCE}

File Name That Leaves By A Detour Does No Harm
    File Name Should Not Lead Out    folder/../../${NONCE}

Absolute File Name Does No Harm
    File Name Should Not Lead Out    /tmp/${NONCE}

Get On The Execute Route Is Refused
    Send Request    GET    execute
    Answer Should Be A Refusal    because=programs are executed by POST only

Unknown Route Is Refused
    Send Request    GET    no-such-route
    Answer Should Be A Refusal    because=there is no such route

Trailing Slash Makes No Difference
    ${body} =    Get Execute Body    print("${NONCE}")
    Post To Execute    ${body}    path=execute/
    Answer Status Should Be    200

Unknown Field Does No Harm
    Post To Execute
    ...    {"language": "python", "version": "*", "files": [{"content": "print('${NONCE}')"}], "no_such_field": 1}
    Answer Status Should Be    200
    Answer Should Have Field    run.stdout    ${NONCE}\n

Refusal Says What Is Wrong
    Post To Execute    {"version": "*", "files": [{"content": "print(1)"}]}
    Answer Should Be A Refusal    because=a request without a language must be refused
    Refusal Should Say    language

Refusal Has A Body Of The Contract
    Post To Execute    {"version": "*", "files": [{"content": "print(1)"}]}
    Answer Should Be A Refusal    because=a request without a language must be refused
    Refusal Should Have A Body Of The Contract
