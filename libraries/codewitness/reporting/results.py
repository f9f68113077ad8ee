"""What a finished run says: totals, the plan's coverage, what is wrong, and what to do next.

Everything is computed from the outcomes of tests, from what stands at the top of the report, and
from the judged metrics, so that one run, merged parts of a run and a run read again give the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

from codewitness.reporting.failures import Problem, group_failures, read_failure
from codewitness.reporting.metrics import JUDGEMENTS, Metric
from codewitness.reporting.visible import cut

PLAN: Mapping[str, str] = {
    "T1.1": "Simple print statement",
    "T1.2": "Arithmetic operations",
    "T1.3": "Variable assignment and output",
    "T2.1": "Reading from stdin",
    "T2.2": "Multiple input lines",
    "T2.3": "Test case format",
    "T3.1": "Syntax error",
    "T3.2": "Runtime error",
    "T3.3": "Import error",
    "T4.1": "Sequential requests",
    "T4.2": "Concurrent requests",
    "T4.3": "Session reuse",
    "T5.1": "Full flow through the backend API",
    "T5.2": "Test case validation, 100 % match",
    "P1": "Cold start < 5 s",
    "P2": "Warm execution < 1 s",
    "P3": "Concurrent requests all handled correctly",
    "P4": "Concurrent throughput, documented",
    "P5": "No memory leaks or resource exhaustion",
    "R1": "No crashes or unhandled exceptions",
    "R2": "Proper error messages for failures",
    "R3": "Graceful degradation",
}
"""The points of the test plan, by the tags that tests of them carry."""

PASSED, FAILED, SKIPPED = "PASS", "FAIL", "SKIP"

# Shares of a bar from which on a figure that still passes is worth a remark.
_NEAR_THE_BAR = 0.8

_KINDS_OF_SKIPS = (
    ("known issue", re.compile(r"Known issue ")),
    ("inconclusive", re.compile(r"INCONCLUSIVE|Not observable")),
    (
        "capability missing",
        re.compile(
            r"Needs (the capability|a target with sessions|a sandbox|bubblewrap)"
            r"|The service (does not list|lists no|runs programs without a sandbox|refuses)"
            r"|[\w-]+ is (refused|absent|listed)"
        ),
    ),
    ("left out for its cost", re.compile(r"COSTLY|HOSTILE|MAX_SESSIONS_USED")),
    ("left out on the command line", re.compile(r"Test skipped using ")),
)
_OTHER_SKIPS = "not applicable to this target"


@dataclass(frozen=True)
class TestOutcome:
    """How one test ended.

    Attributes:
        name: Its name.
        section: Uppermost suite below the whole run that it belongs to.
        status: ``PASS``, ``FAIL`` or ``SKIP``.
        message: Its message, free of secrets; empty for none.
        tags: Its tags.
        anchor: What finds it in the log, such as ``s1-s2-t3``; empty where that is not known.
        retried: Whether it failed before and was executed anew.
    """

    __test__ = False

    name: str
    section: str
    status: str
    message: str = ""
    tags: frozenset[str] = frozenset()
    anchor: str = ""
    retried: bool = False


@dataclass(frozen=True)
class Counts:
    """Numbers of tests by how they ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.passed + self.failed + self.skipped

    @property
    def result(self) -> str:
        """What they come to together: one failure fails all."""
        if self.failed:
            return "failed"
        if self.passed:
            return "passed"
        return "skipped" if self.skipped else "not run"

    @property
    def brief(self) -> str:
        """What there is of them, in words."""
        told = {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}
        return ", ".join(f"{number:,} {word}" for word, number in told.items() if number)

    def __str__(self) -> str:
        return f"{self.passed:,} passed, {self.failed:,} failed, {self.skipped:,} skipped"


def count(tests: Iterable[TestOutcome]) -> Counts:
    """Count tests by how they ended."""
    statuses = [test.status for test in tests]
    return Counts(*(statuses.count(status) for status in (PASSED, FAILED, SKIPPED)))


@dataclass(frozen=True)
class Requirement:
    """One point of the plan with the tests that verify it."""

    id: str
    title: str
    tests: Sequence[TestOutcome]

    @cached_property
    def counts(self) -> Counts:
        """Its tests by how they ended."""
        return count(self.tests)


@dataclass(frozen=True)
class Skips:
    """Tests skipped for one reason."""

    kind: str
    reason: str
    tests: Sequence[TestOutcome]


@dataclass(frozen=True)
class Recommendation:
    """What to do, and what that stands on; both are sentences without the final stop."""

    advice: str
    evidence: str


