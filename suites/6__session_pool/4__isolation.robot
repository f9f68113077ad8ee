*** Settings ***
Documentation    The identifier is the only boundary between users: nothing of one session shows in another, and
...              nothing of a session that has ended comes back. An interpreter keeps its data between calls, so
...              that is where it would show.

Resource         ../../resources/session_pool.resource

Test Setup       Share Session Pool    kind=python    sandbox=bubblewrap

Test Tags        phase-2    contract    rehearsal

Name             Isolation Of Sessions


*** Test Cases ***
Variable Of A Session Stays In It
    Execute In Session    alice    text = "of alice"
    Execute In Session    alice    print(text)
    Output Should Be    of alice\n    because=a session keeps its variables between calls
    Execute In Session    bob    print("text" in globals())
    Output Should Be    False\n    because=a variable of one session must not be seen in another

Files Of A Session Stay In It
    File Should Stay In Its Session    /mnt/data/left
    File Should Stay In Its Session    /tmp/left
    File Should Stay In Its Session    /dev/shm/left

Process Of A Session Stays In It
    Execute File In Session    alice    leave_child.py
    Execute File In Session    alice    look_for_process.py
    Output Should Be    ${NONCE} a process of the run before is there\n    because=a session keeps its processes
    Execute File In Session    bob    look_for_process.py
    Output Should Be    ${NONCE} nothing left\n    because=a process of one session must not be seen in another

Environment Of A Session Stays In It
    Execute In Session    alice    import os; os.environ["LEFT"] = "${NONCE}"
    Execute In Session    alice    print(os.environ["LEFT"])
    Output Should Be    ${NONCE}\n    because=a session keeps its environment between calls
    Execute In Session    bob    import os; print("LEFT" in os.environ)
    Output Should Be    False\n    because=the environment of one session must not be seen in another

Users Meet Their Own Sessions Throughout
    [Documentation]    Each call finds what its user left, however often somebody else called in between.
    Users Should Meet Their Own Sessions    alice    bob    carol    calls=100

Users Meet Their Own Sessions At The Same Time
    Users Should Meet Their Own Sessions At Once    alice    bob    carol    times=3

Data Of A Stopped Session Never Comes Back
    [Documentation]    The next sessions may come from instances that were ready before; more are looked at than that.
    [Setup]    Share Session Pool For Data
    Leave Data In Session    alice
    Stop Session    alice
    No Data Should Be Left In Sessions    alice    bob    carol

Data Of A Session That Cooled Down Never Comes Back
    [Setup]    Share Session Pool For Data
    Leave Data In Session    alice
    Move Pool Clock    301
    No Data Should Be Left In Sessions    alice    bob    carol

Data Of A Stopped Session Does Not Pass To The Next Users
    [Setup]    Share Session Pool For Data
    Leave Data In Session    alice
    Stop Session    alice
    No Data Should Be Left In Sessions    bob    carol    dave

Container Of A Stopped Session Is Gone
    [Documentation]    One that goes on could be given to the next user.
    [Setup]    Share Session Pool    sandbox=bubblewrap
    Program Should Be Served By A New Session    alice
    Stop Session    alice
    Container Should Be Gone    alice

Container Of A Session That Cooled Down Is Gone
    [Setup]    Share Session Pool    sandbox=bubblewrap
    Program Should Be Served By A New Session    alice
    Move Pool Clock    301
    Container Should Be Gone    alice

Programs In Two Containers See Nothing Of Each Other
    [Documentation]    One leaves files, a process and a variable, the other looks for them at the same time.
    Share Session Pool    sandbox=bubblewrap
    Execute Files Together    alice    hold_traces.py    bob    look_for_traces.py
    Nothing Should Have Been Seen

No Secret Of The Service Is Visible In A Container
    Share Session Pool    sandbox=bubblewrap
    No Secret Of The Service Should Be Visible

No Secret Of The Service Is Visible In An Interpreter
    No Secret Of The Service Should Be Visible

Pool And Identity Endpoint Are Out Of Reach Of Programs
    Share Session Pool    sandbox=bubblewrap
    Ports Of The Pool Should Be Out Of Reach
