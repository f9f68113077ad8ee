"""Pictures of what was measured, as inline SVG with a text alternative.

Whatever is drawn tells its sample count, and what is thinned out to be drawn keeps its extremes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from codewitness.measuring.drawing import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    TOP,
    WIDTH,
    Axis,
    Drawing,
    seconds,
    time_axis,
)
from codewitness.measuring.overlap import Interval, busiest_moment, measure_overlap
from codewitness.measuring.samples import Sample, Warmth, count_outcomes
from codewitness.measuring.statistics import Estimate, estimate_quantile
from codewitness.measuring.throughput import Knee, Level

_LEFT = 76.0
_RIGHT = WIDTH - 120
_STEPS = 300
_COLUMNS = 300
_MOST_ROWS = 200


@dataclass(frozen=True)
class _Style:
    shape: str
    colour: str
    dashes: str


_STYLES = {
    Warmth.WARM: _Style("circle", BLUE, ""),
    Warmth.READY_INSTANCE: _Style("diamond", GREEN, "9 3 2 3"),
    Warmth.NEW_INSTANCE: _Style("triangle", ORANGE, "7 4"),
    Warmth.COLD: _Style("wedge", ORANGE, "12 3"),
    Warmth.UNKNOWN: _Style("square", PURPLE, "2 3"),
}


@dataclass(frozen=True)
class GanttRow:
    """One of the simultaneous requests; all times in seconds by one clock.

    Attributes:
        name: What it is called.
        ran: When its program ran.
        sent: When the request was sent, where known.
        received: When its answer was there, where known.
    """

    name: str
    ran: Interval
    sent: float | None = None
    received: float | None = None


def latency_distribution(
    samples: Sequence[Sample],
    *,
    bars: Mapping[str, float] | None = None,
    title: str = "Distribution of response times",
) -> str:
    """Draw the share of requests that were answered within a time, one line a warmth.

    Failed requests are never answered: their line ends below 100 %.

    Args:
        samples: What to draw; the warm-up is left out.
        bars: Thresholds in seconds by their names.
        title: Heading of the picture.

    Raises:
        ValueError: No sample succeeded.
    """
    bars = bars or {}
    groups = _by_warmth(samples)
    answered = [it.response_time for group in groups.values() for it in group if it.succeeded]
    if not answered:
        raise ValueError("a distribution needs at least one answered request")
    up = Axis(0, 100, 300, TOP + 16)
    across = time_axis([*answered, *bars.values()], _LEFT, _RIGHT)
    told = [_describe_group(warmth, group) for warmth, group in groups.items()]
    told += [f"The bar {name} is at {seconds(bar)}." for name, bar in bars.items()]
    picture = Drawing(title, " ".join(told), 350)
    picture.axes(
        across,
        up,
        across_name="response time, from the planned start" + _scale(across),
        up_name="answered within this time",
        across_format=seconds,
        up_format=lambda share: f"{share:.0f} %",
    )
    for name, bar in bars.items():
        x = across.place(bar)
        picture.line([(x, up.start), (x, up.end)], width=1.6, dashes="3 3")
        picture.text(x, up.end - 4, f"{name}: {seconds(bar)}", anchor="middle")
    labels: list[float] = []
    for warmth, group in groups.items():
        style = _STYLES[warmth]
        times = sorted(it.response_time for it in group if it.succeeded)
        if not times:
            continue
        picture.line(
            _steps(times, len(group), across, up), colour=style.colour, width=2, dashes=style.dashes
        )
        for q in (0.5, 0.95):
            _draw_quantile(picture, group, q, across, up, style)
        y = up.place(100 * len(times) / len(group)) + 4
        while any(abs(y - other) < 28 for other in labels):
            y += 28
        labels.append(y)
        picture.text(_RIGHT + 8, y, warmth.value, colour=style.colour, bold=True)
        picture.text(_RIGHT + 8, y + 13, f"n = {len(group)}", colour=style.colour)
    return picture.render()


def latency_over_time(
    samples: Sequence[Sample],
    *,
    bars: Mapping[str, float] | None = None,
    title: str = "Response times during the load",
    in_order: bool = False,
) -> str:
    """Draw every response time at its planned start, with a shape of its own for each warmth.

    Args:
        samples: What to draw, in any order; the warm-up is drawn in grey.
        bars: Thresholds in seconds by their names.
        title: Heading of the picture.
        in_order: Whether requests are drawn beside each other in the order given, and not at the
            moments of their starts, which many of them can share.

    Raises:
        ValueError: There are no samples.
    """
    if not samples:
        raise ValueError("a picture of response times needs at least one sample")
    if in_order:
        samples = [_begun_at(number, sample) for number, sample in enumerate(samples, 1)]
    bars = bars or {}
    failed = [sample for sample in samples if not sample.succeeded]
    warm_up = [sample for sample in samples if sample.succeeded and sample.warm_up]
    groups = _by_warmth([sample for sample in samples if sample.succeeded])
    shown = [sample.response_time for sample in samples if sample.succeeded]
    up = time_axis([*shown, *bars.values()], 300, TOP + 22)
    last = max(sample.planned for sample in samples)
    across = Axis(0, last * 1.02 or 1.0, _LEFT, _RIGHT)
    told = [_describe_group(warmth, group) for warmth, group in groups.items()]
    if failed:
        named = ", ".join(f"{name} ({count})" for name, count in count_outcomes(failed).items())
        told.append(f"{len(failed)} of {len(samples)} requests failed: {named}.")
    told += [f"The bar {name} is at {seconds(bar)}." for name, bar in bars.items()]
    picture = Drawing(title, " ".join(told), 350)
    picture.axes(
        across,
        up,
        across_name="requests in order" if in_order else "planned start since the load began",
        up_name="response time" + _scale(up),
        across_format=lambda value: f"{value:g}" if in_order else f"{value:g} s",
        up_format=seconds,
        across_ticks=[it for it in across.ticks() if not in_order or it == int(it) > 0],
    )
    legend = []
    if warm_up:
        picture.marks("circle", _thin(warm_up, across, up), GREY)
        legend.append(("circle", GREY, f"warm-up ({len(warm_up)})"))
    for warmth, group in groups.items():
        style = _STYLES[warmth]
        picture.marks(style.shape, _thin(group, across, up), style.colour)
        legend.append((style.shape, style.colour, f"{warmth.value} ({len(group)})"))
    if failed:
        columns = {round(across.place(sample.planned)) for sample in failed}
        picture.marks("cross", [(x, TOP + 8) for x in sorted(columns)], BLACK)
        picture.text(_RIGHT + 8, TOP + 12, "failed")
        legend.append(("cross", BLACK, f"failed ({len(failed)})"))
    for name, bar in bars.items():
        y = up.place(bar)
        picture.line([(_LEFT, y), (_RIGHT, y)], width=1.6, dashes="3 3")
        picture.text(_RIGHT - 4, y - 5, f"{name}: {seconds(bar)}", anchor="end")
    picture.legend(legend, 44)
    return picture.render()


def throughput_against_concurrency(
    levels: Sequence[Level], knee: Knee, *, title: str = "Throughput against requests at once"
) -> str:
    """Draw the throughput of each level with its interval, and the knee where there is one.

    Args:
        levels: Levels in ascending order.
        knee: What was found among them.
        title: Heading of the picture.

    Raises:
        ValueError: There are no levels.
    """
    if not levels:
        raise ValueError("a picture of throughput needs at least one level")
    highest = max(level.throughput.high or level.throughput.value for level in levels)
    up = Axis(0, highest * 1.15 or 1.0, 300, TOP)
    numbers = [level.at_once for level in levels]
    across = Axis(min(numbers) / 1.25, max(numbers) * 1.25, _LEFT, _RIGHT, logarithmic=True)
    told = [_describe_level(level) for level in levels]
    picture = Drawing(title, f"The knee is {knee.reason}. " + " ".join(told), 350)
    picture.axes(
        across,
        up,
        across_name="requests at once (logarithmic)",
        up_name="right answers a second",
        across_format=lambda value: f"{value:g}",
        up_format=lambda value: f"{value:g}",
        across_ticks=numbers,
    )
    places = [(across.place(it.at_once), up.place(it.throughput.value)) for it in levels]
    picture.line(places, colour=BLUE, width=2)
    rises = [one[1] >= other[1] for one, other in itertools.pairwise(places)] + [True]
    for level, (x, y), rising in zip(levels, places, rises, strict=True):
        _draw_whisker(picture, level.throughput, x, up)
        notes = [f"{level.throughput.value:.1f}", f"n = {level.throughput.count}"]
        if level.failures.value:
            notes.append(f"{100 * level.failures.value:.1f} % failed")
        if level.objection:
            notes.append("generator at its limit")
        # On the side where the line to the next level does not run.
        below = rising and y + 18 + 13 * len(notes) < up.start
        top = y + 18 if below else y - 10 - 13 * (len(notes) - 1)
        for row, note in enumerate(notes):
            picture.text(x + 8, top + 13 * row, note)
    good = [place for level, place in zip(levels, places, strict=True) if not level.objection]
    doubtful = [place for level, place in zip(levels, places, strict=True) if level.objection]
    picture.marks("circle", good, BLUE)
    picture.marks("cross", doubtful, BLACK)
    if knee.level is not None:
        x = across.place(knee.level.at_once)
        picture.line([(x, up.start), (x, up.end)], colour=ORANGE, width=1.6, dashes="7 4")
        picture.marks("diamond", [(x, up.place(knee.level.throughput.value))], ORANGE)
        label = f"knee: {knee.level.at_once} at once"
        picture.text(x + 6, up.end + 4, label, colour=ORANGE, bold=True)
    else:
        picture.text(_LEFT + 8, up.end + 16, "no knee found", bold=True)
    return picture.render()


def gantt(rows: Sequence[GanttRow], *, title: str = "Simultaneous requests") -> str:
    """Draw when each program ran, between the sending of its request and its answer.

    Args:
        rows: The requests in the order to be shown.
        title: Heading of the picture.

    Raises:
        ValueError: There are no rows, or more than 200.
    """
    if not 0 < len(rows) <= _MOST_ROWS:
        raise ValueError(f"a picture shows 1 to {_MOST_ROWS} requests, not {len(rows)}")
    runs = [row.ran for row in rows]
    overlap, moment = measure_overlap(runs), busiest_moment(runs)
    known = [it for row in rows for it in (row.sent, row.received) if it is not None]
    zero = min([row.ran.start for row in rows] + known)
    last = max([row.ran.end for row in rows] + known)
    step = 20.0 if len(rows) <= 25 else max(4.0, 500 / len(rows))
    bottom = TOP + step * len(rows) + 4
    left = _LEFT + 40
    across = Axis(0, (last - zero) * 1.02, left, _RIGHT)
    finding = (
        f"{overlap.peak} of {overlap.count} programs ran at one moment, "
        f"{seconds(moment - zero)} after the first request was sent"
        if known
        else f"{overlap.peak} of {overlap.count} programs ran at one moment, "
        f"{seconds(moment - zero)} after the first of them started"
    )
    told = (
        f"{finding}; all ran within {seconds(overlap.span)}, the longest for "
        f"{seconds(overlap.longest)}."
    )
    picture = Drawing(title, told, bottom + 48)
    picture.text(16, 44, f"{finding}; all within {seconds(overlap.span)}")
    for tick in across.ticks():
        x = across.place(tick)
        picture.line([(x, TOP - 6), (x, bottom)], colour="#e3e3e3")
        picture.text(x, bottom + 16, f"{tick:g} s", anchor="middle")
    picture.line([(left, bottom), (_RIGHT, bottom)])
    names_every = math.ceil(13 / step)
    for number, row in enumerate(rows):
        y = TOP + step * number
        start, end = across.place(row.ran.start - zero), across.place(row.ran.end - zero)
        if row.sent is not None and row.received is not None:
            ends = [across.place(row.sent - zero), across.place(row.received - zero)]
            picture.line([(x, y + step / 2 - 1) for x in ends], colour=GREY, width=1.5)
            for x in ends:
                picture.line([(x, y + 1), (x, y + step - 3)], colour=GREY, width=1.5)
        picture.box(start, y + 1, max(1.0, end - start), step - 4, "#9ecae9", BLUE)
        if number % names_every == 0:
            picture.text(left - 6, y + step / 2 + 3, row.name, anchor="end")
    x = across.place(moment - zero)
    picture.line([(x, TOP - 6), (x, bottom)], colour=ORANGE, width=1.8, dashes="7 4")
    picture.text(x, TOP - 9, f"{overlap.peak} at once", anchor="middle", colour=ORANGE, bold=True)
    explained = "bar: the program ran" + ("; line: request to answer" if known else "")
    picture.text((left + _RIGHT) / 2, bottom + 34, f"time ({explained})", anchor="middle")
    return picture.render()


def _begun_at(moment: float, sample: Sample) -> Sample:
    later = moment - sample.planned
    return replace(
        sample, planned=moment, started=sample.started + later, ended=sample.ended + later
    )


def _by_warmth(samples: Sequence[Sample]) -> dict[Warmth, list[Sample]]:
    counted = [sample for sample in samples if not sample.warm_up]
    groups = {it: [sample for sample in counted if sample.warmth is it] for it in Warmth}
    return {warmth: group for warmth, group in groups.items() if group}


def _describe_group(warmth: Warmth, group: Sequence[Sample]) -> str:
    times = [it.response_time if it.succeeded else math.inf for it in group]
    middle, high = (estimate_quantile(times, q) for q in (0.5, 0.95))
    return (
        f"{len(group)} samples {warmth.value}: median {_interval(middle)}, "
        f"95th percentile {_interval(high)}."
    )


def _interval(estimate: Estimate) -> str:
    value, low, high = (
        "unknown" if it is None else "never" if math.isinf(it) else seconds(it)
        for it in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} (95 % interval {low} to {high})"


def _describe_level(level: Level) -> str:
    return (
        f"{level.at_once} at once: {level.throughput.format(1)} a second from "
        f"{level.throughput.count} answers, {100 * level.failures.value:.1f} % failed"
        f"{', generator at its limit' if level.objection else ''}."
    )


def _scale(axis: Axis) -> str:
    return " (logarithmic)" if axis.logarithmic else ""


def _steps(times: Sequence[float], count: int, across: Axis, up: Axis) -> list[tuple[float, float]]:
    """Return the line of a distribution, of so many steps at most."""
    every = max(1, math.ceil(len(times) / _STEPS))
    ranks = [*range(0, len(times) - 1, every), len(times) - 1]
    points = [(across.place(times[0]), up.place(0))]
    for rank in ranks:
        x = across.place(times[rank])
        points += [(x, points[-1][1]), (x, up.place(100 * (rank + 1) / count))]
    return [*points, (across.end, points[-1][1])]


def _draw_quantile(
    picture: Drawing, group: Sequence[Sample], q: float, across: Axis, up: Axis, style: _Style
) -> None:
    times = [it.response_time if it.succeeded else math.inf for it in group]
    estimate = estimate_quantile(times, q)
    if estimate.low is None or estimate.high is None or math.isinf(estimate.value):
        return
    y = up.place(100 * q)
    ends = (across.place(estimate.low), across.place(estimate.high))
    picture.line([(x, y) for x in ends], colour=style.colour, width=1.4)
    for x in ends:
        picture.line([(x, y - 4), (x, y + 4)], colour=style.colour, width=1.4)
    picture.marks(style.shape, [(across.place(estimate.value), y)], style.colour)
    label = f"p{100 * q:g} {seconds(estimate.value)}"
    picture.text(ends[1] + 6, y + 12, label, colour=style.colour, size=11)


def _draw_whisker(picture: Drawing, estimate: Estimate, x: float, up: Axis) -> None:
    if estimate.low is None or estimate.high is None:
        return
    low, high = up.place(estimate.low), up.place(estimate.high)
    picture.line([(x, low), (x, high)], colour=BLUE, width=1.4)
    for y in (low, high):
        picture.line([(x - 4, y), (x + 4, y)], colour=BLUE, width=1.4)


def _thin(samples: Sequence[Sample], across: Axis, up: Axis) -> list[tuple[float, float]]:
    """Return where samples are drawn: of a crowd in one column the lowest, middle and highest."""
    width = (across.end - across.start) / _COLUMNS
    columns: dict[int, list[tuple[float, float]]] = {}
    for sample in samples:
        place = (across.place(sample.planned), up.place(sample.response_time))
        columns.setdefault(int((place[0] - across.start) / width), []).append(place)
    drawn = []
    for column in columns.values():
        column.sort(key=lambda place: place[1])
        few = len(column) <= 3
        drawn += column if few else [column[0], column[len(column) // 2], column[-1]]
    return drawn
