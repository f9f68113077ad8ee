"""The kill matrix as a page that needs no JavaScript."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from codewitness.kill_matrix.catalogues import TriedFault
from codewitness.kill_matrix.matrix import Matrix
from codewitness.kill_matrix.runs import Tried

_STYLE = """\
body { font: 15px/1.45 sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #bbb; padding: .3em .5em; text-align: left; vertical-align: top; }
td.bad { background: #fbd9c5; } td.good { background: #d8efe4; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; }
nav a { margin-right: .8em; } h3 { margin-top: 2em; }
tr:target { outline: 3px solid #0072b2; }
"""


def to_page(matrix: Matrix) -> str:
    """Return the matrix as HTML."""
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Kill matrix</title>',
        f"<style>{_STYLE}</style>\n<h1>Kill matrix</h1>",
        f"<p>{html.escape(matrix.summary)}</p>",
        _healthy(matrix),
        _navigation(matrix),
        _unnoticed(matrix),
    ]
    for group, rows in matrix.groups().items():
        parts.append(f'<h3 id="{_anchor(group)}">{html.escape(group)}</h3>\n{_table(rows)}')
    parts += [_by_test(matrix), "</html>\n"]
    return "\n".join(parts)


def _healthy(matrix: Matrix) -> str:
    if not matrix.healthy:
        return ""
    alarms = [f"{name}: {text}" for run in matrix.healthy for name, text in run.failed.items()]
    told = f"<p>Healthy runs: {len(matrix.healthy)}, false alarms: {len(alarms)}.</p>"
    return told + "".join(_details(alarm) for alarm in alarms)


def _navigation(matrix: Matrix) -> str:
    links = (f'<a href="#{_anchor(group)}">{html.escape(group)}</a>' for group in matrix.groups())
    ends = '<a href="#unnoticed">not as claimed</a> <a href="#tests">by test</a>'
    return f"<nav>{' '.join(links)} {ends}</nav>"


def _unnoticed(matrix: Matrix) -> str:
    rows = [
        f'<li><a href="#{_anchor(fault.name)}">{html.escape(fault.name)}</a>: '
        f"{html.escape(complaint)}</li>"
        for fault, tried in matrix.rows
        if (complaint := tried.complaint(fault))
    ]
    return f'<h2 id="unnoticed">Not noticed as claimed</h2><ul>{"".join(rows) or "<li>none"}</ul>'


def _table(rows: Sequence[tuple[TriedFault, Tried]]) -> str:
    lines = ["<table><tr><th>Fault<th>What happens<th>Outcome<th>Claimed by<th>Also killed by"]
    for fault, tried in rows:
        complaint = tried.complaint(fault)
        outcome = complaint or ("borne" if fault.borne else "killed")
        others = [name for name in tried.failed if name != fault.claimed_by]
        lines.append(
            f'<tr id="{_anchor(fault.name)}"><td>{html.escape(fault.name)}'
            f"<td>{html.escape(fault.summary)}"
            f'<td class="{"bad" if complaint else "good"}">{html.escape(outcome)}'
            f" ({tried.seconds:g} s)"
            f"<td>{_cell(fault.claimed_by, tried)}"
            f"<td>{''.join(_cell(name, tried) for name in others) or '-'}"
        )
    return "\n".join([*lines, "</table>"])


def _cell(name: str, tried: Tried) -> str:
    message = tried.failed.get(name)
    return html.escape(name) if message is None else _details(message, name)


def _details(message: str, name: str = "") -> str:
    first = message.strip().partition("\n")[0][:160]
    summary = f"{name}: {first}" if name else first
    opened = f"<pre>{html.escape(message)}</pre>"
    return f"<details><summary>{html.escape(summary)}</summary>{opened}</details>"


def _by_test(matrix: Matrix) -> str:
    lines = [
        '<h2 id="tests">Tests, and the faults that make them fail</h2>',
        "<table><tr><th>Test<th>Faults",
    ]
    for name, faults in matrix.by_test().items():
        links = (f'<a href="#{_anchor(it)}">{html.escape(it)}</a>' for it in faults)
        told = f"<details><summary>{len(faults)}</summary>{', '.join(links)}</details>"
        lines.append(f"<tr><td>{html.escape(name)}<td>{told if faults else 'none'}")
    return "\n".join([*lines, "</table>"])


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())
