from __future__ import annotations

from collections.abc import Iterator

import pytest

from codewitness.embedded.service import start_service
from codewitness.execution.backend import BackendExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    PlatformFault,
    RequestRefused,
)
from codewitness.target.capabilities import CAPABILITIES, Capabilities, State, ceiling_in


def executor_of(*options: str) -> Iterator[BackendExecutor]:
    with start_service(["backend", "--port", "0", *options]) as service:
        executor = BackendExecutor(service.url)
        yield executor
        executor.close()


@pytest.fixture(scope="module")
def whole() -> Iterator[BackendExecutor]:
    yield from executor_of("--generation", "a", "--output-limit", "1024")


@pytest.fixture(scope="module")
def minimal() -> Iterator[BackendExecutor]:
    yield from executor_of("--minimal")


def refuse(_request: ExecutionRequest) -> ExecutionResult:
    raise RequestRefused("no such field", 400)


@pytest.mark.parametrize("name", CAPABILITIES)
def test_capability_of_a_whole_backend_is_honoured(whole: BackendExecutor, name: str) -> None:
    found = Capabilities(whole.execute).find(name)
    assert found.state is State.HONOURED, found
    assert found.request is not None


@pytest.mark.parametrize("name", CAPABILITIES)
def test_capability_that_is_accepted_without_effect_is_ignored(
    minimal: BackendExecutor, name: str
) -> None:
    found = Capabilities(minimal.execute).find(name)
    assert found.state is State.IGNORED
    assert found.evidence.startswith(f"{name} was accepted with HTTP 200 and had no effect")
    assert found.result is not None


@pytest.mark.parametrize("name", [name for name in CAPABILITIES if name != "version"])
def test_capability_that_is_refused_openly(name: str) -> None:
    found = Capabilities(refuse).find(name)
    assert found.state is State.REFUSED
    assert "no such field" in found.evidence


def test_refusing_an_unknown_version_is_the_capability() -> None:
    found = Capabilities(refuse).find("version")
    assert found.state is State.HONOURED
    assert "no such field" in found.evidence


def test_listed_deviation_is_not_asked_for() -> None:
    def never(_request: ExecutionRequest) -> ExecutionResult:
        raise AssertionError("asked")

    found = Capabilities(never, ("args",)).find("args")
    assert found.state is State.DEVIATION
    assert "DEVIATIONS" in found.evidence


def test_service_is_asked_once(whole: BackendExecutor) -> None:
    asked = []

    def execute(request: ExecutionRequest) -> ExecutionResult:
        asked.append(request)
        return whole.execute(request)

    capabilities = Capabilities(execute)
    assert capabilities.find("args") is capabilities.find("args")
    assert len(asked) == 1
    assert list(capabilities.found) == ["args"]


def test_fault_is_not_kept_as_a_finding(whole: BackendExecutor) -> None:
    answers = iter([PlatformFault(FaultKind.TIMEOUT, "slow")])

    def execute(request: ExecutionRequest) -> ExecutionResult:
        for fault in answers:
            raise fault
        return whole.execute(request)

    capabilities = Capabilities(execute)
    with pytest.raises(PlatformFault, match="slow"):
        capabilities.find("args")
    assert capabilities.find("args").state is State.HONOURED


@pytest.mark.parametrize("names", [("argz",), ("args", "timeouts")])
def test_unknown_deviation_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"DEVIATIONS names {names[-1]}.*there are args, files"):
        Capabilities(refuse, names)


def test_unknown_capability_is_refused() -> None:
    with pytest.raises(ValueError, match="'telepathy' is no capability; there are args"):
        Capabilities(refuse).find("telepathy")


def test_lower_ceiling_of_run_timeout_is_kept_to() -> None:
    for executor in executor_of("--run-timeout", "700"):
        found = Capabilities(executor.execute).find("run_timeout")
        assert found.state is State.HONOURED, found


@pytest.mark.parametrize(
    ("message", "ceiling"),
    [
        ("run_timeout cannot exceed the configured limit of 3000", 3000),
        ("run_timeout must be a number", None),
        ("", None),
    ],
)
def test_ceiling_is_read_from_the_refusal(message: str, ceiling: int | None) -> None:
    assert ceiling_in(message) == ceiling
