*** Settings ***
Documentation    When its session pool is out of order, a backend degrades in the open or fails in the open, and comes
...              back by itself (requirement R3 of the plan).

Resource         ../../resources/degradation.resource

Test Tags        phase-2    rehearsal    R3

Name             Degradation


*** Test Cases ***
Backend Uses The Pool Again Once It Is Back
    [Tags]    must
    Pool Is Up
    Use Private Backend    fallback=${True}
    Program Should Run In The Pool Behind The Backend
    Stop Private Pool
    Program Should Run In The Fallback
    Start Private Pool Again
    Program Should Run In The Pool Behind The Backend

Backend With Fallback Answers While The Pool Is Down
    [Tags]    must
    Pool Is Down For A Backend    fallback=${True}
    Program Should Run In The Fallback

Backend That Fell Back Is Told By Its Provenance
    [Tags]    contract
    Pool Is Down For A Backend    fallback=${True}
    Execute Through Private Backend
    Run Keyword And Expect Error    *DEGRADED*nothing listening*    Program Should Have Run In The Pool

Backend Without Fallback Says In Time What Is Wrong
    [Tags]    must    R2
    Pool Is Down For A Backend    fallback=${False}
    Execute Through Private Backend
    Backend Should Have Failed Within    10
    Diagnosis Should Say    the backend works, but can't reach its session pool
