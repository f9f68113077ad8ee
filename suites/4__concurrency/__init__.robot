*** Settings ***
Documentation    Section 4 of the test plan: requests in turn and at once, and nothing of one in another.

Library          ../../libraries/TargetLibrary.py

Name             4 Concurrency
