*** Settings ***
Documentation    Phase 2 of the test plan: Azure's contract for session pools, rehearsed on private embedded services.
...              Whatever the target is, tests with the tag ``rehearsal`` never touch it; the others are about
...              the pool that it is or has behind it, and ask where it executes.

Library          ../../libraries/TargetLibrary.py

Name             6 Session Pool
