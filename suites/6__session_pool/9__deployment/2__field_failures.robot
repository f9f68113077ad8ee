*** Settings ***
Documentation    Failures as they were met in the field: each test provokes one on a private deployment that is broken
...              in this way, and the report must name the cause and say what to do. Rows are named as in the causes
...              that reports give: I identity, R routing and requests, C capacity and time, X false results.
...
...              What no client can tell apart is reported as candidates: I3 and I4 and R9 by one refusal, R1 and R2
...              always, C1 and C2 and C3 by one 429.
...
...              Shown elsewhere: I1, I2 and I3 by Authentication, C4 by Capacity, X4 by Where It Ran.
...
...              Not shown: I5, a role assignment that is refused, which happens between a person and Azure's control
...              plane, before any client of the pool exists.

Resource         ../../../resources/field_failures.resource

Test Tags        contract    phase-2    rehearsal    R2

Name             Field Failures


*** Test Cases ***
Role That Is Still Propagating Is Named Once Calls Succeed
    [Tags]    thorough
    Use Broken Deployment    guarded
    Role Takes Effect After    0.3
    Repeat Until It Works There
    Report Should Name    I4    still propagating    wait up to 5 minutes and repeat before changing anything

Person's Own Sign-In Is Named As The Cause Of 403
    [Tags]    thorough
    Use Broken Deployment    guarded
    Identity Is A Persons    with_role=${False}
    Repeat There    times=1
    Report Should Name    I6    a person's own sign-in was used    set AZURE_TOKEN_CREDENTIALS

Credential Without A Variable Is Named Although It Came As A Result
    [Tags]    thorough
    Any Program There Should Be Diagnosed    I7    I7
    ...    cause=variables are incomplete    cure=AZURE_CLIENT_SECRET

Missing Target Port And Missing Ingress Are Named As Candidates
    Use Broken Deployment    R1
    Ask Paths There    /api/v2/execute?identifier=alice    /?identifier=alice
    Report Should Name    R1 or R2    target port is missing or whose ingress is off    recreate the pool with the port

Language That The Container Has No Route For Is Named
    [Tags]    thorough
    Use Broken Deployment    R3
    Execute There    language=c++
    Report Should Name    R3    has no route for this request    cpp for c++

Built-In Route Of A Custom Pool Is Named
    [Tags]    thorough
    [Template]    Request There Should Be Diagnosed
    pool    GET /session?identifier=alice    R3    forwards it to its container    /.management/
    pool    GET /listSessions?identifier=alice    R3    forwards it to its container    /.management/
    pool    GET /metadata?identifier=alice    R3    forwards it to its container    /.management/

Wrong Path At A Typed Framework Is Named
    [Tags]    thorough
    [Template]    Request There Should Be Diagnosed
    minimal    POST /v1/execute    R4    typed web framework    correct the base URL
    minimal    GET /api/v2/execute    R4    typed web framework    correct the base URL
    minimal    POST /api/v2/execute/    R4    a final slash    correct the base URL

Call Without An Identifier Is Named
    [Documentation]    The second one believes in a call that creates a session.
    [Template]    Request There Should Be Diagnosed
    pool    POST /api/v2/execute    R5    without an identifier    append ?identifier=
    pool    POST /sessions    R5    without an identifier    there is no call that creates a session

Version Parameter On The Container's Route Is Named
    [Tags]    thorough
    Request There Should Be Diagnosed    R6
    ...    POST /api/v2/execute?identifier=alice&api-version=2025-10-02-preview
    ...    R6    refuses the api-version parameter    drop api-version on the container's own routes

Wrapped Body For The Flat Generation Is Named
    [Tags]    thorough
    Use Broken Deployment    interpreter
    Ask There    POST /executions?identifier=alice&api-version=2025-10-02-preview    {"properties": {"code": "1"}}
    Report Should Name    R7    sent to the other    executions flat

