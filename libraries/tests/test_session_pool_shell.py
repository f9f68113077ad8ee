"""The built-in shell pool: commands in sandboxes that keep their directory and their files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from codewitness.embedded.interpreter_session import InterpreterHost, shell_command
from codewitness.embedded.session_pool_service import PoolSettings
from codewitness.session_pool.contract import GENERATION_A, GENERATION_B
from codewitness.session_pool.lifecycle import PoolRules
from tests.session_pools import Answer, pool_of
from tests.test_session_pool_interpreter import (
    SHAPE,
    TIMED_OUT,
    UNSUPPORTED,
    VALIDATION,
    Interpreters,
    interpreters,
)

A, A_NEWER = GENERATION_A
B, B_2025_02, B_2025_10 = GENERATION_B


@pytest.fixture(scope="module")
def pool() -> Iterator[Interpreters]:
    rules = PoolRules(maximum=100)
    with pool_of(PoolSettings(kind="shell", identity=None, rules=rules)) as served:
        yield interpreters(served)


def ask(pool: Interpreters, identifier: str, version: str = B_2025_02, **fields: Any) -> Answer:
    return pool.operate(version, "POST", "executions", fields, identifier)


def shell(pool: Interpreters, command: str, identifier: str, **fields: Any) -> tuple[str, str, str]:
    """Return status, stdout and stderr of a command."""
    return told(ask(pool, identifier, shellCommand=command, **fields))


def run(pool: Interpreters, *arguments: str, identifier: str) -> tuple[str, str, str]:
    """Return the same of a program that is run without a shell."""
    return told(ask(pool, identifier, execCommandAndArgs=arguments))


def told(answer: Answer) -> tuple[str, str, str]:
    assert answer.status == 200, answer
    document = answer.json
    return document["status"], document["result"]["stdout"], document["result"]["stderr"]


def test_answer_to_a_command(pool: Interpreters) -> None:
    answer = ask(pool, "answer-1", shellCommand="echo hello; echo oh >&2")
    assert answer.status == 200
    assert not [name for name in answer.headers if name.lower().startswith("x-ms-")]
    document = answer.json
    assert document["result"].pop("executionTimeInMilliseconds") >= 0
    assert document == {
        "id": answer.headers["operation-id"],
        "identifier": "answer-1",
        "executionType": "Synchronous",
        "status": "0",
        "result": {"stdout": "hello\n", "stderr": "oh\n", "executionResult": None},
    }
    again = pool.operate(
        B_2025_02, "GET", f"executions/{document['id']}", identifier="answer-1"
    ).json
    assert again["status"] == "0"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("true", "0"),
        ("false", "1"),
        ("exit 42", "42"),
        ("(exit 3)", "3"),
        ("nonesuch-command", "127"),
        ("/etc/hostname-of-nobody", "127"),
        ("kill -9 $$", "137"),
        ("if", "2"),
        ("# nothing", "0"),
        ("printf 'a\\nb\\n' | grep -c b", "0"),
        ("set -e; false; echo not reached", "1"),
    ],
)
def test_status_is_the_exit_code(pool: Interpreters, command: str, status: str) -> None:
    assert shell(pool, command, "codes-1")[0] == status


def test_shell_is_bash(pool: Interpreters) -> None:
    command = "a=(1 2 3); [[ ${a[1]} == 2 ]] && echo ${#a[@]} && cat <<< text"
    assert shell(pool, command, "bash-1") == ("0", "3\ntext\n", "")


def test_messages_show_nothing_but_the_command(pool: Interpreters) -> None:
    status, stdout, stderr = shell(pool, "echo hi\necho )", "messages-1")
    assert (status, "echo )" in stderr) == ("2", True), (stdout, stderr)
    assert "trap" not in stderr
    assert shell(pool, "nonesuch", "messages-1")[2] == "bash: line 1: nonesuch: command not found\n"
    assert shell(pool, "echo $0", "messages-1")[1] == "bash\n"
    assert shell(pool, "cat <<E\n$HOME\nE", "messages-1")[0] == "0"


def test_standard_input(pool: Interpreters) -> None:
    assert shell(pool, "cat; echo end", "stdin-1", stdin="é\n") == ("0", "é\nend\n", "")
    assert shell(pool, "cat", "stdin-1")[1] == ""
    long = "x" * 300_000
    assert shell(pool, "wc -c", "stdin-1", stdin=long)[1].strip() == "300000"
    assert shell(pool, "true", "stdin-1", stdin=long)[0] == "0"


def test_program_without_a_shell(pool: Interpreters) -> None:
    assert run(pool, "printf", "%s|", "a b", "$HOME", "*", identifier="exec-1") == (
        "0",
        "a b|$HOME|*|",
        "",
    )
    assert run(pool, "nonesuch-command", identifier="exec-1") == (
        "127",
        "",
        "nonesuch-command: No such file or directory\n",
    )
    assert run(pool, "/mnt/data", identifier="exec-1")[0] == "126"


def test_directory_and_exported_variables_stay(pool: Interpreters) -> None:
    assert shell(pool, "pwd", "state-1")[1] == "/mnt/data\n"
    shell(pool, "mkdir -p 'sub dir' && cd 'sub dir'; export GREETING='good\nday'; own=1", "state-1")
    shown = shell(pool, 'pwd; echo "$GREETING|$own"', "state-1")[1]
    assert shown == "/mnt/data/sub dir\ngood\nday|\n"
    assert run(pool, "pwd", identifier="state-1")[1] == "/mnt/data/sub dir\n"
    assert shell(pool, 'echo "$GREETING"; pwd', "state-2")[1] == "\n/mnt/data\n"


def test_state_stays_whatever_the_exit_code(pool: Interpreters) -> None:
    assert shell(pool, "cd /tmp; exit 7", "state-3")[0] == "7"
    assert shell(pool, "cd /; kill -9 $$", "state-3")[0] == "137"
    assert shell(pool, "pwd", "state-3")[1] == "/tmp\n"


def test_directory_that_is_gone(pool: Interpreters) -> None:
    shell(pool, "mkdir doomed; cd doomed; rmdir ../doomed", "state-4")
    assert shell(pool, "pwd", "state-4") == ("0", "/mnt/data\n", "")


def test_command_in_the_background_goes_on(pool: Interpreters) -> None:
    began = time.monotonic()
    shell(pool, "(sleep 0.5; echo done > late) >/dev/null 2>&1 &", "background-1")
    deadline = began + 30
    while shell(pool, "cat late 2>/dev/null", "background-1")[1] != "done\n":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_output_of_a_command_in_the_background_holds_nothing_up(pool: Interpreters) -> None:
    assert shell(pool, "sleep 60 & echo started", "background-2") == ("0", "started\n", "")
    assert shell(pool, "echo next", "background-2")[1] == "next\n"


def test_command_that_takes_too_long(pool: Interpreters) -> None:
    shell(pool, "echo kept > file; cd /tmp", "slow-1")
    late = shell(pool, "echo begun; sleep 100", "slow-1", timeoutInSeconds=1)
    assert late == ("-1", "begun\n", TIMED_OUT)
    assert shell(pool, "pwd; cat file", "slow-1")[1] == "/mnt/data\nkept\n"


def test_command_that_kills_its_session(pool: Interpreters) -> None:
    assert shell(pool, "kill -9 $PPID; sleep 10", "killer-1")[::2] == ("-1", "Execution aborted")
    assert shell(pool, "echo again", "killer-1")[1] == "again\n"


def test_command_too_long_for_the_system(pool: Interpreters) -> None:
    status, _, stderr = shell(pool, f": {'x' * 200_000}", "long-1")
    assert (status, "rgument list too long" in stderr) == ("126", True)


def test_walls_of_the_sandbox(pool: Interpreters) -> None:
    shown = shell(
        pool,
        "env | grep -cE '^(IDENTITY|AZURE|MSI)'; ls /etc/shadow; touch /new; kill -9 1; id -u",
        "walls-1",
    )
    assert shown[1].split()[0] == "0"
    assert "/etc/shadow" in shown[2]
    assert "/new" in shown[2]
    assert shell(pool, "cat /mnt/data/secret", "walls-1")[0] == "1"


def test_two_sessions_see_nothing_of_each_other(pool: Interpreters) -> None:
    shell(pool, "echo secret > /mnt/data/mine; echo secret > /tmp/mine", "apart-1")
    assert shell(pool, "ls /mnt/data /tmp | grep -c mine", "apart-2")[1] == "0\n"


def test_simultaneous_commands_of_one_session_take_turns(pool: Interpreters) -> None:
    shell(pool, "echo 0 > n", "turns-1")
    command = "m=$(cat n); sleep 0.05; echo $((m + 1)) > n"
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: shell(pool, command, "turns-1"), range(6)))
    assert shell(pool, "cat n", "turns-1")[1] == "6\n"


def test_files(pool: Interpreters) -> None:
    uploaded = pool.upload("a b.txt", b"1\n2\n", "files-1", B_2025_02, path="/mnt/data").json
    assert (uploaded["name"], uploaded["sizeInBytes"]) == ("a b.txt", 4)
    assert shell(pool, "wc -l < 'a b.txt' > made.txt; rm 'a b.txt'", "files-1")[0] == "0"
    listed = pool.operate(B_2025_02, "GET", "files", identifier="files-1").json["value"]
    assert [it["name"] for it in listed] == ["made.txt"]
    content = pool.operate(B_2025_10, "GET", "files/made.txt/content", identifier="files-1")
    assert content.body.strip() == b"2"
    assert pool.operate(B_2025_10, "GET", "files/made.txt", identifier="files-1").status == 200
    assert pool.operate(B_2025_10, "DELETE", "files/made.txt", identifier="files-1").status == 204
    missing = pool.operate(B_2025_02, "GET", "files/made.txt/content", identifier="files-1")
    assert missing.status == 404


def test_session_that_is_deleted_begins_anew(pool: Interpreters) -> None:
    shell(pool, "export X=1; echo 1 > file", "session-1")
    session = pool.operate(B_2025_02, "GET", "session", identifier="session-1").json
    assert set(session) == {"identifier", "etag", "expireAt", "createdAt", "lastAccessedAt"}
    assert session in pool.operate(B_2025_02, "GET", "listSessions").json["sessions"]
    assert pool.operate(B_2025_10, "DELETE", "session", identifier="session-1").status == 204
    gone = pool.operate(B_2025_10, "DELETE", "session", identifier="session-1")
    assert (gone.status, gone.code) == (400, "SessionWithIdentifierNotFound")
    assert shell(pool, 'echo "$X"; ls', "session-1")[1] == "\n"


def test_command_that_the_caller_comes_back_for(pool: Interpreters) -> None:
    fields = {"shellCommand": "sleep 0.3; echo done; exit 5", "executionType": "Asynchronous"}
    answer = ask(pool, "later-1", **fields)
    assert (answer.status, answer.json["status"]) == (202, "Running")
    path = f"executions/{answer.headers['operation-id']}"
    deadline = time.monotonic() + 30
    while (found := pool.operate(B_2025_02, "GET", path, identifier="later-1").json)[
        "status"
    ] == "Running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (found["status"], found["result"]["stdout"]) == ("5", "done\n")


def test_output_has_a_length_since_2025_10(pool: Interpreters) -> None:
    command = "head -c 5000 /dev/zero | tr '\\0' x"
    for version, length in ((B_2025_02, 5000), (B_2025_10, 4096)):
        shown = told(ask(pool, "length-1", version, shellCommand=command))[1]
        assert shown == "x" * length


OLD = "Shell execution is not supported in API version"


@pytest.mark.parametrize(
    ("version", "path", "body"),
    [
        (A, "code/execute", {"properties": {"shellCommand": "ls"}}),
        (A_NEWER, "code/execute", {"shellCommand": "ls"}),
        (B, "executions", {"shellCommand": "ls"}),
        (B, "executions", {"execCommandAndArgs": ["ls"]}),
    ],
)
def test_older_versions_have_no_shell(
    pool: Interpreters, version: str, path: str, body: Any
) -> None:
    answer = pool.operate(version, "POST", path, body, "old-1")
    assert (answer.status, answer.code) == (400, UNSUPPORTED)
    assert answer.json["error"]["message"].startswith(f"{OLD} '{version}'")


@pytest.mark.parametrize(
    ("version", "path", "body", "code"),
    [
        (B_2025_02, "executions", {"code": "1"}, SHAPE),
        (B_2025_10, "executions", {"code": "1", "codeInputType": "Inline"}, SHAPE),
        (A, "code/execute", {"properties": {"code": "1"}}, SHAPE),
        (B_2025_02, "executions", {"properties": {"shellCommand": "ls"}}, SHAPE),
        (B_2025_02, "executions", {}, SHAPE),
        (
            B_2025_02,
            "executions",
            {"shellCommand": "ls", "execCommandAndArgs": ["ls"]},
            VALIDATION,
        ),
        (B_2025_02, "executions", {"shellCommand": 1}, VALIDATION),
        (B_2025_02, "executions", {"shellCommand": "a\0b"}, VALIDATION),
        (B_2025_02, "executions", {"shellCommand": "\ud800"}, VALIDATION),
        (B_2025_02, "executions", {"execCommandAndArgs": []}, VALIDATION),
        (B_2025_02, "executions", {"execCommandAndArgs": "ls"}, VALIDATION),
        (B_2025_02, "executions", {"execCommandAndArgs": ["", "a"]}, VALIDATION),
        (B_2025_02, "executions", {"execCommandAndArgs": ["ls", 1]}, VALIDATION),
        (B_2025_02, "executions", {"shellCommand": "cat", "stdin": 1}, VALIDATION),
        (B_2025_02, "code/execute", {"properties": {"shellCommand": "ls"}}, UNSUPPORTED),
    ],
)
def test_requests_that_are_refused(
    pool: Interpreters, version: str, path: str, body: Any, code: str
) -> None:
    answer = pool.operate(version, "POST", path, body, "refused-1")
    assert (answer.status, answer.code) == (400, code)


def test_python_pool_runs_no_commands() -> None:
    with pool_of(PoolSettings(kind="python", identity=None)) as served:
        python = interpreters(served)
        answer = ask(python, "python-1", shellCommand="ls")
        assert (answer.status, answer.code) == (400, SHAPE)
        answer = ask(python, "python-1", B, shellCommand="ls")
        assert answer.json["error"]["message"].startswith(OLD)


def test_tokens_are_checked() -> None:
    with pool_of(PoolSettings(kind="shell")) as served:
        guarded = interpreters(served)
        assert ask(guarded, "user-1", shellCommand="ls").status == 401
        guarded.headers["Authorization"] = f"Bearer {guarded.token()}"
        assert shell(guarded, "echo hello", "user-1")[1] == "hello\n"


def test_without_walls() -> None:
    host = InterpreterHost(sandbox="none")
    session = host.open()
    try:
        outcome = session.submit(shell_command("cat; exit 3", None, "text")).result(30)
        assert (outcome.ok, outcome.result, outcome.stdout) == (False, 3, "text")
        assert session.submit(shell_command(None, ["echo", "$x"])).result(30).stdout == "$x\n"
    finally:
        session.close()
        host.close()
