*** Settings ***
Documentation    Section 3 of the test plan: what goes wrong is told: exit codes, stderr, limits, refusals.

Library          ../../libraries/TargetLibrary.py

Name             3 Error Handling
