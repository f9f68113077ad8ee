*** Settings ***
Documentation     Phase 3 of the test plan: how fast, how much at once, and what is left behind. Figures stand at the
...               top of the report, pictures in the log of each test, raw samples in the folder ``samples`` beside
...               it, and ``metrics.json`` has all figures for machines.
...
...               The embedded and the local target get a flow of their own for this, which nothing else uses. A
...               service that is given is loaded itself, with no more at once than the profile has sessions, nor
...               than ``MAX_SESSIONS_USED`` in a pool; it is not overloaded unless that is asked for. Measure it while
...               nobody else uses it, and with nothing else running here.

Library           ../../libraries/TargetLibrary.py
Library           ../../libraries/PerformanceLibrary.py

Suite Teardown    Close Load Target

Name              7 Performance
