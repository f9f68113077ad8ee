*** Settings ***
Documentation    Section 3 of the test plan: what goes wrong is told: exit codes, stderr, limits, refusals.

Name             3 Error Handling
