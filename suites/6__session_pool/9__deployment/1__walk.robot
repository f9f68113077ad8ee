*** Settings ***
Documentation    The walk of the deployment under test, and walks of private deployments that are broken on purpose:
...              each must stop at the right link and name its cause. Links that can't be seen from where the suite
...              runs are said to be so; none of them counts as broken.

Resource         ../../../resources/deployment.resource

Test Timeout     2 minutes

Test Tags        contract    phase-2    R2

Name             Walk


*** Test Cases ***
Deployment Has No Broken Link
    [Documentation]    The table of all links is in the log.
    Walk Deployment

Sound Backend In Front Of No Pool Is Not Blamed
    [Tags]    rehearsal
    Walk Broken Deployment    backend=sound
    Walk Should Have Found No Broken Link
    Links Should Have Passed    host name    connection    backend up    field names    real execution

Sound Pool Is Walked To Its End
    [Tags]    rehearsal    thorough
    Walk Broken Deployment    pool=guarded
    Walk Should Have Found No Broken Link
    Links Should Have Passed    token    role    target port    container    real execution    who executed

Address Where Nothing Listens Is Named
    [Tags]    rehearsal
    Backend Should Be Diagnosed    nowhere    connection    N3
    Links Should Have Passed    host name

Web Page Instead Of The API Is Named
    [Tags]    rehearsal    thorough
    Walk Embedded Backend    --fault    html-page-as-200
    Walk Should Have Stopped At    backend up    N17
    Links Should Have Passed    host name    connection

Missing Pool Setting Is Named
    [Documentation]    The backend tells it as the output of a program.
    [Tags]    rehearsal    thorough
    Backend Should Be Diagnosed    X1    pool setting    X1
    Walk Should Have Told    set POOL_MANAGEMENT_ENDPOINT where the backend runs

Pool Down Behind The Backend Is Named
    [Tags]    rehearsal    thorough
    Walk Embedded Backend    pool=nowhere
    Walk Should Have Stopped At    pool reachable    N19
    Links Should Have Passed    backend up    pool setting

Incomplete Credential Of The Backend Is Named
    [Tags]    rehearsal    thorough
    Backend Should Be Diagnosed    I7    token    I7
    Walk Should Have Told    AZURE_CLIENT_SECRET

Token For Another Audience Is Named
    [Documentation]    What the token claims is shown, the token never.
    [Tags]    rehearsal    thorough
    Let Callers Have Tokens    audience=https://management.azure.com
    Pool Should Be Diagnosed    guarded    token    I1
    Walk Should Have Told    audience https://management.azure.com    https://dynamicsessions.io/.default

Expired Token Is Named
    [Tags]    rehearsal    thorough
    Let Callers Have Tokens    lifetime=-60
    Pool Should Be Diagnosed    guarded    token    I2

Missing Role Is Named
    [Documentation]    One that was given a moment ago looks the same, and so does a mistyped path at some gateways.
    [Tags]    rehearsal
    Let Callers Have Tokens    with_role=${False}
    Pool Should Be Diagnosed    guarded    role    I3    I4    R9
    Links Should Have Passed    pool reachable    token
    Walk Should Have Told    Azure ContainerApps Session Executor

Missing Target Port Is One Of Three Candidates
    [Documentation]    A client can't tell it from ingress that is off, or from a container without any of the paths.
    [Tags]    rehearsal    thorough
    Pool Should Be Diagnosed    R1    target port    R1    R2    R3
    Links Should Have Passed    token    role

Container That Does Not Listen Is Named
    [Tags]    rehearsal
    Backend Should Be Diagnosed    X1-C7    container    C7
    Links Should Have Passed    backend up    target port

Field Names That Differ Are Named
    [Documentation]    Every program seems to succeed, without output.
    [Tags]    rehearsal
    Backend Should Be Diagnosed    X2    field names    X2

Zero Taken For A Missing Exit Code Is Named
    [Tags]    rehearsal    thorough
    Backend Should Be Diagnosed    X3    real execution    X3

Placeholder Image Is Named By The Walk
    [Documentation]    By its words, or by a nonce that does not come back.
    [Tags]    rehearsal    thorough
    Backend Should Be Diagnosed    X5    real execution    X5
    Backend Should Be Diagnosed    X5-constant    real execution    X5

Platform Error As A Result Is Named By What Is Inside
    [Documentation]    HTTP 200, exit code 1, and the pool's refusal on stderr: not a program that failed.
    [Tags]    rehearsal    thorough
    Backend Should Be Diagnosed    X1-I1    token    I1
    Walk Should Have Told    delivered as HTTP 200    (X1)

Silent Fallback Is Named
    [Documentation]    The backend answers well, and no session of the pool given was used.
    [Tags]    rehearsal    thorough
    Walk Broken Deployment    backend=sound    pool=guarded
    Walk Should Have Stopped At    who executed    X4
    Links Should Have Passed    real execution

Backend Given As A Session Pool Is Named
    [Documentation]    It executes, and has no management route: nothing shows a session.
    [Tags]    rehearsal    thorough
    Pool Should Be Diagnosed    sound    pool request    X4
    Links Should Have Passed    host name    connection    token
