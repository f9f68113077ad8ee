from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codewitness.execution.causes import fault, likely_cause
from codewitness.execution.model import FaultKind
from codewitness.reporting.card import Mismatch, fault_card, mismatch_card
from codewitness.reporting.failures import group_failures, read_failure
from codewitness.reporting.metrics import Metric, MetricsFiles
from codewitness.reporting.results import (
    PLAN,
    Results,
    TestOutcome,
    bar,
    figure,
    read_metrics,
)
from codewitness.reporting.results_pages import (
    LONGEST_COMMENT,
    LONGEST_SUMMARY,
    as_console_lines,
    as_json,
    as_log_text,
    as_markdown,
    as_page,
    style_sheet,
)

REFUSED = fault(FaultKind.CAPACITY, "out of capacity: HTTP 429", status=429)
CAPACITY = fault_card(
    REFUSED,
    None,
    expected="an answer",
    diagnosis=likely_cause(FaultKind.CAPACITY, status=429),
    where="pool",
    repeat="curl -sS http://localhost/",
)
OTHER_CAPACITY = CAPACITY.replace("HTTP 429", "HTTP 429 again")
PLAIN = mismatch_card(
    Mismatch("stdout", "equals", b"a\n", b"b\n"), None, None, diagnosis=None, where="somewhere"
)
WARM = Metric("warm, p90", "s", 0.3, 0.2, 0.4, 50, "P2", 1.0, "PASS", "p90 is below 1 s")


def outcome(
    name: str, status: str = "PASS", message: str = "", *tags: str, section: str = "1 One"
) -> TestOutcome:
    return TestOutcome(name, section, status, message, frozenset(tags), f"s1-{name}")


def failing(number: int, message: str) -> TestOutcome:
    return outcome(f"Test {number}", "FAIL", message)


MIXED = Results(
    [
        outcome("T1.1 Print", "PASS", "", "T1.1", "must"),
        outcome("T1.2 Add", "FAIL", CAPACITY, "T1.2", "must"),
        outcome("Other", "FAIL", OTHER_CAPACITY, "P3", section="4 Four"),
        outcome("Words", "FAIL", PLAIN, "P3", section="4 Four"),
        outcome(
            "Skipped", "SKIP", "Needs the capability args, which is refused: HTTP 400.", "T2.1"
        ),
        outcome("T4.3 Reuse", "PASS", "", "T4.3", "P3", section="4 Four"),
    ],
    {"Tested": "backend at http://b/ (ENDPOINT)", "Where code ran": "not proven"},
    [WARM],
    12.3,
    "2026-01-02T03:04:05",
)


# Reading failures.


def test_card_is_read_again() -> None:
    failure = read_failure(f"Parent suite setup failed:\n{CAPACITY}")
    assert failure.headline.startswith("PLATFORM FAULT, not the program's: out of capacity")
    assert failure.rows == ("C2", "C3")
    assert failure.cause.startswith("sessions or workers are used up")
    assert failure.cure.startswith("wait for ready instances")
    assert failure.repeat == "curl -sS http://localhost/"
    assert failure.by_platform


def test_message_that_is_no_card_is_its_own_headline() -> None:
    failure = read_failure("Several failures occurred:\n\n1) First thing.\n\n2) Second thing.")
    assert failure.headline == "First thing."
    assert failure.cause == failure.cure == ""
    assert read_failure("").headline == "failed without a message"


def test_label_inside_an_output_is_not_taken_for_one_of_the_card() -> None:
    printed = b"Likely cause  the moon\n"
    card = mismatch_card(
        Mismatch("stdout", "equals", b"\n", printed), None, None, diagnosis=None, where="here"
    )
    assert read_failure(card).cause == ""


@pytest.mark.parametrize(
    "message",
    [
        "Test execution stopped due to a fatal error.",
        "PLATFORM FAULT, not the program's: not sent, because the service is out of order since an "
        "earlier test: connection refused",
    ],
)
def test_what_only_follows_from_an_earlier_failure_is_no_problem_of_its_own(message: str) -> None:
    results = Results([failing(1, CAPACITY), failing(2, message)])
    assert [problem.tests for problem in results.problems] == [(0,)]
    assert results.left_untested == 1
    assert "1 more tests failed because" in as_markdown(results)


def test_failures_are_grouped_by_cause_and_the_platform_comes_first() -> None:
    messages = [PLAIN, PLAIN.replace("b⏎", "c⏎"), PLAIN, CAPACITY, OTHER_CAPACITY, "Odd."]
    groups = group_failures((n, read_failure(it)) for n, it in enumerate(messages))
    assert [group.tests for group in groups] == [(3, 4), (0, 1, 2), (5,)]
    assert groups[0].title.startswith("[C2, C3] sessions or workers")


