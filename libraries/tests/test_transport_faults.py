"""The client under every transport fault: it ends in time, and says the right cause."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from codewitness.embedded.cli import main
from codewitness.embedded.transport_faults import LARGE, TRANSPORT_FAULTS, find_transport_fault
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.causes import likely_cause
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    FaultKind,
    PlatformFault,
    SourceFile,
)
from tests.transport_proxies import ProxyHost

SHORT = 0.5
LONG = 20.0
REQUESTS = 60
ECHO = SourceFile(b"print the input")

FINDINGS = {
    "drip": (FaultKind.TIMEOUT, "N12"),
    "drip-of-headers": (FaultKind.TIMEOUT, "C9"),
    "half-open": (FaultKind.TIMEOUT, "C9"),
    "silent": (FaultKind.TIMEOUT, "C9"),
    "silent-after-first": (FaultKind.TIMEOUT, "C9"),
    "cut-in-body": (FaultKind.CONNECTION_CUT, "N13"),
    "reset-in-body": (FaultKind.CONNECTION_CUT, "N13"),
    "cut-in-headers": (FaultKind.CONNECTION_CUT, "N14"),
    "closed-unanswered": (FaultKind.CONNECTION_CUT, "N14"),
    "reset-unanswered": (FaultKind.CONNECTION_CUT, "N14"),
    "closed-at-once": (FaultKind.CONNECTION_CUT, "N14"),
    "reset-at-once": (FaultKind.CONNECTION_CUT, "N14"),
    "chunks-without-end": (FaultKind.CONNECTION_CUT, "N13"),
    "body-truncated": (FaultKind.BAD_ANSWER, "N19"),
    "length-too-long": (FaultKind.TIMEOUT, "N12"),
    "length-too-short": (FaultKind.BAD_ANSWER, "N19"),
    "length-contradictory": (FaultKind.BAD_ANSWER, "N21"),
    "length-not-a-number": (FaultKind.BAD_ANSWER, "N21"),
    "length-and-chunks": (FaultKind.BAD_ANSWER, "N21"),
    "chunk-size-broken": (FaultKind.BAD_ANSWER, "N21"),
    "chunk-size-wrong": (FaultKind.BAD_ANSWER, "N21"),
    "bad-gateway": (FaultKind.SERVER_ERROR, "C7"),
    "bad-gateway-page": (FaultKind.SERVER_ERROR, "C7"),
    "unavailable": (FaultKind.CAPACITY, "C6"),
    "unavailable-for-an-hour": (FaultKind.CAPACITY, "C6"),
    "gateway-timeout": (FaultKind.TIMEOUT, "C9"),
    "too-many-requests": (FaultKind.CAPACITY, "C5"),
    "too-many-requests-come-back": (FaultKind.CAPACITY, "C5"),
    "page-as-200": (FaultKind.NOT_THE_API, "N17"),
    "empty-200": (FaultKind.BAD_ANSWER, "N19"),
    "no-content": (FaultKind.NOT_THE_API, "N18"),
    "redirect-to-login": (FaultKind.REDIRECTED, "N15"),
    "redirect-to-https": (FaultKind.REDIRECTED, "N16"),
    "redirect-to-itself": (FaultKind.REDIRECTED, "R4"),
    "invalid-utf-8": (FaultKind.BAD_ANSWER, "N23"),
    "byte-order-mark": (FaultKind.BAD_ANSWER, "N23"),
    "json-in-quotes": (FaultKind.BAD_ANSWER, "X0"),
    "gzip-claimed": (FaultKind.BAD_ANSWER, "N21"),
    "gzip-truncated": (FaultKind.BAD_ANSWER, "N19"),
    "headers-garbled": (FaultKind.NOT_THE_API, "N18"),
    "headers-huge": (FaultKind.BAD_ANSWER, "N22"),
    "not-http": (FaultKind.NOT_THE_API, "N18"),
    "tls-unknown-authority": (FaultKind.TLS, "N7"),
    "tls-on-plain-port": (FaultKind.CONNECTION_CUT, "N14"),
    "plain-on-tls-port": (FaultKind.TLS, "N9"),
    "tls-cut": (FaultKind.CONNECTION_CUT, "N14"),
    "tls-silent": (FaultKind.TIMEOUT, "N9"),
    "1-in-50-cut": (FaultKind.CONNECTION_CUT, "N13"),
    "1-in-50-unanswered": (FaultKind.CONNECTION_CUT, "N20"),
    "1-in-50-bad-gateway": (FaultKind.SERVER_ERROR, "C7"),
    "1-in-50-silent": (FaultKind.TIMEOUT, "C9"),
    "after-40-cut": (FaultKind.CONNECTION_CUT, "N13"),
    "after-40-silent": (FaultKind.TIMEOUT, "C9"),
    "after-40-redirected": (FaultKind.REDIRECTED, "N15"),
    "kept-connection-closed": (FaultKind.CONNECTION_CUT, "N20"),
    "kept-connection-reset": (FaultKind.CONNECTION_CUT, "N20"),
    "second-connection-unanswered": (FaultKind.CONNECTION_CUT, "N14"),
    "large-answers-cut": (FaultKind.CONNECTION_CUT, "N13"),
    "large-answers-shortened": (FaultKind.BAD_ANSWER, "N19"),
    "large-requests-reset": (FaultKind.CONNECTION_CUT, "N20"),
}
"""What the client finds, by the name of the fault."""

SEEN_IN_RESULTS = {"delay", "answer-again-later", "1-in-50-other-byte"}
"""Faults under which every answer is whole and well-formed."""

BORNE = {name for name, fault in TRANSPORT_FAULTS.items() if fault.borne}


@pytest.fixture(scope="module")
def proxies() -> Iterator[ProxyHost]:
    host = ProxyHost()
    yield host
    host.close()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def _requests(name: str) -> list[ExecutionRequest]:
    sizes = [10] * REQUESTS
    if TRANSPORT_FAULTS[name].claimed_by == LARGE or name.startswith("large"):
        sizes[3] = 100_000
    return [
        ExecutionRequest("python", (ECHO,), stdin=f"{index:0{size}}\n".encode())
        for index, size in enumerate(sizes)
    ]


def _first_fault(executor: BackendExecutor, requests: list[ExecutionRequest]) -> ExecutionError:
    try:
        for request in requests:
            executor.execute(request)
    except ExecutionError as error:
        return error
    outcomes = executor.execute_many(requests[:3])
    return next(it for it in outcomes if isinstance(it, ExecutionError))


def test_every_fault_has_its_finding() -> None:
    assert {*FINDINGS, *SEEN_IN_RESULTS, *BORNE} == set(TRANSPORT_FAULTS)
    assert not BORNE & {*FINDINGS, *SEEN_IN_RESULTS}
    assert all(bool(it.expect_words) != it.borne for it in TRANSPORT_FAULTS.values())


@pytest.mark.parametrize("name", FINDINGS)
def test_client_names_the_cause_in_time(proxies: ProxyHost, name: str) -> None:
    kind, row = FINDINGS[name]
    fault = TRANSPORT_FAULTS[name]
    # Nothing but a time limit ends a wait for nothing; nothing else shall meet one.
    deadline = SHORT if kind is FaultKind.TIMEOUT else LONG
    with proxies.serving(fault) as url, BackendExecutor(url, deadline=deadline) as executor:
        found = _first_fault(executor, _requests(name))
    assert isinstance(found, PlatformFault)
    assert found.kind is kind, found
    assert found.elapsed < deadline + 5
    cause = likely_cause(kind, status=found.status, detail=found.detail, body=found.body)
    assert cause.row == row, found
    told = " ".join((found.detail, found.cause, *found.retries)).lower()
    assert not [word for word in fault.expect_words if word.lower() not in told], told


@pytest.mark.parametrize("name", sorted(BORNE))
def test_client_bears_what_http_allows(proxies: ProxyHost, name: str) -> None:
    with (
        proxies.serving(TRANSPORT_FAULTS[name]) as url,
        BackendExecutor(url, deadline=LONG) as executor,
    ):
        for request in _requests(name)[:20]:
            assert executor.execute(request).run.stdout == request.stdin


@pytest.mark.parametrize("name", sorted(SEEN_IN_RESULTS - {"delay"}))
def test_answers_are_not_those_of_the_requests(proxies: ProxyHost, name: str) -> None:
    with (
        proxies.serving(TRANSPORT_FAULTS[name]) as url,
        BackendExecutor(url, deadline=LONG) as executor,
    ):
        answers = []
        for request in _requests(name):
            answers.append((executor.execute(request).run.stdout, request.stdin))
            time.sleep(0.003)
    assert [it for it in answers if it[0] != it[1]]


def test_delayed_answer_is_late_and_right(proxies: ProxyHost) -> None:
    with (
        proxies.serving(TRANSPORT_FAULTS["delay"]) as url,
        BackendExecutor(url, deadline=LONG) as executor,
    ):
        result = executor.execute(_requests("delay")[0])
    assert result.elapsed >= 1.5


def test_proxy_says_what_it_can_not_reach(proxies: ProxyHost) -> None:
    fault = TRANSPORT_FAULTS["short-pieces"]
    with (
        proxies.serving(fault, "http://127.0.0.1:9/prefix/") as url,
        BackendExecutor(url, deadline=LONG) as executor,
    ):
        assert url.endswith("/prefix")
        request = _requests("short-pieces")[0]
        with pytest.raises(PlatformFault, match=r"502.*transport proxy got no answer of.*:9"):
            executor.execute(request)


def test_proxy_refuses_what_it_does_not_read(proxies: ProxyHost) -> None:
    fault = TRANSPORT_FAULTS["short-pieces"]
    with proxies.serving(fault) as url, BackendExecutor(url, deadline=LONG) as executor:
        for name, value in (("Transfer-Encoding", "chunked"), ("X", "x" * 300_000)):
            answer = executor.exchange("POST", "execute", body=b"", headers={name: value})
            assert answer.status == 400
            assert "transport proxy takes no such request" in answer.text


def test_unknown_fault_names_the_nearest() -> None:
    with pytest.raises(LookupError, match="did you mean cut-in-body"):
        find_transport_fault("cut-body")


def test_command_lists_all_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transport-proxy", "--list-faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(TRANSPORT_FAULTS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "http://h"], "give --to URL and --fault NAME"),
        (["--fault", "drip"], "give --to URL and --fault NAME"),
        (["--to", "gopher://h", "--fault", "drip"], "only http and https"),
        (["--to", "http://h", "--fault", "cut-body"], "did you mean cut-in-body"),
    ],
)
def test_command_says_what_it_lacks(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["transport-proxy", *arguments]) == 2
    assert words in capsys.readouterr().err