@dataclass(frozen=True)
class Results:
    """A finished run.

    Attributes:
        tests: All tests in their order.
        facts: What stands at the top of the report, by name, free of secrets.
        metrics: The judged metrics, none where nothing was measured.
        seconds: How long it took.
        started: When it began, as ISO 8601; empty where that is not known.
    """

    tests: Sequence[TestOutcome]
    facts: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[Metric] = ()
    seconds: float = 0.0
    started: str = ""

    @cached_property
    def counts(self) -> Counts:
        """All tests by how they ended."""
        return count(self.tests)

    @cached_property
    def sections(self) -> Mapping[str, Counts]:
        """Tests by section, in the order of the run."""
        names = dict.fromkeys(test.section for test in self.tests)
        return {name: count(it for it in self.tests if it.section == name) for name in names}

    @cached_property
    def requirements(self) -> Sequence[Requirement]:
        """The traceability matrix: every point of the plan, also those that no test verified."""
        return [
            Requirement(id_, title, [test for test in self.tests if id_ in test.tags])
            for id_, title in PLAN.items()
        ]

    @cached_property
    def problems(self) -> Sequence[Problem]:
        """What is wrong, the worst first."""
        return group_failures(
            (number, read_failure(test.message))
            for number, test in enumerate(self.tests)
            if test.status == FAILED
        )

    @cached_property
    def left_untested(self) -> int:
        """Number of failed tests that only repeat that an earlier failure left nothing to test."""
        return self.counts.failed - sum(len(problem.tests) for problem in self.problems)

    @cached_property
    def retried(self) -> Sequence[TestOutcome]:
        """Tests that passed when they were executed anew."""
        return [test for test in self.tests if test.retried and test.status == PASSED]

    @property
    def degraded(self) -> str:
        """How many executions a fallback answered, and why; empty for none."""
        return _line(self.facts.get("DEGRADED", ""))

    @property
    def is_healthy(self) -> bool:
        """Whether something passed and nothing failed."""
        return bool(self.counts.passed) and not self.counts.failed

    @property
    def verdict(self) -> str:
        """The outcome in one line."""
        counts = self.counts
        if counts.failed:
            asked = "NOTHING WAS TESTED" if self._nothing_was_tested else "NOT HEALTHY"
            return f"{asked}: {counts.failed:,} of {_tests(counts.total)} failed"
        if not counts.passed:
            return f"NOTHING IS KNOWN: {_tests(counts.skipped)} skipped, none passed"
        told = f"all {_tests(counts.passed)} that ran passed"
        if counts.skipped:
            told += f", {counts.skipped:,} skipped"
        return f"{'DEGRADED' if self.degraded else 'HEALTHY'}: {told}"

    @property
    def _nothing_was_tested(self) -> bool:
        return "Nothing was tested" in self.facts and not self.counts.passed

    @property
    def plan_in_brief(self) -> str:
        """How many points of the plan came to what, in words."""
        results = [it.counts.result for it in self.requirements]
        kinds = ("passed", "failed", "skipped", "not run")
        told = [f"{results.count(kind)} {kind}" for kind in kinds if kind in results]
        return f"of the plan's {len(results)} points {', '.join(told)}"

    @cached_property
    def skips(self) -> Sequence[Skips]:
        """What was skipped, by kind and reason."""
        groups: dict[tuple[str, str], list[TestOutcome]] = {}
        for test in self.tests:
            if test.status == SKIPPED:
                reason = cut(test.message.strip().partition("\n")[0], 300) or "no reason given"
                groups.setdefault((_kind_of_skip(reason), reason), []).append(test)
        order = [kind for kind, _ in _KINDS_OF_SKIPS] + [_OTHER_SKIPS]
        return sorted(
            (Skips(kind, reason, tests) for (kind, reason), tests in groups.items()),
            key=lambda it: order.index(it.kind),
        )

    @cached_property
    def remarks(self) -> Sequence[str]:
        """Edge cases that no test fails for, as sentences without the final stop."""
        facts = self.facts
        told = []
        if self.degraded:
            told.append(f"Degraded: {self.degraded}")
        if (faults := facts.get("Platform faults", "none")) != "none":
            told.append(f"Platform faults met by all requests of the run: {_line(faults)}")
        if "not proven" in (place := facts.get("In the session pool", "")):
            told.append(f"Execution in the session pool: {_line(place)}")
        if rehearsals := facts.get("Rehearsals"):
            told.append(_line(rehearsals))
        if self.retried:
            names = _named(self.retried)
            told.append(f"{_tests(len(self.retried))} passed only when executed anew: {names}")
        return told

    @cached_property
    def recommendations(self) -> Sequence[Recommendation]:
        """What to do next, the most urgent first."""
        return [*self._after_failures(), *self._after_measuring(), *self._after_all()]

    def _after_failures(self) -> Iterator[Recommendation]:
        for problem in self.problems:
            names = _named([self.tests[number] for number in problem.tests])
            yield Recommendation(
                _sentence(problem.advice),
                f"{_tests(len(problem.tests))} failed, {names}: {cut(problem.title, 150)}",
            )
        if self.degraded:
            yield Recommendation(
                "Find out why the fallback answers; REQUIRE_POOL=true makes it a failure",
                self.degraded,
            )
        if self.retried:
            yield Recommendation(
                "Look at the first failure of what passed only when executed anew",
                f"{_tests(len(self.retried))}: {_named(self.retried)}",
            )

    def _after_measuring(self) -> Iterator[Recommendation]:
        for metric in self.metrics:
            if metric.verdict == "INCONCLUSIVE":
                yield Recommendation(
                    f"Measure '{metric.name}' at length: -v LOAD_PROFILE:sharp, on a quiet machine",
                    f"{metric.plan}, inconclusive: {figure(metric)} against {bar(metric)}",
                )
            elif metric.verdict == "PASS" and _is_near(metric):
                yield Recommendation(
                    f"Watch '{metric.name}': little is left to its bar",
                    f"{metric.plan}, passed: {figure(metric)} against {bar(metric)}",
                )
        if pool := self.facts.get("Recommended pool"):
            yield Recommendation(
                "Size the pool as the capacity planner recommends",
                f"service times measured in this run, simulated: {_line(pool)}",
            )

    def _after_all(self) -> Iterator[Recommendation]:
        facts = self.facts
        tested = facts.get("Tested", "")
        is_embedded = tested.startswith("embedded")
        for skips in self.skips:
            if skips.kind == "capability missing":
                yield Recommendation(
                    "Add the capability to the service or the machine, or accept that what needs "
                    "it is not verified",
                    f"{_tests(len(skips.tests))} skipped: {skips.reason}",
                )
        if not is_embedded and "not proven" in (place := facts.get("In the session pool", "")):
            yield Recommendation(
                "Give POOL_MANAGEMENT_ENDPOINT beside ENDPOINT, so that the pool's own session "
                "list can testify where code runs",
                _line(place),
            )
        missing = [it.id for it in self.requirements if not it.tests]
        if missing:
            yield Recommendation(
                "Run the whole of suites/ before relying on this",
                f"no test of this run verifies {', '.join(missing)} of the plan",
            )
        if is_embedded:
            yield Recommendation(
                "Point the suite at the deployment, with ENDPOINT or POOL_MANAGEMENT_ENDPOINT",
                f"this run says nothing of one; it tested the {_line(tested)}",
            )


