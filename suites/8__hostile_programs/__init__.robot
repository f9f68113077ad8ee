*** Settings ***
Documentation    Section 8: programs that try to break what runs them, and the service is well after each of them.
...
...              What other sections already show stays there: programs that loop or sleep, what they printed before,
...              and a child that holds stdout (3.4); exit codes, signals to itself and ``os._exit`` (3.3); endless
...              recursion in Python (3.2); large, empty, unread and non-ASCII stdin (2.2); large output, bytes that
...              are no text, split characters and line ends (1.2); streams kept in order (3.2); files, variables and
...              processes of an earlier run, secrets in the environment and the service's own ports (4.3); file names
...              that lead out (3.5); simultaneous runs (4.1, 4.2).

Library          ../../libraries/TargetLibrary.py

Name             8 Hostile Programs
