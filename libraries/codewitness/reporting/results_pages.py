"""The documentation of a run's results, as pages, as JSON, for the top of the log, for a console.

All of them are made from the same :class:`Results`. Lists are cut with how many more there are,
problems come first, and no page needs JavaScript or a style of its own.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from codewitness.reporting.failures import Problem
from codewitness.reporting.results import (
    FAILED,
    PASSED,
    SKIPPED,
    Counts,
    Results,
    TestOutcome,
    bar,
    figure,
    in_one_line,
)
from codewitness.reporting.visible import cut, plain

LONGEST_SUMMARY = 1_000_000
"""Bytes of a Markdown summary that every CI's page of a job takes; GitHub's takes 1 MiB."""

LONGEST_COMMENT = 65_000
"""Bytes of a Markdown summary that a comment takes; GitHub's takes 65,536 characters."""

STYLE_SHEET = "summary.css"
"""Name of the style sheet beside the page."""

# How many entries of a list are shown at most; the first that makes a page short enough is taken.
_MOST = (1000, 200, 50, 20, 10, 5, 2, 1)
_MOST_ON_PAGE = 50
_MOST_IN_MATRIX = 8
_MOST_IN_LOG = 3

_MAIN_FACTS = ("Tested", "Where code ran")
_FACTS = ("In the session pool", "Answered by", "Latency", "Versions")
_WORDS = {PASSED: "passed", FAILED: "failed", SKIPPED: "skipped"}
_OF_PLAN = re.compile(r"[PR]\d ")


@dataclass(frozen=True)
class _Span:
    """A piece of text, which may lead to a test in the log."""

    text: str
    anchor: str = ""


@dataclass(frozen=True)
class _Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class _Text:
    text: str
    spans: Sequence[_Span] = ()


@dataclass(frozen=True)
class _Code:
    text: str


@dataclass(frozen=True)
class _Items:
    items: Sequence[Sequence[_Span]]


@dataclass(frozen=True)
class _Table:
    heads: Sequence[str]
    rows: Sequence[Sequence[Sequence[_Span]]]


_Block = _Heading | _Text | _Code | _Items | _Table


def as_markdown(results: Results, longest: int = LONGEST_SUMMARY) -> str:
    """Return the documentation as Markdown, problems first.

    Args:
        results: The run.
        longest: Bytes in UTF-8 that it may have; lists are cut to keep them.
    """
    text = ""
    for most in _MOST:
        text = _markdown(_blocks(results, most, min(most, _MOST_IN_MATRIX)))
        if len(text.encode()) <= longest:
            return text
    return f"{text.encode()[: longest - 10].decode(errors='ignore')}\n\n…\n"


def as_page(results: Results, log: str = "log.html", report: str = "report.html") -> str:
    """Return the documentation as a page of HTML that needs nothing but its style sheet.

    Args:
        results: The run.
        log: Address of the log, relative to the page; empty for none.
        report: Address of the report, likewise.
    """
    health = "good" if results.is_healthy and not results.degraded else "bad"
    links = [
        f'<a href="{html.escape(address)}">{name}</a>'
        for name, address in (("Report", report), ("Log", log))
        if address
    ]
    first, *others = _blocks(results, _MOST_ON_PAGE, _MOST_IN_MATRIX)
    body = "\n".join(_html(block, log) for block in others)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_escaped(results.verdict)}</title>
<link rel="stylesheet" href="{STYLE_SHEET}">
</head>
<body>
<header class="{health}">
{_html(first, log)}
<nav>{" ".join(links)}</nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def as_json(results: Results) -> str:
    """Return everything for machines; lists are whole."""
    content = {
        "verdict": results.verdict,
        "healthy": results.is_healthy,
        "started": results.started,
        "seconds": round(results.seconds, 3),
        "totals": _numbers(results.counts),
        "sections": [
            {"name": name, **_numbers(counts)} for name, counts in results.sections.items()
        ],
        "plan": [
            {
                "id": it.id,
                "title": it.title,
                "result": it.counts.result,
                **_numbers(it.counts),
                "tests": [{"name": test.name, "result": _WORDS[test.status]} for test in it.tests],
            }
            for it in results.requirements
        ],
        "problems": [
            {
                "problem": problem.title,
                "findings": list(problem.failure.rows),
                "to do": problem.advice,
                "first message": problem.failure.headline,
                "repeat": problem.failure.repeat,
                "tests": [results.tests[number].name for number in problem.tests],
            }
            for problem in results.problems
        ],
        "left untested": results.left_untested,
        "skips": [
            {"kind": it.kind, "reason": it.reason, "tests": [test.name for test in it.tests]}
            for it in results.skips
        ],
        "remarks": list(results.remarks),
        "performance": [
            {
                "name": it.name,
                "plan": it.plan,
                "figure": figure(it),
                "bar": bar(it),
                "verdict": it.verdict,
            }
            for it in results.metrics
        ],
        "recommendations": [
            {"advice": it.advice, "evidence": it.evidence} for it in results.recommendations
        ],
        "facts": dict(results.facts),
    }
    return f"{json.dumps(content, indent=1, ensure_ascii=False)}\n"