Flat Body For The Wrapped Generation Is Named
    [Tags]    thorough
    Use Broken Deployment    interpreter
    Ask There    POST /code/execute?identifier=alice&api-version=2024-02-02-preview    {"code": "1"}
    Report Should Name    R7    sent to the other    code/execute wrapped in properties

Custom Pool Behind The Regional Host Is Named
    Request There Should Be Diagnosed    pool
    ...    POST /subscriptions/s/resourceGroups/g/sessionPools/p/executions?identifier=alice
    ...    R8    regional management host    use the pool's own host

Legacy Path Is Forbidden And Names What Can't Be Told Apart By It
    [Tags]    thorough
    Request There Should Be Diagnosed    interpreter
    ...    POST /python/execute?identifier=alice&api-version=2023-08-01-preview
    ...    I3 or I4 or R9    a mistyped or old path gets 403, too    wait 5 minutes

Legacy Path Is Named Where Another Path Works
    [Tags]    thorough
    Use Broken Deployment    interpreter
    Ask Paths There    /python/execute?identifier=alice&api-version=2023-08-01-preview
    ...    /executions?identifier=alice&api-version=2025-10-02-preview
    Report Should Name    R9    token and role are right    check the path against the table of the API version

Legacy Version Is Named
    [Tags]    thorough
    Request There Should Be Diagnosed    interpreter
    ...    POST /executions?identifier=alice&api-version=2023-08-01-preview
    ...    R9    did not accept the identifier, the api-version or the route    look at 'target' in the answer

Validation By A Framework Is Named
    [Tags]    thorough
    Use Broken Deployment    minimal
    Ask There    POST /api/v2/execute    {"language": "python", "version": "*"}
    Report Should Name    R10    validates by its web framework    list it as a deviation

Random Identifier Per Call Is Named As The Cause Of 429
    Use Broken Deployment    C1
    Call There As    amy    bob    cas    dan
    Report Should Name    C1    an identifier of its own    reuse one identifier per user or worker

Sessions That Are Never Stopped Are Named As The Cause Of 429
    [Tags]    thorough
    Use Broken Deployment    C1
    Call There As    amy    bob    amy    cas    bob    dan
    Report Should Name    C2    never released    stop sessions at the end

Warming Pool Is Named Once Calls Succeed
    [Tags]    thorough
    Use Broken Deployment    C3
    Ready Instance Is Taken
    Repeat Until It Works There
    Report Should Name    C3    it was warming    wait for ready instances

Rate Limiter Per Worker Is Named
    [Tags]    thorough
    Use Broken Deployment    C5
    Repeat There    times=6
    Report Should Name    C5    memory of each worker process    share its store between workers

Replicas That Do Not Scale Are Named With The Failures By Concurrency
    [Tags]    thorough
    Use Broken Deployment    C6
    Execute At Once There    1    4
    Report Should Name    C6    4 at once: 2 of 4 failed    raise the number of replicas

Container That Is Still Starting Is Named Once Calls Succeed
    [Tags]    thorough
    Use Broken Deployment    C7-starting
    Repeat Until It Works There
    Report Should Name    C7    still starting    wait and repeat

Container That Never Listens Is Named Where Repeats Fail
    [Tags]    thorough
    Use Broken Deployment    C7
    Repeat Until It Works There    within=0.5
    Report Should Name    C7    another port than the target port    read the container's console log

Slow First Call Is Named As Cold Start
    [Tags]    thorough
    Use Broken Deployment    C8
    Repeat There    times=4
    Report Should Name    C8    (cold start)    report cold and warm calls separately

Requests That Hang From Three At Once Are Named With Their Number
    [Tags]    thorough
    Use Broken Deployment    C9
    Execute At Once There    1    3    deadline=2.5
    Report Should Name    C9    hang from 3 at a time on    run a production server with several workers

Allocator That Fails Now And Then Is Counted And Named
    [Tags]    thorough
    Use Broken Deployment    C10
    Repeat There    times=4
    Report Should Name    C10    1 of 4 requests failed    a bounded number of times

