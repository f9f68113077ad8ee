from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codewitness.embedded.service import start_service
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.model import ExecutionResult, Provenance, Stage
from codewitness.target.whereabouts import fingerprint_request, read_whereabouts

NONCE = "nonce-0123456789abcdef"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@pytest.fixture
def executor() -> Iterator[BackendExecutor]:
    with start_service(["backend", "--port", "0", "--output-limit", "1024"]) as service:
        executor = BackendExecutor(service.url)
        yield executor
        executor.close()


def told(provenance: Provenance | None = None, **facts: object) -> ExecutionResult:
    """Return the result of a fingerprint program that found these facts."""
    stdout = json.dumps({"nonce": NONCE, **facts}).encode()
    who = provenance or Provenance("backend http://h/api/v2/")
    return ExecutionResult("python", "3.11.2", Stage(stdout, code=0), who)


def test_program_is_found_on_this_machine(executor: BackendExecutor) -> None:
    # Elsewhere there is no boot id, and nothing to prove.
    assert sys.platform == "linux"
    found = read_whereabouts(executor.execute(fingerprint_request(NONCE)), NONCE)
    assert found.on_this_machine is True
    assert found.evidence.startswith("on this machine (proven by the kernel's boot id)")
    assert "python 3." in found.evidence
    assert found.facts["nonce"] == NONCE


def test_another_kernel_is_another_machine() -> None:
    found = read_whereabouts(told(boot="0" * 36, host="worker-7", python="3.12.1"), NONCE)
    assert found.on_this_machine is False
    assert found.evidence.startswith("on another machine (proven by the kernel's boot id)")
    assert "host worker-7" in found.evidence


def test_boot_id_of_this_kernel_is_this_machine() -> None:
    found = read_whereabouts(told(boot=BOOT_ID.read_text(encoding="ascii").strip()), NONCE)
    assert found.on_this_machine is True


def test_without_a_boot_id_nothing_is_proven() -> None:
    found = read_whereabouts(told(boot=None, host="h"), NONCE)
    assert found.on_this_machine is None
    assert found.evidence.startswith("not proven (no boot id to compare)")


@pytest.mark.parametrize(
    "stdout",
    [
        b"",
        b"hello",
        b"[]",
        b"\xff",
        b'{"nonce": "another"}',
        b'{"boot": "x"}',
        b"null",
        b"[" * 100000,
    ],
)
def test_answer_of_another_program_proves_nothing(stdout: bytes) -> None:
    who = Provenance("somebody")
    result = ExecutionResult("python", "3", Stage(stdout, code=0), who)
    found = read_whereabouts(result, NONCE)
    assert found.on_this_machine is None
    assert found.evidence.startswith("not proven: the fingerprint program did not answer")
    assert found.facts == {}


def test_evidence_says_who_answered_and_in_which_session() -> None:
    provenance = Provenance("pool", sandbox="bubblewrap 0.8.0", session="run-7-1", session_new=True)
    found = read_whereabouts(told(provenance, boot="0" * 36), NONCE)
    assert "answered by pool in bubblewrap 0.8.0 session run-7-1" in found.evidence