# What a run says.


def test_totals_sections_and_plan() -> None:
    assert str(MIXED.counts) == "2 passed, 3 failed, 1 skipped"
    assert {name: it.brief for name, it in MIXED.sections.items()} == {
        "1 One": "1 passed, 1 failed, 1 skipped",
        "4 Four": "1 passed, 2 failed",
    }
    assert [it.id for it in MIXED.requirements] == list(PLAN)
    told = {it.id: it.counts.result for it in MIXED.requirements}
    assert told["T1.1"] == "passed"
    assert told["P3"] == told["T1.2"] == "failed"
    assert told["T2.1"] == "skipped"
    assert told["R1"] == "not run"


@pytest.mark.parametrize(
    ("tests", "facts", "verdict"),
    [
        ([outcome("a")], {}, "HEALTHY: all 1 test that ran passed"),
        ([outcome("a"), outcome("b", "SKIP", "x")], {}, "HEALTHY: all 1 test that ran passed, 1 s"),
        ([outcome("a")], {"DEGRADED": "*1 of 1*"}, "DEGRADED: all 1 test"),
        ([outcome("a", "SKIP", "x")], {}, "NOTHING IS KNOWN: 1 test skipped, none passed"),
        ([], {}, "NOTHING IS KNOWN"),
        ([outcome("a"), failing(1, "x")], {}, "NOT HEALTHY: 1 of 2 tests failed"),
        ([failing(1, "x")], {"Nothing was tested": "x"}, "NOTHING WAS TESTED: 1 of 1 test failed"),
    ],
)
def test_verdict(tests: Sequence[TestOutcome], facts: dict[str, str], verdict: str) -> None:
    assert Results(tests, facts).verdict.startswith(verdict)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("Known issue EXEC-1: lost lines\n\ncard", "known issue"),
        ("INCONCLUSIVE: p95 is below 1 s", "inconclusive"),
        ("Needs the capability args, which is refused: HTTP 400.", "capability missing"),
        ("The service does not list java; it lists python.", "capability missing"),
        ("run_timeout is refused: HTTP 400.", "capability missing"),
        ("Takes minutes of a real pool: run it with COSTLY=true.", "left out for its cost"),
        ("Test skipped using 'slow' tag.", "left out on the command line"),
        ("The token lists no roles; only the pool knows them.", "not applicable to this target"),
    ],
)
def test_skips_are_told_by_kind(reason: str, kind: str) -> None:
    (skips,) = Results([outcome("a", "SKIP", reason)]).skips
    assert skips.kind == kind
    assert skips.reason == reason.partition("\n")[0]


def test_every_recommendation_has_evidence() -> None:
    metrics = [
        replace(WARM, value=0.95),
        replace(WARM, name="cold", verdict="INCONCLUSIVE"),
        WARM,
    ]
    facts = {
        "Tested": "embedded backend",
        "DEGRADED": "*2 of 9*",
        "In the session pool": "not proven: no pool given",
        "Recommended pool": "A pool with max-sessions 12",
    }
    results = replace(MIXED, metrics=metrics, facts=facts)
    given = replace(results, facts={**facts, "Tested": "backend at http://b/"})
    told = {it.advice: it.evidence for it in (*results.recommendations, *given.recommendations)}
    assert all(told.values())
    advice = "\n".join(told)
    for words in (
        "Wait for ready instances",
        "Find out why the fallback answers",
        "Measure 'cold' at length",
        "Watch 'warm, p90'",
        "Size the pool as the capacity planner recommends",
        "Add the capability",
        "Give POOL_MANAGEMENT_ENDPOINT",
        "Run the whole of suites/",
        "Point the suite at the deployment",
    ):
        assert words in advice
    assert told["Size the pool as the capacity planner recommends"].endswith("max-sessions 12")


def test_passing_only_at_the_second_try_is_told() -> None:
    results = Results([outcome("a"), replace(outcome("b"), retried=True)])
    assert results.verdict.startswith("HEALTHY")
    assert any("passed only when executed anew: 'b'" in it for it in results.remarks)


# Metrics.


def test_metrics_are_read_as_they_were_written(tmp_path: Path) -> None:
    never = replace(WARM, name="never", value=math.inf, high=math.inf, verdict="FAIL")
    files = MetricsFiles(tmp_path)
    files.add(WARM)
    files.add(never)
    first, second = read_metrics([tmp_path / "nowhere", tmp_path])
    assert first == WARM
    assert figure(first) == "0.3 s (0.2 to 0.4), n = 50"
    assert bar(first) == "1 s"
    assert figure(second) == "never reached (n = 50)"


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"name": "x"}]', '{"a": 1}', "null"])
def test_metrics_that_cannot_be_read_are_left_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "judgements.json").write_text(content)
    assert read_metrics([tmp_path]) == []


