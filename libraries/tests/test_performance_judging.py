"""Verdicts on requests one by one and on figures of any kind, and the files that keep them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from codewitness.measuring.samples import Sample
from codewitness.measuring.statistics import Estimate
from codewitness.measuring.verdict import Verdict, judge_each, judge_figure, judge_latency
from codewitness.reporting.metrics import JUDGEMENTS, METRICS, MetricsFiles, judged_metric


def sample(number: int, seconds: float = 0.1, error: str = "") -> Sample:
    outcome = "failed" if error else "ok"
    return Sample(number, number, number, number + seconds, outcome=outcome, error=error)


def test_one_failure_in_fifty_is_named() -> None:
    judgement = judge_each([sample(it, error="HTTP 500" if it == 31 else "") for it in range(50)])
    assert judgement.verdict is Verdict.FAIL
    assert judgement.found == "1 of 50 did not: HTTP 500 (1)"


def test_no_failure_says_what_that_excludes() -> None:
    judgement = judge_each([sample(it) for it in range(50)])
    assert judgement.verdict is Verdict.PASS
    assert judgement.found == "all 50 did (a share of more than 7.1 % is excluded)"


def test_no_request_is_inconclusive() -> None:
    assert judge_each([]).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("low", "high", "at_least", "verdict"),
    [
        (1.5, 2.5, False, Verdict.PASS),
        (3.5, 4.5, False, Verdict.FAIL),
        (2.5, 3.5, False, Verdict.INCONCLUSIVE),
        (1.5, 2.5, True, Verdict.FAIL),
        (3.5, 4.5, True, Verdict.PASS),
        (2.5, 3.5, True, Verdict.INCONCLUSIVE),
        (None, None, True, Verdict.INCONCLUSIVE),
    ],
)
def test_figure_is_judged_by_its_interval(
    low: float | None, high: float | None, at_least: bool, verdict: Verdict
) -> None:
    figure = Estimate(3.0, low, high, 9)
    judgement = judge_figure("it is so", figure, 3.0, at_least=at_least)
    assert judgement.verdict is verdict
    assert judgement.estimate == figure


def test_generator_at_its_limit_decides_no_figure() -> None:
    figure = Estimate(1.0, 0.9, 1.1, 9)
    judgement = judge_figure("it is so", figure, 3.0, objection="the generator was slow")
    assert judgement.verdict is Verdict.INCONCLUSIVE


def test_metrics_are_kept_in_both_forms(tmp_path: Path) -> None:
    files = MetricsFiles(tmp_path)
    judgement = judge_latency([sample(it) for it in range(50)], 1.0, q=0.5)
    for _ in range(2):
        metric = judged_metric("warm execution", "P2", judgement, bar=1.0, unit="ms", factor=1000)
        assert metric is not None
        files.add(metric)
    (entry,) = json.loads((tmp_path / METRICS).read_text())
    assert entry.keys() == {"name", "unit", "value", "range", "extra"}
    assert (entry["name"], entry["unit"]) == ("warm execution", "ms")
    assert entry["value"] == pytest.approx(100)
    assert entry["extra"] == "P2, bar 1000 ms, PASS, n = 50"
    (told,) = json.loads((tmp_path / JUDGEMENTS).read_text())
    assert (told["plan"], told["bar"], told["verdict"], told["count"]) == ("P2", 1000, "PASS", 50)
    assert told["claim"] == judgement.claim


def test_what_was_never_answered_is_judged_and_is_no_number(tmp_path: Path) -> None:
    judgement = judge_latency([sample(it, error="HTTP 500") for it in range(50)], 1.0)
    metric = judged_metric("warm execution", "P2", judgement, bar=1.0)
    assert metric is not None
    assert math.isinf(metric.value)
    MetricsFiles(tmp_path).add(metric)
    assert json.loads((tmp_path / METRICS).read_text()) == []
    (told,) = json.loads((tmp_path / JUDGEMENTS).read_text())
    assert (told["value"], told["verdict"]) == (None, "FAIL")