def as_log_text(results: Results) -> str:
    """Return the shortest form, in Robot Framework's formatting, for the top of the log."""
    lines = [f"*{_for_robot(results.verdict)}*, {_for_robot(results.plan_in_brief)}.", ""]
    for problem in results.problems[:_MOST_IN_LOG]:
        names = _names([results.tests[number] for number in problem.tests], _MOST_IN_LOG)
        title = _for_robot(cut(problem.title, 250))
        lines.append(
            f"- *{title}.* To do: {_for_robot(cut(problem.advice, 250))}. "
            f"Failed: {_for_robot(_joined(names))}."
        )
    more = len(results.problems) - _MOST_IN_LOG
    if more > 0:
        lines.append(f"- and {more:,} more, in the summary")
    lines += ["", "| =Section= | =Passed= | =Failed= | =Skipped= |"]
    for name, counts in {**results.sections, "All": results.counts}.items():
        numbers = " | ".join(str(it) for it in (counts.passed, counts.failed, counts.skipped))
        lines.append(f"| {_for_robot(name)} | {numbers} |")
    lines += ["", "Plan, measurements, edge cases and recommendations: [summary.html|summary]"]
    return "\n".join(lines)


def as_console_lines(results: Results, report: str) -> str:
    """Return the five lines that matter at the end of a run.

    Args:
        results: The run.
        report: Where to read on.
    """
    worst = "none"
    if results.problems:
        problem = results.problems[0]
        names = _joined(_names([results.tests[number] for number in problem.tests], 1))
        worst = f"{cut(problem.title, 300)}. To do: {cut(problem.advice, 300)}. Failed: {names}"
    counts = results.counts
    told = {
        "Target": results.facts.get("Tested", "not known"),
        "Ran": results.facts.get("Where code ran", "nowhere: nothing was executed"),
        "Totals": f"{results.verdict} ({counts}) in {results.seconds:.0f} s",
        "Worst": worst,
        "Report": report,
    }
    return "\n".join(f"{label:8}{' '.join(text.split())}" for label, text in told.items())


def style_sheet() -> str:
    """Return the style of the page."""
    return _STYLE


# What the pages say.


def _blocks(results: Results, most: int, most_in_matrix: int) -> Iterator[_Block]:
    yield _Heading(results.verdict, 1)
    yield from _first_screen(results, most)
    yield from _plan(results, most_in_matrix)
    yield from _performance(results, most)
    yield from _edge_cases(results, most)
    yield from _recommended(results, most)


def _first_screen(results: Results, most: int) -> Iterator[_Block]:
    yield _Text(f"{results.counts}; {results.plan_in_brief}.")
    for name in _MAIN_FACTS:
        if name in results.facts:
            yield _Text(f"{name}: {in_one_line(results.facts[name], 400)}")
    if results.problems:
        yield _Heading("What is wrong")
        for problem in results.problems[:most]:
            yield from _problem(results, problem, most)
        if (more := len(results.problems) - most) > 0:
            yield _Text(f"… {more:,} more problems")
        if results.left_untested:
            yield _Text(
                f"{results.left_untested:,} more tests failed because that left nothing to test."
            )
    yield _Heading("Execution summary")
    rows = [_counted(name, counts) for name, counts in results.sections.items()]
    if len(rows) != 1:
        rows.append(_counted("All", results.counts))
    yield _Table(("Section", "Result", "Passed", "Failed", "Skipped"), rows)
    facts = {name: results.facts[name] for name in _FACTS if name in results.facts}
    if results.started:
        facts["Started"] = results.started[:19].replace("T", " ")
    facts["Took"] = f"{results.seconds:.0f} s"
    yield _Table(
        ("", ""), [(_cell(name), _cell(in_one_line(text, 500))) for name, text in facts.items()]
    )


def _problem(results: Results, problem: Problem, most: int) -> Iterator[_Block]:
    tests = [results.tests[number] for number in problem.tests]
    yield _Heading(problem.title, 3)
    yield _Text(f"To do: {problem.advice}.")
    if problem.failure.rows:
        yield _Text(f"Seen first: {problem.failure.headline}")
    names = _separated(_names(tests, min(most, _MOST_IN_MATRIX)))
    yield _Text("", (_Span(f"Failed ({len(tests):,}): "), *names))
    if problem.failure.repeat:
        yield _Code(problem.failure.repeat)


