*** Settings ***
Documentation    Diagnosis of a deployment: the chain from the backend's host name to the program is walked from
...              outside in, and the first broken link is named with its likely cause and what to do.

Library          ../../../libraries/TargetLibrary.py

Name             Deployment
