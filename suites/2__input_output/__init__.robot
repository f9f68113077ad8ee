*** Settings ***
Documentation    Section 2 of the test plan: what a program is given arrives: stdin, arguments, files.

Library          ../../libraries/TargetLibrary.py

Name             2 Input And Output