def _plan(results: Results, most: int) -> Iterator[_Block]:
    yield _Heading("The plan, point by point")
    rows = []
    for it in results.requirements:
        counts = it.counts
        rows.append(
            (
                _cell(it.id),
                _cell(it.title),
                _cell(counts.result),
                _cell(counts.brief),
                _separated(_names(it.tests, most)),
            )
        )
    yield _Table(("Point", "Demand", "Result", "Tests", "Which"), rows)


def _performance(results: Results, most: int) -> Iterator[_Block]:
    yield _Heading("Performance")
    if results.metrics:
        heads = ("Point", "Figure", "Measured", "Bar", "Verdict")
        rows = [
            (
                _cell(it.plan),
                _cell(it.name),
                _cell(figure(it)),
                _cell(bar(it)),
                _cell(_verdict(it.verdict)),
            )
            for it in sorted(results.metrics, key=lambda it: it.plan)[:most]
        ]
        yield _Table(heads, rows)
        if (more := len(results.metrics) - most) > 0:
            yield _Text(f"… {more:,} more figures")
    told = {
        name: text
        for name, text in results.facts.items()
        if _OF_PLAN.match(name) or name.startswith(("Throughput", "Session reuse"))
    }
    if told:
        rows_told = [(_cell(name), _cell(in_one_line(text, 400))) for name, text in told.items()]
        yield _Table(("", ""), rows_told[:most])
    if not results.metrics and not told:
        yield _Text("Nothing was measured beyond what stands above.")


def _edge_cases(results: Results, most: int) -> Iterator[_Block]:
    yield _Heading("Issues and edge cases")
    if results.remarks:
        yield _Items([[_Span(remark)] for remark in results.remarks])
    if results.skips:
        rows = [
            (
                _cell(it.kind),
                _cell(it.reason),
                _cell(f"{len(it.tests):,}"),
                _separated(_names(it.tests, min(most, _MOST_IN_MATRIX))),
            )
            for it in results.skips[:most]
        ]
        yield _Table(("Skipped", "Why", "Tests", "Which"), rows)
        if (more := len(results.skips) - most) > 0:
            yield _Text(f"… {more:,} more reasons")
    if not results.remarks and not results.skips:
        yield _Text("Nothing beside what stands above: nothing was skipped, nothing degraded.")


def _recommended(results: Results, most: int) -> Iterator[_Block]:
    yield _Heading("Recommendations")
    advice = results.recommendations
    rows = [(_cell(it.advice), _cell(it.evidence)) for it in advice[:most]]
    if rows:
        yield _Table(("Do", "Because"), rows)
    if (more := len(advice) - most) > 0:
        yield _Text(f"… {more:,} more recommendations")
    if not rows:
        yield _Text("None.")


def _counted(name: str, counts: Counts) -> Sequence[Sequence[_Span]]:
    numbers = (counts.passed, counts.failed, counts.skipped)
    return (_cell(name), _cell(counts.result), *(_cell(f"{it:,}") for it in numbers))


def _verdict(word: str) -> str:
    return {"PASS": "passed", "FAIL": "failed"}.get(word, word.lower())


def _names(tests: Sequence[TestOutcome], most: int) -> list[_Span]:
    """Return the names of tests, those that failed first, cut with how many more there are."""
    order = sorted(tests, key=lambda it: (it.status != FAILED, it.status != SKIPPED))
    # Which of many that passed are named says nothing; which failed does.
    spans = [_Span(test.name, test.anchor) for test in order[:most]]
    more = len(tests) - most
    return [*spans, _Span(f"{more:,} more")] if more > 0 else spans


def _numbers(counts: Counts) -> dict[str, Any]:
    return {"passed": counts.passed, "failed": counts.failed, "skipped": counts.skipped}


def _cell(text: str) -> Sequence[_Span]:
    return (_Span(" ".join(text.split())),)


def _separated(spans: Sequence[_Span]) -> Sequence[_Span]:
    return tuple(it for span in spans for it in (span, _Span(", ")))[:-1]


def _joined(spans: Sequence[_Span]) -> str:
    return ", ".join(span.text for span in spans)


# How they say it.


def _markdown(blocks: Iterator[_Block]) -> str:
    return "\n\n".join(_markdown_of(block) for block in blocks) + "\n"


