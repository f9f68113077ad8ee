*** Settings ***
Documentation    Simultaneous requests really run at once, and no answer is another's.

Resource         ../../resources/concurrency.resource

Test Tags        phase-1    contract

Name             Simultaneous Requests


*** Test Cases ***
Ten Simultaneous Programs Overlap
    [Documentation]    Proven by the programs' own clocks: at some moment at least two of them ran.
    [Tags]    P3
    Execute Simultaneously    10    seconds=0.7
    Programs Should Have Overlapped    at_least=2

Simultaneous Runs Give Their Own Results
    [Documentation]    Random input, tokens and exit codes, ten at a time; the throughput is documented.
    [Tags]    P3    P4
    Independent Runs Should Give Independent Results    60    at_once=10    seed=11

Identical Requests Are Executed Anew
    [Documentation]    A memory of whole requests would answer them without running anything.
    Identical Requests Should Be Executed Anew

Many Runs Give Their Own Results
    [Documentation]    So many that a fault of one request in 25 is met, and one that begins late in the run.
    [Tags]    P5
    Independent Runs Should Give Independent Results    100    at_once=2    seed=12
