"""What stands at the top of the log."""

from __future__ import annotations

import threading

import pytest
from robot.utils import html_format

from codewitness import __version__
from codewitness.execution.model import (
    ExecutionResult,
    FaultKind,
    PlatformFault,
    Provenance,
    RequestRefused,
    Runtime,
    Stage,
)
from codewitness.reporting.summary import RunRecord, settings_table, versions
from codewitness.target.settings import KNOWN_SETTINGS, resolve

LOCAL = Provenance("local", "bubblewrap 0.8.0")


def result_of(elapsed: float = 0.1, provenance: Provenance = LOCAL) -> ExecutionResult:
    return ExecutionResult("python", "3.11.2", Stage(code=0), provenance, elapsed=elapsed)


def record_of(*results: ExecutionResult) -> RunRecord:
    record = RunRecord()
    for result in results:
        record.note(result)
    return record


def test_every_setting_stands_with_its_origin() -> None:
    given = {"ENDPOINT": "http://user:hunter2-hunter2@h/a|b", "DEVIATIONS": ["args", "files"]}
    settings = resolve(given.get, {"VERIFY_TLS": "no"})
    table = settings_table(settings.entries.values())
    rows = table.split("\n")
    assert len(rows) == len(KNOWN_SETTINGS) + 1
    assert "hunter2" not in table
    assert any(
        row.startswith("| ENDPOINT | http://<redacted>@h/a¦b | Robot variable |") for row in rows
    )
    assert any(row.startswith("| VERIFY_TLS | false | environment |") for row in rows)
    assert any(row.startswith("| DEVIATIONS | args, files | Robot variable |") for row in rows)
    assert any(row.startswith("| CA_BUNDLE | none | default |") for row in rows)
    html = html_format(table)
    assert html.count("<tr>") == len(rows)
    assert html.count("<th>") == 4
    assert html.count("<td>") == 4 * (len(rows) - 1)


def test_who_answered() -> None:
    pool = "session-pool"
    record = record_of(
        *[result_of()] * 3,
        result_of(provenance=Provenance(pool, session="s-1", session_new=True)),
        result_of(provenance=Provenance(pool, session="s-1", session_new=False)),
        result_of(provenance=Provenance(pool, session="s-2", session_new=False)),
    )
    assert record.answered_by == {
        "local in bubblewrap 0.8.0": 3,
        "session-pool, a reused session": 2,
        "session-pool, a new session": 1,
    }
    assert record.metadata()["Answered by"] == (
        "- 3 executions: local in bubblewrap 0.8.0\n"
        "- 2 executions: session-pool, a reused session\n"
        "- 1 execution: session-pool, a new session"
    )


def test_one_who_answered_all() -> None:
    values = record_of(*[result_of()] * 1312).metadata()
    assert values == {
        "Answered by": "1,312 executions: local in bubblewrap 0.8.0",
        "Latency": "median 0.100 s, fastest 0.100 s, slowest 0.100 s, of 1,312 executions",
        "Platform faults": "none",
    }


def test_nothing_happened() -> None:
    assert RunRecord().metadata() == {
        "Answered by": "nobody: nothing was executed",
        "Latency": "nothing was executed",
        "Platform faults": "none",
    }


def test_fallback_stands_out_with_its_reasons() -> None:
    degraded = Provenance("local", degraded="the pool is out of order")
    full = Provenance("local", degraded="the pool is full")
    record = record_of(result_of(), *[result_of(provenance=degraded)] * 2)
    record.note(result_of(provenance=full))
    assert record.degraded == {"the pool is out of order": 2, "the pool is full": 1}
    values = record.metadata()
    assert values["DEGRADED"].startswith("*3 of 4 executions were answered by a fallback")
    assert "- 2 executions: the pool is out of order" in values["DEGRADED"]
    assert "- 1 execution: the pool is full" in values["DEGRADED"]
    assert "DEGRADED: the pool is out of order" in values["Answered by"]
    assert "<b>" in html_format(values["DEGRADED"])


def test_reasons_of_fallbacks_stay_bounded() -> None:
    record = RunRecord()
    for number in range(1000):
        record.note(result_of(provenance=Provenance("local", degraded=f"reason {number}")))
    assert len(record.degraded) <= 51
    assert sum(record.degraded.values()) == 1000


def test_faults_and_refusals_are_counted_apart() -> None:
    record = RunRecord()
    for kind in (FaultKind.TIMEOUT, FaultKind.TIMEOUT, FaultKind.CAPACITY):
        record.note_fault(PlatformFault(kind, "x"))
    record.note_fault(RequestRefused("no"))
    assert record.faults == {"no answer in time": 2, "out of capacity": 1}
    assert record.refusals == 1
    values = record.metadata()
    assert values["Platform faults"] == "- no answer in time: 2\n- out of capacity: 1"
    assert values["Refused requests"] == "1"


def test_latency_is_of_all_executions() -> None:
    record = record_of(*[result_of(elapsed / 1000) for elapsed in range(1, 102)])
    assert record.latency == ("median 0.051 s, fastest 0.001 s, slowest 0.101 s, of 101 executions")


def test_memory_stays_bounded() -> None:
    record = RunRecord()
    for number in range(20_000):
        provenance = Provenance(f"made up {number}", session=str(number))
        record.note(result_of(number / 1000, provenance))
    assert len(record.answered_by) <= 51
    assert sum(record.answered_by.values()) == record.executions == 20_000
    assert record.answered_by["others"] == 20_000 - 50
    assert len(vars(record)["_samples"]) <= 4096
    assert "fastest 0.000 s, slowest 19.999 s, of 20,000 executions" in record.latency
    assert "4,096 of them, drawn at random" in record.latency
    median = float(record.latency.split()[1])
    # Three standard errors of the median of a uniform sample of this size.
    assert median == pytest.approx(10, abs=20 * 3 * 0.5 / 4096**0.5)


def test_several_threads_count_right() -> None:
    record = RunRecord()

    def work() -> None:
        for _ in range(2000):
            record.note(result_of())
            record.note_fault(PlatformFault(FaultKind.TIMEOUT, "x"))
            record.metadata()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert record.executions == 8000
    assert record.answered_by == {"local in bubblewrap 0.8.0": 8000}
    assert record.faults == {"no answer in time": 8000}


def test_what_a_service_says_of_itself_holds_no_secret() -> None:
    provenance = Provenance("backend http://user:hunter2-hunter2@h/\n\x1b[1m")
    (who,) = record_of(result_of(provenance=provenance)).answered_by
    assert "hunter2" not in who
    assert who.isprintable()


def test_versions() -> None:
    told = versions("7.5", [Runtime("python", "3.11.2"), Runtime("javascript", "18.13.0")])
    assert told.startswith(f"codewitness {__version__}, Robot Framework 7.5, Python 3.")
    assert told.endswith("; the service lists python 3.11.2, javascript 18.13.0")
    assert "lists" not in versions("7.5")
