*** Settings ***
Documentation    Section 1 of the test plan: a program runs and its output comes back, to the byte.

Library          ../../libraries/TargetLibrary.py

Name             1 Basic Code Execution
