*** Settings ***
Documentation     What the session pool that code is meant to run in does itself: the one of
...               ``POOL_MANAGEMENT_ENDPOINT``, by itself or behind ``ENDPOINT``, else the embedded flow's own. Nothing
...               is rehearsed here. Two identifiers are used, which carry the run's name; their sessions are stopped at
...               the end.

Resource          ../../resources/given_pool.resource

Suite Teardown    Stop Sessions Of Given Pool
Test Setup        Use Given Pool

Test Tags         phase-2    contract

Name              Given Pool


*** Test Cases ***
Given Pool Refuses A Caller Without A Token
    [Tags]    R2
    Call Given Pool Without Token
    Given Pool Should Have Refused    401    because=there is no token

Given Pool Refuses A Token For Another Audience
    [Documentation]    Skipped where azure-identity gives no such token.
    [Tags]    R2
    Call Given Pool With Token For    https://storage.azure.com/.default
    Given Pool Should Have Refused    401    because=the token is for another audience

Given Pool Refuses A Call Without An Identifier
    [Tags]    R2
    Call Given Pool Without Identifier
    Given Pool Should Have Refused    400    because=nobody's session is meant

Given Pool Knows No Session Of An Unknown Identifier
    [Documentation]    It says so with 400, not with 404.
    Ask Given Pool About Nobody
    Given Pool Should Have Refused    400    SessionWithIdentifierNotFound

Given Pool Allocates At The First Call And Reuses At The Second
    Given Pool Should Serve From A New Session    alice
    Given Pool Should Serve From The Same Session    alice

Given Pool Lists A Session While It Lives
    Open Session In Given Pool    alice
    Given Pool Should List Session    alice

Given Pool Has A Session For Every Identifier
    Open Session In Given Pool    alice
    Given Pool Should Serve From A New Session    bob
    Given Pool Should Serve From The Same Session    alice
    Given Pool Should List Session    alice
    Given Pool Should List Session    bob

Files Of A Session In The Given Pool Stay In It
    File Of Given Pool Should Stay In Its Session    /tmp

Programs In Two Sessions Of The Given Pool See Nothing Of Each Other
    [Documentation]    One leaves files, a process and a variable, the other looks for them at the same time.
    Execute Files Together In Given Pool    alice    hold_traces.py    bob    look_for_traces.py
    Nothing Should Have Been Seen In Given Pool

No Identity Or Secret Is Visible In A Session Of The Given Pool
    [Documentation]    Environments and command lines of all processes that the program sees hold no identity endpoint
    ...    and no token.
    Requires Sandbox
    Execute File In Given Pool    alice    look_for_identity.py
    Output In Given Pool Should Be    ${NONCE} nothing\n    because=no program may act as the service that runs it

Stopped Session Of The Given Pool Is Gone With Its Data
    [Documentation]    The next call of its identifier gets another session.
    Leave File In Given Pool    alice    /tmp
    Stop Session In Given Pool    alice
    No File Should Be Left In Given Pool    alice    /tmp
    Session In Given Pool Should Be New

Session Of The Given Pool Is Gone After Its Cooldown
    [Documentation]    Waits as long as the pool says, for 6 minutes at most.
    [Tags]    costly
    Requires Costly Tests
    Leave File In Given Pool    alice    /tmp
    Wait For Cooldown Of Given Pool    alice
    No File Should Be Left In Given Pool    alice    /tmp
    Session In Given Pool Should Be New

Given Pool Refuses More Than Its Greatest Number Of Sessions
    [Documentation]    Opens sessions until it is refused one, or has all that ``MAX_SESSIONS_USED`` allows.
    [Tags]    costly    R2
    Requires Costly Tests
    Given Pool Should Fill Up
