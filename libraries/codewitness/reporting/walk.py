"""The links of a deployment's chain, from outside in, and how a walk along them is shown."""

from __future__ import annotations

import html
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from codewitness.execution.causes import Diagnosis
from codewitness.execution.redaction import redact
from codewitness.reporting.visible import cut, plain

_LONGEST_CELL = 600
_WIDTH = 100
_INDENT = 4


class LinkState(Enum):
    """What is known of a link."""

    PASSED = "passed"
    BROKEN = "broken"
    NOT_OBSERVABLE = "not observable from here"
    NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Link:
    """One link of the chain, after it was looked at.

    Attributes:
        name: Short stable name, such as ``target port``.
        wanted: What holds where the link is whole.
        state: What is known of it.
        asked: What was asked to find out.
        seen: What came, free of secrets.
        candidates: Likely causes of a broken link, the likeliest first. Several are those that
            a client can't tell apart.
    """

    name: str
    wanted: str
    state: LinkState
    asked: str = ""
    seen: str = ""
    candidates: tuple[Diagnosis, ...] = ()

    @property
    def diagnosis(self) -> Diagnosis | None:
        """All candidates as one; ``None`` where the link is not broken."""
        if len(self.candidates) < 2:
            return self.candidates[0] if self.candidates else None

        def listed(texts: Iterator[str]) -> str:
            return "; or ".join(f"({number}) {text}" for number, text in enumerate(texts, 1))

        return Diagnosis(
            f"can't be told apart from here: {listed(it.cause for it in self.candidates)}",
            listed(it.cure for it in self.candidates),
            self.candidates[0].row,
        )

    @property
    def rows(self) -> tuple[str, ...]:
        """Rows of the candidates, such as ``R1``, each once."""
        return tuple(dict.fromkeys(it.row for it in self.candidates if it.row))


@dataclass(frozen=True)
class Walk:
    """A walk along the chain, which ends at the first broken link.

    Attributes:
        links: All links in order, also those that were not asked.
        where: What was walked, with its addresses.
        elapsed: Seconds that it took.
        repeat: Command line that repeats the request which met the broken link; empty for none.
        left_open: Identifiers of sessions that the walk opened and could not stop.
    """

    links: Sequence[Link]
    where: str
    elapsed: float
    repeat: str = ""
    left_open: tuple[str, ...] = ()

    @property
    def broken(self) -> Link | None:
        """The first broken link, or ``None``."""
        return next((link for link in self.links if link.state is LinkState.BROKEN), None)

    @property
    def headline(self) -> str:
        """The outcome in one line."""
        broken = self.broken
        if broken is not None:
            rows = f" [{', '.join(broken.rows)}]" if broken.rows else ""
            return f"broken at '{broken.name}'{rows}: {cut(_line(broken.seen), 300)}"
        counted = Counter(link.state for link in self.links)
        told = ", ".join(f"{counted[it]} {it.value}" for it in LinkState if counted[it])
        return f"no broken link: {told}"

    @property
    def chain(self) -> str:
        """The names of all links by what is known of them, in one line."""
        told = []
        for state in LinkState:
            names = [link.name for link in self.links if link.state is state]
            if names:
                told.append(f"{state.value}: {', '.join(names)}")
        return "; ".join(told)


def walk_as_text(walk: Walk) -> str:
    """Return the walk as a table for a terminal, no line longer than 100 characters."""
    width = max(len(link.name) for link in walk.links)
    rows = [*_wrapped(f"Deployment: {_line(walk.where)}", 0), ""]
    last = ""
    for number, link in enumerate(walk.links, 1):
        rows.append(f"{number:2}  {link.name:{width}}  {link.state.value.upper()}")
        if link.state is LinkState.NOT_ASKED:
            continue
        told = list(_details(link))
        # Several links may be known by one answer, which is to be read once.
        rows += told if "\n".join(told) != last else [f"{'':{_INDENT}}(as above)"]
        last = "\n".join(told)
    rows += ["", *_wrapped(f"In {walk.elapsed:.1f} s: {walk.headline}", 0)]
    if walk.left_open:
        rows += _wrapped(
            f"Sessions that could not be stopped, which end after the pool's cooldown: "
            f"{', '.join(walk.left_open)}",
            0,
        )
    if walk.repeat:
        # Not wrapped: it is to be copied.
        rows.append(f"Repeat: {walk.repeat}")
    return redact("\n".join(rows))


def _details(link: Link) -> Iterator[str]:
    told = {"asked": link.asked, "seen": link.seen}
    if link.state is LinkState.BROKEN:
        told = {"wanted": link.wanted, **told}
    for label, text in told.items():
        if text:
            yield from _wrapped(f"{label}: {cut(_line(text), _LONGEST_CELL)}", _INDENT)
    several = len(link.candidates) > 1
    for number, diagnosis in enumerate(link.candidates, 1):
        row = f" [{diagnosis.row}]" if diagnosis.row else ""
        which = f" {number} of {len(link.candidates)}" if several else ""
        yield from _wrapped(f"likely cause{which}{row}: {_line(diagnosis.cause)}", _INDENT)
        yield from _wrapped(f"to do: {_line(diagnosis.cure)}", 2 * _INDENT)


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


_COLUMNS = {
    "#": 2,
    "Link": 8,
    "State": 10,
    "Asked": 20,
    "Seen": 28,
    "Likely cause and what to do": 32,
}
_COLOURS = {
    LinkState.PASSED: "#2e7d32",
    LinkState.BROKEN: "#c62828",
    LinkState.NOT_OBSERVABLE: "#8d6e00",
    LinkState.NOT_ASKED: "#757575",
}


def walk_as_html(walk: Walk) -> str:
    """Return the walk as an HTML table for log.html."""
    heads = "".join(f'<th style="width:{width}%">{name}</th>' for name, width in _COLUMNS.items())
    rows = [f"<tr>{heads}</tr>"]
    for number, link in enumerate(walk.links, 1):
        state = f'<b style="color:{_COLOURS[link.state]}">{_html(link.state.value)}</b>'
        causes = "<br>".join(
            f"<b>{_html(it.row)}</b> {_html(it.cause)}. <i>To do:</i> {_html(it.cure)}."
            for it in link.candidates
        )
        name = f'<span title="{_html(link.wanted)}">{_html(link.name)}</span>'
        cells = (str(number), name, state, _html(link.asked), _html(link.seen), causes)
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr style="vertical-align:top">{row}</tr>')
    return (
        f"<p>{_html(walk.where)}<br>In {walk.elapsed:.1f} s: {_html(walk.headline)}</p>"
        '<table border="1" cellpadding="4" style="width:100%;border-collapse:collapse">'
        f"{''.join(rows)}</table>"
    )


def _html(text: str) -> str:
    return html.escape(cut(redact(_line(text)), 2 * _LONGEST_CELL))


def _line(text: str) -> str:
    return plain(" ".join(text.split()))
