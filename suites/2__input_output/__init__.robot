*** Settings ***
Documentation    Section 2 of the test plan: what a program is given arrives: stdin, arguments, files.

Name             2 Input And Output
