*** Settings ***
Documentation    Acceptance suite for code-execution services: Backend API → session pool → execution → response.
...
...              The suites follow the sections and numbers of the test plan. Beside the planned tests, tagged
...              ``must``, stand those that the Piston v2 contract demands, tagged ``contract``.

Library          ../libraries/TargetLibrary.py

Name             Session Pool Code Execution