def read_metrics(folders: Iterable[Path]) -> Sequence[Metric]:
    """Read what was measured from the folders that hold it; what can't be read is left out.

    Where two folders have a metric of the same name, the first one's counts.
    """
    found: dict[str, Metric] = {}
    for folder in folders:
        for metric in _metrics_of(folder / JUDGEMENTS):
            found.setdefault(metric.name, metric)
    return list(found.values())


def _metrics_of(file: Path) -> Sequence[Metric]:
    names = {it.name for it in fields(Metric)}
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        told = [{name: it for name, it in entry.items() if name in names} for entry in entries]
        # A figure that is null was never reached.
        return [
            Metric(**{**it, "value": math.inf if it["value"] is None else it["value"]})
            for it in told
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return ()


def in_one_line(text: str, longest: int) -> str:
    """Return a text of the report's top without its formatting: no bold face, no list."""
    items = (line.removeprefix("- ") for line in text.replace("*", "").splitlines())
    return cut("; ".join(" ".join(item.split()) for item in items if item.strip()), longest)


def figure(metric: Metric) -> str:
    """Return a metric's figure with interval, unit and sample count, in words."""
    if not math.isfinite(metric.value):
        return f"never reached (n = {metric.count})"
    ends = [None if end is None or not math.isfinite(end) else end for end in _ends(metric)]
    told = f"{metric.value:.4g} {metric.unit}"
    if ends != [None, None] and not ends[0] == ends[1] == metric.value:
        low, high = ("?" if end is None else f"{end:.4g}" for end in ends)
        told += f" ({low} to {high})"
    return f"{told}, n = {metric.count:,}"


def bar(metric: Metric) -> str:
    """Return a metric's bar in words; empty where it is not judged."""
    return "" if metric.bar is None else f"{metric.bar:.4g} {metric.unit}"


def _ends(metric: Metric) -> tuple[float | None, float | None]:
    return metric.low, metric.high


def _is_near(metric: Metric) -> bool:
    return (
        metric.unit in ("s", "ms")
        and bool(metric.bar)
        and metric.value > _NEAR_THE_BAR * (metric.bar or 0)
    )


def _kind_of_skip(reason: str) -> str:
    return next((kind for kind, words in _KINDS_OF_SKIPS if words.match(reason)), None) or next(
        (kind for kind, words in _KINDS_OF_SKIPS if words.search(reason)), _OTHER_SKIPS
    )


def _named(tests: Sequence[TestOutcome], most: int = 3) -> str:
    names = ", ".join(f"'{test.name}'" for test in tests[:most])
    return names + (f" and {len(tests) - most:,} more" if len(tests) > most else "")


def _tests(number: int) -> str:
    return "1 test" if number == 1 else f"{number:,} tests"


def _line(text: str) -> str:
    return in_one_line(text, 500)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
