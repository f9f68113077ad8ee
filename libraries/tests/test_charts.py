from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest

from codewitness.measuring.charts import (
    GanttRow,
    gantt,
    latency_distribution,
    latency_over_time,
    throughput_against_concurrency,
)
from codewitness.measuring.drawing import Axis, time_axis
from codewitness.measuring.overlap import Interval
from codewitness.measuring.samples import Sample, Warmth
from codewitness.measuring.statistics import Estimate, estimate_share
from codewitness.measuring.throughput import Level, find_knee

SVG = "{http://www.w3.org/2000/svg}"
BARS = {"P1 cold start": 5.0, 'P2 <warm> & "quick"': 1.0}


def load(count: int) -> list[Sample]:
    choose = random.Random(5)
    made = []
    for number in range(count):
        cold = number < count // 10
        latency = (2.0 if cold else 0.05) * choose.lognormvariate(0, 0.3)
        failed = number % 40 == 39
        made.append(
            Sample(
                number,
                number / 10,
                number / 10,
                number / 10 + latency,
                "refused" if failed else "ok",
                "HTTP 429" if failed else "",
                warmth=Warmth.NEW_INSTANCE if cold else Warmth.WARM,
                warm_up=number == count // 2,
            )
        )
    return made


def levels() -> list[Level]:
    return [
        Level(number, Estimate(rate, 0.95 * rate, 1.05 * rate, 200), estimate_share(2, 200))
        for number, rate in ((1, 20.0), (2, 39.0), (4, 78.0), (8, 80.0))
    ]


def rows(count: int) -> list[GanttRow]:
    return [
        GanttRow(f"client {number}", Interval(100.1, 101.2 + number / 100), 100.0, 101.9)
        for number in range(count)
    ]


PICTURES: dict[str, Callable[[], str]] = {
    "distribution": lambda: latency_distribution(load(200), bars=BARS),
    "over time": lambda: latency_over_time(load(200), bars=BARS),
    "throughput": lambda: throughput_against_concurrency(levels(), find_knee(levels())),
    "no knee": lambda: throughput_against_concurrency(levels()[:3], find_knee(levels()[:3])),
    "gantt": lambda: gantt(rows(10)),
    "gantt of 200": lambda: gantt(rows(200)),
    "one sample": lambda: latency_distribution([Sample(0, 0, 0, 0.1)]),
    "in order": lambda: latency_over_time(load(20), bars=BARS, in_order=True),
    "one sample over time": lambda: latency_over_time([Sample(0, 0, 0, 0.1)]),
    "failures only": lambda: latency_over_time([Sample(0, 0, 0, 0.1, "refused", "HTTP 503")]),
    "answers in no time": lambda: latency_distribution([Sample(0, 1, 1, 1)] * 30),
    "no throughput": lambda: throughput_against_concurrency(
        [Level(1, Estimate(0, None, None, 0), estimate_share(5, 5))],
        find_knee([Level(1, Estimate(0, None, None, 0), estimate_share(5, 5))]),
    ),
    "rows without requests": lambda: gantt([GanttRow("x", Interval(5, 6))]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_picture_needs_nothing_and_has_a_text(name: str) -> None:
    text = PICTURES[name]()
    picture = ElementTree.fromstring(text)
    assert picture.tag == f"{SVG}svg"
    assert picture.get("role") == "img"
    assert picture.get("aria-label")
    assert picture.findtext(f"{SVG}title")
    assert len(picture.findtext(f"{SVG}desc") or "") > 20
    allowed = {"svg", "title", "desc", "rect", "text", "polyline", "path"}
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} <= allowed
    assert not re.search(r"href|url\(|@import|<script|\bid=|\bclass=", text)
    assert text.count("http") == 1
    assert not re.search(r"\bnan\b|\binf\b", text)


@pytest.mark.parametrize("name", PICTURES)
def test_everything_lies_within_the_picture(name: str) -> None:
    picture = ElementTree.fromstring(PICTURES[name]())
    width, height = map(float, (picture.get("viewBox") or "").split()[2:])
    for text in picture.iter(f"{SVG}text"):
        x, y = float(text.get("x") or -1), float(text.get("y") or -1)
        # A generous guess of the width of letters.
        long = 6.8 * len(text.text or "")
        left = {"start": x, "middle": x - long / 2, "end": x - long}[text.get("text-anchor") or ""]
        assert left > -20, text.text
        assert left + long < width + 30, text.text
        assert 0 < y < height, text.text
    for line in picture.iter(f"{SVG}polyline"):
        for point in (line.get("points") or "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_cold_and_warm_differ_in_shape_and_are_named() -> None:
    text = latency_over_time(load(200))
    paths = re.findall(r'<path d="M[\d.]+ [\d.]+([^M"]+)', text)
    assert len(set(paths)) >= 3
    for label in ("new instance (20)", "warm (174)", "warm-up (1)", "failed (5)"):
        assert f">{label}</text>" in text
    assert "5 of 200 requests failed: HTTP 429 (5)." in text


def test_lines_differ_in_their_dashes() -> None:
    text = latency_distribution(load(200))
    lines = re.findall(r'<polyline [^>]*stroke-width="2"[^>]*>', text)
    assert len(lines) == 2
    assert sum("stroke-dasharray" in line for line in lines) == 1
    assert ">n = 179</text>" in text


def test_bars_of_the_plan_are_drawn_and_escaped() -> None:
    text = latency_over_time(load(100), bars=BARS)
    assert "P1 cold start: 5 s" in text
    assert "P2 &lt;warm&gt; &amp; &quot;quick&quot;: 1 s" in text


def test_knee_is_drawn_where_there_is_one() -> None:
    assert "knee: 4 at once" in PICTURES["throughput"]()
    assert "no knee found" in PICTURES["no knee"]()


def test_overlap_is_told_in_words() -> None:
    text = gantt(rows(10))
    assert "10 of 10 programs ran at one moment" in text
    assert text.count("<rect") == 11


def test_large_loads_make_small_pictures_that_keep_their_extremes() -> None:
    made = load(20_000)
    made[15_000] = Sample(15_000, 1500, 1500, 1590, warmth=Warmth.WARM)
    text = latency_over_time(made)
    assert len(text) < 120_000
    assert len(latency_distribution(made)) < 40_000
    # The one sample of 90 s lies alone near the upper end.
    heights = [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)m-3.5 0", text)]
    assert sum(80 < height < 110 for height in heights) == 1


@pytest.mark.parametrize(
    "draw",
    [
        lambda: latency_distribution([]),
        lambda: latency_distribution([Sample(0, 0, 0, 1, "refused")]),
        lambda: latency_over_time([]),
        lambda: throughput_against_concurrency([], find_knee(levels())),
        lambda: gantt([]),
        lambda: gantt(rows(201)),
    ],
)
def test_nothing_to_draw_is_refused(draw: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match=r"picture|distribution"):
        draw()


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0, 10, 0, 100), [0, 2, 4, 6, 8, 10]),
        (Axis(0, 0.97, 0, 100), [0, 0.2, 0.4, 0.6, 0.8]),
        (Axis(0.03, 5.5, 0, 100, logarithmic=True), [0.05, 0.1, 0.2, 0.5, 1, 2, 5]),
    ],
)
def test_ticks_are_round(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)


def test_axis_of_times_is_logarithmic_where_they_differ_widely() -> None:
    assert time_axis([0.01, 1.0], 0, 1).logarithmic
    assert not time_axis([0.1, 1.0], 0, 1).logarithmic
    assert time_axis([0.0], 0, 1).place(0.0) == 0