Limit Of The Built-In Interpreter Is Named
    [Tags]    thorough
    Use Broken Deployment    C11
    Execute There    import time; time.sleep(60)    expected=${EMPTY}
    Report Should Name    C11    after about 220 s    shorten the program

Backend Without A Pool's Address Is Named Although It Came As A Result
    Any Program There Should Be Diagnosed    X1    X1
    ...    cause=no address of a session pool    cure=set POOL_MANAGEMENT_ENDPOINT

Pool's Error Told As A Result Is Named By The Status Inside It
    [Tags]    thorough
    [Template]    Any Program There Should Be Diagnosed
    X1-I1    I1    token is for another audience    https://dynamicsessions.io/.default
    X1-R1    R1 or R2    target port is missing    recreate the pool with the port
    X1-C7    C7    listens on another port    read the container's console log

Pool's 429 Told As A Result Names What Can't Be Told Apart
    [Tags]    thorough
    Use Broken Deployment    X1-C1
    Repeat There    times=4
    Report Should Name    C1 or C2 or C3    a new random identifier    reuse one identifier per user or worker

Field Names That Differ Are Told From Success
    [Documentation]    Every program, even one that crashes, seems to succeed without output.
    [Tags]    thorough
    [Template]    Program There Should Be Diagnosed
    X2    print("@NONCE@")    X2    name fields differently    let it fail on absent fields
    X2    print("@NONCE@"); 1 / 0    X2    name fields differently    let it fail on absent fields

Exit Code 0 Taken For A Missing Value Is Named
    Any Program There Should Be Diagnosed    X3    X3
    ...    cause=takes exit code 0 for a missing value    cure=test for null instead of truth

Placeholder Image Is Named
    [Template]    Any Program There Should Be Diagnosed
    X5    X5    does not depend on the program    under a new tag
    X5-constant    X5    nonce did not come back    under a new tag

Image That Is Older Than The Code Is Named
    [Tags]    thorough
    Use Broken Deployment    minimal
    Execute There    language=csharp
    Report Should Name    X6    cached per tag    push the image under a new tag

One Identifier For Everybody Is Named
    Use Broken Deployment    X7
    Leave A Variable There
    Look For The Variable There
    Report Should Name    X7    one sandbox or session serves everyone    give every user an identifier of its own

Ignored Language Is Named
    Use Broken Deployment    X8
    Execute There    console.log("@NONCE@")    language=javascript
    Report Should Name    X8    runs everything as Python    route by the language

Pinned Version Is Named
    [Tags]    thorough
    Any Program There Should Be Diagnosed    X9    X9
    ...    cause=pins a version that the executor does not have    cure=send a version range

Dropped Arguments Are Named
    [Tags]    thorough
    Use Broken Deployment    minimal
    Execute There    import sys; print(sys.argv[1])    expected=@NONCE@\n    argument=@NONCE@
    Report Should Name    X10    drops args    list args as a deviation

Output Limit Is Told From A Timeout
    Use Broken Deployment    X11
    Execute There    import sys; sys.stderr.write("x" * 2000); print("@NONCE@")
    Report Should Name    X11    output exceeded the service's limit    raise the output limit

Virtual Machine That Gets Too Little Memory Is Named
    [Tags]    language-javascript    thorough
    Use Broken Deployment    X12
    Require Language There    javascript
    Execute There    console.log("@NONCE@")    language=javascript
    Report Should Name    X12    too small for the language's virtual machine    raise the memory and process limits

Java Class That Must Be Main Is Named
    [Tags]    language-java    thorough
    Use Broken Deployment    X13
    Require Language There    java
    Execute There    public class Greeter { }    language=java
    Report Should Name    X13    most want Main    name the public class as the service documents

Executor Of Another Contract Is Named
    [Tags]    thorough
    Any Program There Should Be Diagnosed    X14    X14
    ...    cause=speak different contracts    cure=align the two

Network Of The Host Is Named
    [Tags]    thorough
    Use Broken Deployment    X15
    Try To Reach The Machine There
    Report Should Name    X15    has the host's network    give the sandbox a network of its own