# Pages.


class _Page(HTMLParser):
    """Collects what a page consists of; fails where an element is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_needs_no_script_and_no_inline_style() -> None:
    page = _Page(as_page(MIXED))
    assert not page.tags & {"script", "style", "iframe", "object", "img"}
    assert not {name for name in page.attributes if name.startswith("on")} | (
        page.attributes & {"style"}
    )
    assert not [link for link in page.links if ":" in link]
    assert {"summary.css", "log.html", "report.html", "log.html#s1-T1.2 Add"} <= set(page.links)
    assert "url(" not in style_sheet()


def test_first_screen_says_whether_it_is_healthy_what_was_tested_and_what_is_wrong() -> None:
    for text in (_Page(as_page(MIXED)).text, as_markdown(MIXED).replace("\\", "")):
        places = [
            text.index(words)
            for words in (
                "NOT HEALTHY: 3 of 6 tests failed",
                "2 passed, 3 failed, 1 skipped",
                "backend at http://b/",
                "What is wrong",
                "[C2, C3] sessions or workers are used up",
                "To do: wait for ready instances",
                "T1.2 Add",
                "curl -sS http://localhost/",
                "Execution summary",
                "The plan, point by point",
                "Performance",
                "0.3 s (0.2 to 0.4), n = 50",
                "Issues and edge cases",
                "Needs the capability args",
                "Recommendations",
            )
        ]
        assert places == sorted(places)


def test_page_without_log_and_report_has_no_links_to_them() -> None:
    assert _Page(as_page(MIXED, "", "")).links == ["summary.css"]


def test_log_text_is_short_and_names_cause_and_cure() -> None:
    text = as_log_text(replace(MIXED, tests=[failing(n, f"Odd {'x' * n}: y") for n in range(99)]))
    assert len(text) < 2000
    assert "and 96 more, in the summary" in text
    text = as_log_text(MIXED)
    assert "*NOT HEALTHY: 3 of 6 tests failed*" in text
    assert "sessions or workers are used up" in text
    assert "| 4 Four | 1 | 2 | 0 |" in text


def test_console_has_the_five_lines_that_matter() -> None:
    lines = as_console_lines(MIXED, "results/report.html").splitlines()
    assert [line.split()[0] for line in lines] == ["Target", "Ran", "Totals", "Worst", "Report"]
    assert "NOT HEALTHY: 3 of 6 tests failed (2 passed, 3 failed, 1 skipped) in 12 s" in lines[2]
    assert "sessions or workers are used up" in lines[3]


@pytest.mark.parametrize("longest", [LONGEST_SUMMARY, LONGEST_COMMENT, 3000])
def test_markdown_keeps_to_its_limit_and_says_what_it_leaves_out(longest: int) -> None:
    tests = [
        outcome(f"Test {n} {'long name ' * 9}", "FAIL", f"{chr(97 + n % 26) * (n % 400)}ä: {n}")
        for n in range(5_000)
    ]
    text = as_markdown(Results(tests), longest)
    assert len(text.encode()) <= longest
    assert text.startswith("# NOT HEALTHY: 5,000 of 5,000 tests failed")
    assert longest < LONGEST_COMMENT or re.search(r"… [\d,]+ more problems", text)


def test_json_is_whole() -> None:
    told = json.loads(as_json(MIXED))
    assert told["totals"] == {"passed": 2, "failed": 3, "skipped": 1}
    assert [it["tests"] for it in told["problems"]] == [["T1.2 Add", "Other"], ["Words"]]
    assert {it["id"]: it["result"] for it in told["plan"]}["P3"] == "failed"
    assert told["performance"][0]["verdict"] == "PASS"


_TEXTS = st.text(max_size=60) | st.sampled_from([CAPACITY, PLAIN, "<script>x</script>|*_`\n# h"])
_OUTCOMES = st.builds(
    TestOutcome,
    name=_TEXTS,
    section=st.sampled_from(["1 One", "2 | Two", "<b>"]),
    status=st.sampled_from(["PASS", "FAIL", "SKIP"]),
    message=_TEXTS,
    tags=st.frozensets(st.sampled_from(list(PLAN))),
)


@settings(max_examples=40)
@given(st.lists(_OUTCOMES, max_size=8))
def test_any_text_leaves_the_pages_whole(tests: list[TestOutcome]) -> None:
    results = Results(tests)
    page = _Page(as_page(results))
    assert "script" not in page.tags
    assert str(results.counts) in page.text
    markdown = as_markdown(results)
    assert markdown.encode()
    for table in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
        bars = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(bars) == 1, table
    told = json.loads(as_json(results))
    sections = told["sections"]
    for word, number in told["totals"].items():
        assert number == sum(section[word] for section in sections)
