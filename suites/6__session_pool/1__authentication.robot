*** Settings ***
Documentation    A session pool lets in whoever has the right token, and says no to everybody else in a way that shows
...              what is wrong (Azure dynamic sessions contract, section 5). Tokens are azure-identity's.

Resource         ../../resources/authentication.resource
Resource         ../../resources/session_pool.resource

Test Tags        contract    phase-2    rehearsal

Name             Authentication


*** Test Cases ***
Token Is For Session Pools And Not About To Expire
    Use Private Pool
    Token For Private Pool Should Be Good

App Service Identity Opens The Pool
    Identity Should Open The Pool    app-service

Virtual Machine Identity Opens The Pool
    Identity Should Open The Pool    imds

Client Secret Opens The Pool
    Identity Should Open The Pool    client-secret

Workload Identity Opens The Pool
    Identity Should Open The Pool    workload

Token For Another Audience Is Refused
    [Tags]    R2
    Use Private Pool
    Execute In Private Pool    scope=https://management.azure.com/.default
    Pool Should Have Refused The Caller    401    I1    because=the token is for another audience
    Diagnosis Should Say    audience https://management.azure.com

Expired Token Is Refused
    [Tags]    R2
    Use Private Pool
    Let Identity Give Tokens    lifetime=-60
    Execute In Private Pool
    Pool Should Have Refused The Caller    401    I2    because=the token has expired
    Diagnosis Should Say    token that has expired

Identity Without The Role Is Refused
    [Tags]    R2
    Use Private Pool
    Let Identity Give Tokens    with_role=${False}
    Execute In Private Pool
    Pool Should Have Refused The Caller    403    I3    because=the identity lacks the role on the pool
    Diagnosis Should Say    Azure ContainerApps Session Executor

Forged Token Is Refused
    [Documentation]    It claims all that the pool wants; only its signature is another's.
    [Tags]    R2
    Use Private Pool
    Let Identity Give Tokens    forged=${True}
    Execute In Private Pool
    Pool Should Have Refused The Caller    401    I1    because=another key signed the token
    Diagnosis Should Say    issued by another tenant or cloud, or was altered

Caller Without A Token Is Refused
    [Tags]    R2
    Use Private Pool
    Execute In Private Pool Without Token
    Pool Should Have Refused The Caller    401    I0    because=there is no token
    Diagnosis Should Say    credentials sent: none

No Session Is Open To A Caller Without A Token
    [Documentation]    Neither to programs nor to questions, although a caller with a token was served before.
    [Tags]    R2
    Share Session Pool
    Program Should Be Served By A New Session    alice
    Callers Without A Token Should Be Refused    alice
    Program Should Be Served By The Same Session    alice

Refusal Is Told Apart Through A Backend Too
    [Documentation]    The backend answers 500; its message tells what the pool said to it.
    [Tags]    R2
    Use Private Pool
    Let Identity Give Tokens    with_role=${False}
    Use Private Backend
    Execute Through Private Backend
    Diagnosis Should Say    the identity is known but lacks the role

Token Is Fetched Once For Many Calls
    Share Session Pool
    Execute With One Identifier    5
    Execute With A New Identifier Per Call    2
    Tokens Fetched Should Be    1

Long Run Outlives Its Tokens
    [Documentation]    Tokens live for two seconds here. A caller that goes on is served, and asks for a new one only
    ...    when it needs one.
    Share Session Pool
    Call As A New Caller    token_life=2
    Execute Over Lives Of Tokens    3
    Tokens Fetched Should Be    3

Token Does Not Reach The Container
    Share Session Pool
    Program Should Be Served By A New Session    alice
    Container Should Not Have Been Sent    alice    Authorization

Secrets Reach No File Of The Run
    [Documentation]    Tokens go through keywords, arguments and failure cards, and yet nowhere else.
    Use Private Pool
    ${token} =    Get Token For Private Pool
    Log    ${token}
    Let Identity Give Tokens    with_role=${False}
    Execute In Private Pool
    No Secret Should Have Been Written