def _markdown_of(block: _Block) -> str:
    if isinstance(block, _Heading):
        return f"{'#' * block.level} {_in_markdown(block.text)}"
    if isinstance(block, _Text):
        return _in_markdown(block.text + "".join(span.text for span in block.spans))
    if isinstance(block, _Code):
        longest = max(map(len, re.findall(r"`+", block.text)), default=0)
        fence = "`" * max(3, longest + 1)
        return f"{fence}\n{plain(block.text)}\n{fence}"
    if isinstance(block, _Items):
        return "\n".join(
            f"- {''.join(_in_markdown(span.text) for span in item)}" for item in block.items
        )
    rows = [
        f"| {' | '.join(''.join(_in_markdown(span.text) for span in cell) for cell in row)} |"
        for row in block.rows
    ]
    heads = f"| {' | '.join(block.heads)} |"
    return "\n".join([heads, f"|{'---|' * len(block.heads)}", *rows])


def _in_markdown(text: str) -> str:
    # An at sign would call on whoever has that name where the text becomes a comment.
    marked = re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", plain(re.sub(r"\s+", " ", text)))
    return marked.replace("@", "&#64;")


def _html(block: _Block, log: str) -> str:
    if isinstance(block, _Heading):
        return f"<h{block.level}>{_escaped(block.text)}</h{block.level}>"
    if isinstance(block, _Text):
        return f"<p>{_escaped(block.text)}{_html_of(block.spans, log)}</p>"
    if isinstance(block, _Code):
        return f"<pre>{_escaped(block.text)}</pre>"
    if isinstance(block, _Items):
        items = "".join(f"<li>{_html_of(item, log)}</li>" for item in block.items)
        return f"<ul>{items}</ul>"
    rows = []
    if any(block.heads):
        rows.append(f"<tr>{''.join(f'<th>{_escaped(head)}</th>' for head in block.heads)}</tr>")
    for row in block.rows:
        cells = []
        for cell in row:
            word = cell[0].text.replace(" ", "-") if len(cell) == 1 else ""
            kind = f' class="{word}"' if word in _CLASSES else ""
            cells.append(f"<td{kind}>{_html_of(cell, log)}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    facts = "" if any(block.heads) else ' class="facts"'
    return f'<div class="scroll"><table{facts}>\n{chr(10).join(rows)}\n</table></div>'


def _html_of(spans: Sequence[_Span], log: str) -> str:
    return "".join(
        f'<a href="{html.escape(log)}#{html.escape(span.anchor)}">{_escaped(span.text)}</a>'
        if span.anchor and log
        else _escaped(span.text)
        for span in spans
    )


def _escaped(text: str) -> str:
    return html.escape(plain(text))


def _for_robot(text: str) -> str:
    """Return text that Robot Framework's formatting leaves as it is, in one line."""
    return " ".join(plain(text).replace("*", "").replace("|", "¦").split())


_CLASSES = frozenset({"passed", "failed", "skipped", "not-run", "inconclusive"})
_STYLE = """\
body { margin: 0; font: 15px/1.45 system-ui, sans-serif; color: #1c2733; background: #fff; }
header { padding: 14px 20px; color: #fff; }
header.good { background: #1f7a3d; }
header.bad { background: #b3261e; }
header h1 { margin: 0; font-size: 22px; }
header nav { margin-top: 4px; }
header a { color: #fff; margin-right: 14px; }
main { padding: 10px 20px 30px; max-width: 1240px; overflow-wrap: break-word; }
h2 { margin: 22px 0 8px; font-size: 18px; border-bottom: 1px solid #d5dbe1; }
h3 { margin: 12px 0 4px; font-size: 15px; color: #b3261e; }
p { margin: 4px 0; }
ul { margin: 4px 0; padding-left: 22px; }
pre { margin: 6px 0; padding: 8px; background: #f3f5f7; font-size: 12px;
      white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin-bottom: 8px; }
table { border-collapse: collapse; }
th, td { padding: 3px 10px 3px 0; text-align: left; vertical-align: top;
         border-bottom: 1px solid #e6eaee; }
table.facts { table-layout: fixed; width: 100%; }
table.facts td:first-child { width: 15em; }
table.facts td:first-child { color: #566573; }
td.passed, td.failed, td.skipped, td.not-run, td.inconclusive { white-space: nowrap; }
td.passed { color: #1f7a3d; font-weight: 600; }
td.failed { color: #b3261e; font-weight: 600; }
td.skipped, td.not-run, td.inconclusive { color: #7a5b00; font-weight: 600; }
@media (max-width: 600px) {
  main { padding: 8px 10px 20px; }
  header { padding: 10px; }
  table { font-size: 12.5px; }
  th, td { padding-right: 5px; }
  table.facts td, table.facts td:first-child { display: block; width: auto; border: 0; padding: 0; }
}
"""
