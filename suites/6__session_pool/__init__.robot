*** Settings ***
Documentation    Phase 2 of the test plan: Azure's contract for session pools, rehearsed on private embedded services.
...              Whatever the target is, these tests never touch it.

Name             6 Session Pool
