"""Drawing an inline SVG: axes, marks and text that need no script, style sheet or network.

Meaning never hangs on colour alone: marks differ in shape, lines in their dashes, and each is
named where it is drawn. The palette is Okabe and Ito's, which colour-blind people tell apart,
on a white ground of its own, since the page around may be dark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

BLACK, BLUE, ORANGE, GREEN, PURPLE, GREY = (
    "#000000",
    "#0072b2",
    "#d55e00",
    "#007a59",
    "#a3497f",
    "#6b6b6b",
)
WIDTH = 860.0
TOP = 66.0
"""Where a picture begins below its heading, its legend and the name of its upright axis."""

_CHARACTER = 6.4


@dataclass(frozen=True)
class Axis:
    """A scale from values to positions.

    Attributes:
        low: Smallest value shown.
        high: Largest value shown.
        start: Position of the smallest value.
        end: Position of the largest value.
        logarithmic: Whether equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the position of a value; one that is out of range lies at the edge."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values, about six of them."""
        if self.logarithmic:
            return self._logarithmic_ticks()
        step = _round_step((self.high - self.low) / 6)
        first = math.ceil(round(self.low / step, 6))
        last = math.floor(round(self.high / step, 6))
        return [number * step for number in range(first, last + 1)]

    def _logarithmic_ticks(self) -> list[float]:
        decades = range(
            math.floor(math.log10(self.low)), math.floor(math.log10(self.high) + 1e-9) + 1
        )
        digits = (1, 2, 5) if len(decades) < 4 else (1,)
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        return [tick for tick in ticks if self.low <= tick * (1 + 1e-9) and tick <= self.high]


def time_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Return an axis for durations in seconds: logarithmic where they differ widely.

    Args:
        values: What must be seen on it, above 0 where it counts.
        start: Position of its lower end.
        end: Position of its upper end.
    """
    positive = [value for value in values if value > 0] or [1.0]
    low, high = min(positive), max(positive)
    if high / low > 20:
        return Axis(low / 1.2, high * 1.2, start, end, logarithmic=True)
    return Axis(0.0, high * 1.08, start, end)


def seconds(value: float) -> str:
    """Return a duration in the unit that suits it."""
    if value == 0:
        return "0"
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


class Drawing:
    """Collects the elements of one picture.

    Args:
        title: What the picture shows, in a few words; also its heading.
        description: What can be seen in it, in sentences, for those who can't see it.
        height: Height in units of which it is 860 wide.
    """

    def __init__(self, title: str, description: str, height: float) -> None:
        self._height = height
        name, told = html.escape(title), html.escape(description)
        self._elements = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" '
            f'role="img" aria-label="{name}. {told}" font-family="sans-serif" font-size="12" '
            f'style="width:100%;max-width:{WIDTH:g}px;height:auto;break-inside:avoid">',
            f"<title>{name}</title><desc>{told}</desc>",
            f'<rect width="{WIDTH:g}" height="{height:g}" fill="#ffffff"/>',
        ]
        self.text(16, 24, title, size=15, bold=True)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: str = "start",
        colour: str = BLACK,
        size: float = 12,
        bold: bool = False,
    ) -> None:
        """Write a line of text; a white edge keeps it readable on lines."""
        weight = ' font-weight="bold"' if bold else ""
        self._elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
            f'font-size="{size:g}"{weight} stroke="#ffffff" stroke-width="3" '
            f'paint-order="stroke">{html.escape(text)}</text>'
        )

    def line(
        self,
        points: Sequence[tuple[float, float]],
        *,
        colour: str = BLACK,
        width: float = 1.0,
        dashes: str = "",
    ) -> None:
        """Draw a line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._elements.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="{width:g}"{dashed}/>'
        )

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, edge: str = "none"
    ) -> None:
        """Draw a filled rectangle."""
        self._elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{fill}" stroke="{edge}"/>'
        )

    def marks(self, shape: str, places: Sequence[tuple[float, float]], colour: str) -> None:
        """Draw marks of one shape: circle, triangle, wedge, diamond, square, cross."""
        outline = _SHAPES[shape]
        path = "".join(f"M{x:.1f} {y:.1f}{outline}" for x, y in places)
        # All are open, so that marks on top of each other can be told.
        self._elements.append(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
        )

    def legend(self, entries: Sequence[tuple[str, str, str]], y: float) -> None:
        """Name marks in one row that ends at the right edge: shape, colour, name."""
        x = WIDTH - 16 - sum(26 + _CHARACTER * len(name) for _, _, name in entries)
        for shape, colour, name in entries:
            self.marks(shape, [(x + 6, y - 4)], colour)
            self.text(x + 15, y, name)
            x += 26 + _CHARACTER * len(name)

    def axes(
        self,
        across: Axis,
        up: Axis,
        *,
        across_name: str,
        up_name: str,
        across_format: Callable[[float], str],
        up_format: Callable[[float], str],
        across_ticks: Sequence[float] | None = None,
    ) -> None:
        """Draw both axes with their ticks and a faint grid."""
        for tick in across.ticks() if across_ticks is None else across_ticks:
            x = across.place(tick)
            self.line([(x, up.start), (x, up.end)], colour="#e3e3e3")
            self.text(x, up.start + 16, across_format(tick), anchor="middle")
        for tick in up.ticks():
            y = up.place(tick)
            self.line([(across.start, y), (across.end, y)], colour="#e3e3e3")
            self.text(across.start - 6, y + 4, up_format(tick), anchor="end")
        self.line([(across.start, up.end), (across.start, up.start), (across.end, up.start)])
        self.text((across.start + across.end) / 2, up.start + 34, across_name, anchor="middle")
        self.text(16, TOP - 6, up_name)

    def render(self) -> str:
        """Return the picture as one SVG element."""
        return "".join(self._elements) + "</svg>"


# Relative to their middles.
_SHAPES = {
    "circle": "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0",
    "triangle": "m0-5l4.6 8.2h-9.2z",
    "wedge": "m0 5l4.6-8.2h-9.2z",
    "diamond": "m0-5l5 5l-5 5l-5-5z",
    "square": "m-3.4-3.4h6.8v6.8h-6.8z",
    "cross": "m-4-4l8 8m0-8l-8 8",
}


def _round_step(step: float) -> float:
    size = 10.0 ** math.floor(math.log10(step))
    return next(digit * size for digit in (1, 2, 5, 10) if digit * size >= step * (1 - 1e-9))
