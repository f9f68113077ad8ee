*** Settings ***
Documentation    Section 5 of the test plan: the whole flow through the API, and all test cases.

Library          ../../libraries/TargetLibrary.py

Name             5 Integration
