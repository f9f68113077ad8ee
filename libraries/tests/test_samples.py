from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codewitness.measuring.samples import (
    Generator,
    Run,
    Sample,
    SampleWriter,
    Warmth,
    count_outcomes,
    label_burst,
    label_session,
    read_run,
    select,
    watch_generator,
    write_run,
)

GENERATOR = Generator(planned=3, dropped=(), lag=0.001, cpu_share=0.2, seconds=1.5)

moments = st.floats(0, 1e6)
texts = st.text(max_size=20)
samples = st.builds(
    Sample,
    number=st.integers(0, 10**6),
    planned=moments,
    started=moments,
    ended=moments,
    outcome=texts,
    error=texts,
    detail=texts,
    warmth=st.sampled_from(Warmth),
    evidence=texts,
    status=st.none() | st.integers(100, 599),
    session=st.none() | texts,
    connection_reused=st.none() | st.booleans(),
    ran_from=st.none() | moments,
    ran_until=st.none() | moments,
    warm_up=st.booleans(),
)


def sample(number: int, ended: float, **options: object) -> Sample:
    return Sample(number, 0.0, 0.0, ended, **options)  # type: ignore[arg-type]


@settings(max_examples=30)
@given(st.lists(samples, max_size=5, unique_by=lambda it: it.number))
def test_file_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[Sample]
) -> None:
    path = tmp_path_factory.getbasetemp() / "samples.jsonl"
    header = {"target": "http://x", "schedule": {"rate": 3}, "seed": 7}
    run = Run(tuple(sorted(written, key=lambda it: it.number)), GENERATOR, header)
    write_run(path, run)
    assert read_run(path) == run


def test_times_are_told_from_plan_and_from_sending() -> None:
    late = Sample(0, planned=1.0, started=1.25, ended=2.0)
    assert (late.response_time, late.service_time, late.start_lag) == (1.0, 0.75, 0.25)


def test_file_is_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    write_run(path, Run((sample(0, 0.5), sample(1, 2.0)), GENERATOR, {"seed": 1}))
    lines = path.read_text().splitlines()
    assert lines[0] == '{"schema":1,"seed":1}'
    assert lines[1] == ('{"number":0,"planned":0.0,"started":0.0,"ended":0.5,"warmth":"unknown"}')
    assert lines[3].startswith('{"generator":{"planned":3,')


def test_broken_off_file_keeps_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    with SampleWriter(path, {}) as writer:
        writer.add(sample(1, 1.0))
        writer.add(sample(0, 2.0))
    with path.open("a") as file:
        file.write('{"number": 3, "plan')
    run = read_run(path)
    assert [it.number for it in run.samples] == [0, 1]
    assert run.objection() == "the load was broken off"


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]\n", "not JSON\n", '{"schema": 99}\n', '{"schema": 1}\n{"number": 1}\n'],
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other\.jsonl"):
        read_run(path)


@pytest.mark.parametrize(
    ("generator", "told"),
    [
        (Generator(10, (0.5,), 0.0, 0.1, 1.0), "1 of 10 planned starts were dropped"),
        (Generator(10, (), 0.011, 0.1, 1.0), "late by 11.0 ms"),
        (Generator(10, (), 0.0, 0.85, 1.0), "85% of a processor core"),
        (Generator(10, (), 0.0, 0.1, 1.0, clock_shift=-3.0), "clock jumped by -3.0 s"),
    ],
)
def test_generator_at_its_limit_objects(generator: Generator, told: str) -> None:
    assert told in generator.objection(1.0)
    assert not GENERATOR.objection(1.0)


def test_lag_is_seen_against_the_bar() -> None:
    generator = Generator(10, (), 0.005, 0.1, 1.0)
    assert not generator.objection(1.0)
    assert "at most 2.5 ms" in generator.objection(0.05)
    assert "at most 4.0 ms" in generator.objection(1.0, most_lag=0.004)


def test_generator_is_watched_by_its_samples() -> None:
    late = [Sample(number, 0.0, number / 1000, 1.0) for number in range(100)]
    watched = watch_generator(late, [7.0], cpu_seconds=1.0, seconds=2.0)
    assert watched == Generator(101, (7.0,), 0.098, 0.5, 2.0)
    assert watch_generator([], [], cpu_seconds=0, seconds=0).lag == 0


def test_outcomes_are_counted_by_name() -> None:
    refused = sample(0, 1.0, outcome="refused", error="HTTP 429")
    assert count_outcomes([refused, sample(1, 1.0), sample(2, 1.0)]) == {"ok": 2, "HTTP 429": 1}


def test_evidence_decides_the_label() -> None:
    assert label_session("s1", True)[0] is Warmth.COLD
    assert label_session("s1", False) == (Warmth.WARM, "session s1 had been used before")
    assert label_session(None, None)[0] is Warmth.UNKNOWN


def test_burst_beyond_the_ready_stock_meets_new_instances() -> None:
    cold = [sample(number, 5.0 - number, warmth=Warmth.COLD) for number in range(4)]
    warm = sample(4, 0.1, warmth=Warmth.WARM)
    labelled = label_burst([*cold, warm], ready=3)
    # The one that was answered last found no instance ready.
    assert [it.warmth for it in labelled] == [Warmth.NEW_INSTANCE] + 3 * [Warmth.READY_INSTANCE] + [
        Warmth.WARM
    ]
    assert "4 new sessions at once, with 3 instances ready" in labelled[0].evidence
    assert select(labelled, Warmth.WARM) == [warm]
