"""Two outputs side by side, for log.html: where they differ first, and by which rule.

The table needs no script and no colour: what differs is said in the caption, marked by a sign
that has its meaning written beside it, and framed. So it prints as it is, can be read aloud, and
suits the light and the dark log alike. The failure card says the same in plain text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence

from codewitness.execution.redaction import redact
from codewitness.reporting.card import Mismatch
from codewitness.reporting.visible import (
    Difference,
    as_text,
    difference_at,
    first_difference,
    fitting,
    legend,
    plain,
    size_of,
    visible,
    word_at,
)

_BEFORE = 5
_AFTER = 8
_INPUT_LINES = 12
_WIDTH = 100
# Characters before a difference in its line.
_LEAD = 40
_CELL = "padding:0 .5em; vertical-align:top; text-align:left;"
_TEXT = f"{_CELL} font-family:monospace; white-space:pre-wrap; overflow-wrap:anywhere;"
_RULED = "border-top:1px solid; border-bottom:1px solid;"
_SAME = ("=", "the same")
_ACCEPTED = ("≈", "not the same, accepted by the rule")
_DIFFERS = ("≠", "first difference")
_LEFT = ("", "not compared any more")


def difference_table(
    mismatch: Mismatch, stdin: bytes = b"", links: Mapping[str, str] | None = None
) -> str:
    """Return an HTML table with the place where two outputs differ first, and the input.

    Args:
        mismatch: An output that differs from the one expected.
        stdin: What the program read.
        links: Addresses, relative to the log, of whole bodies by their names ``expected``,
            ``received`` and ``stdin``.

    Returns:
        The table, or nothing when the mismatch isn't one of outputs that should be equal.
    """
    expected, received = _text(mismatch.expected), _text(mismatch.received)
    if expected is None or received is None or not mismatch.relation.startswith("equals"):
        return ""
    found: Difference | None
    if mismatch.places is not None:
        found = difference_at(expected, received, *mismatch.places)
        places = mismatch.places
    else:
        found = first_difference(expected, received)
        places = ((found.line, found.column),) * 2 if found else ((1, 1), (1, 1))
    if found is None:
        return ""
    rows = list(_rows(expected, received, places))
    whole = dict(links or {})
    sizes = [
        _whole(name, body, whole) for name, body in (("expected", expected), ("received", received))
    ]
    body = [_caption(mismatch, found, places), _head(sizes), *rows, "</tbody></table>"]
    given = _text(stdin) or ""
    if given:
        body.append(_input(given, _whole("stdin", given, whole)))
    told = legend("".join(re.sub("<[^>]*>", "", row) for row in body[2:]))
    signs = ", ".join(f"{sign} {meaning}" for sign, meaning in (_SAME, _ACCEPTED, _DIFFERS))
    body.append(f"<p>{_html(signs)}; after it nothing is compared. {_html(told)}</p>")
    return "\n".join(body)


def _text(body: bytes | str) -> str | None:
    """Return an output as text, without secrets while they can be recognised."""
    return redact(as_text(body)) if isinstance(body, bytes) else None


def _html(text: str) -> str:
    return html.escape(plain(text))


def _whole(name: str, body: str, links: Mapping[str, str]) -> str:
    told = size_of(body.encode("utf-8", "surrogateescape"))
    if name not in links:
        return told
    return f'<a href="{html.escape(links[name])}">{told}, whole</a>'


def _caption(
    mismatch: Mismatch, found: Difference, places: tuple[tuple[int, int], tuple[int, int]]
) -> str:
    (line, column), received = places
    told = f"{mismatch.subject}, first difference: line {received[0]}, column {received[1]}"
    if places[0] != received:
        told += f" (line {line}, column {column} of the output expected)"
    told += f": expected {found.expected}, got {found.received}."
    rule = redact(mismatch.rule or "every byte counts")
    return (
        '<table style="border-collapse:collapse; margin:.5em 0;">'
        f'<caption style="{_CELL}"><b>{_html(told)}</b><br/>Rule: {_html(rule)}</caption>'
    )


def _head(sizes: Sequence[str]) -> str:
    titles = ("Line", f"Expected ({sizes[0]})", "", "Line", f"Received ({sizes[1]})")
    cells = "".join(f'<th scope="col" style="{_CELL}">{title}</th>' for title in titles)
    return f"<thead><tr>{cells}</tr></thead><tbody>"


def _rows(
    expected: str, received: str, places: tuple[tuple[int, int], tuple[int, int]]
) -> Iterator[str]:
    (wanted_line, wanted_column), (got_line, got_column) = places
    wanted = _lines(expected, wanted_line - _BEFORE, wanted_line + _AFTER)
    got = _lines(received, got_line - _BEFORE, got_line + _AFTER)
    for step in range(-_BEFORE, _AFTER + 1):
        one, other = wanted.get(wanted_line + step), got.get(got_line + step)
        if one is None and other is None and step:
            continue
        if step == 0:
            cells = _differing(one or "", other or "", (wanted_column - 1, got_column - 1))
            yield _row(_DIFFERS, (wanted_line, cells[0]), (got_line, cells[1]), _RULED)
            continue
        sign = _LEFT if step > 0 else _SAME if one == other else _ACCEPTED
        yield _row(
            sign,
            (None, "") if one is None else (wanted_line + step, _shown(one)),
            (None, "") if other is None else (got_line + step, _shown(other)),
        )


def _row(
    sign: tuple[str, str],
    expected: tuple[int | None, str],
    received: tuple[int | None, str],
    style: str = "",
) -> str:
    symbol, meaning = sign
    mark = f'<span title="{meaning}" aria-label="{meaning}">{symbol}</span>' if symbol else ""
    number, text = expected
    other_number, other_text = received
    return (
        "<tr>"
        f'<td style="{_CELL} {style}">{number or ""}</td>'
        f'<td style="{_TEXT} {style}">{text}</td>'
        f'<td style="{_CELL} {style}"><b>{mark}</b></td>'
        f'<td style="{_CELL} {style}">{other_number or ""}</td>'
        f'<td style="{_TEXT} {style}">{other_text}</td>'
        "</tr>"
    )


def _lines(text: str, first: int, last: int) -> dict[int, str]:
    """Return some lines by their numbers, each with what ends it."""
    start = 0
    for _ in range(first - 1):
        start = text.find("\n", start) + 1
        if not start:
            return {}
    lines = {}
    for number in range(max(first, 1), last + 1):
        if start >= len(text):
            break
        end = text.find("\n", start) + 1 or len(text)
        lines[number] = text[start:end]
        start = end
    return lines


def _shown(line: str) -> str:
    return html.escape(fitting(line, _WIDTH))


def _differing(one: str, other: str, places: tuple[int, int]) -> tuple[str, str]:
    """Show two lines around a difference: of the characters there, or else of the words."""
    at, there = places
    if one[at : at + 1] != other[there : there + 1]:
        return _marked(one, at, 1), _marked(other, there, 1)
    words = word_at(one, at), word_at(other, there)
    return _marked(one, at, len(words[0])), _marked(other, there, len(words[1]))


def _marked(line: str, at: int, length: int) -> str:
    """Show a line around some characters, with these framed."""
    at = min(at, len(line))
    start, end = max(0, at - _LEAD), min(at + length, at + _WIDTH - _LEAD)
    framed = html.escape(visible(line[at:end])) or "(nothing)"
    rest = fitting(line[end:], max(1, at + _WIDTH - _LEAD - end)) if end < len(line) else ""
    return (
        ("…" if start else "")
        + html.escape(visible(line[start:at]))
        + f'<b style="border:2px solid; padding:0 1px;">{framed}</b>'
        + html.escape(rest)
    )


def _input(text: str, size: str) -> str:
    lines = _lines(text, 1, _INPUT_LINES).values()
    rows = "".join(f'<tr><td style="{_TEXT}">{_shown(line)}</td></tr>' for line in lines)
    more = text.count("\n") + (not text.endswith("\n")) - len(lines)
    if more > 0:
        rows += f'<tr><td style="{_CELL}"><i>… {more:,} more lines</i></td></tr>'
    return (
        '<table style="border-collapse:collapse; margin:.5em 0;">'
        f'<caption style="{_CELL}"><b>stdin</b> ({size})</caption><tbody>{rows}</tbody></table>'
    )
