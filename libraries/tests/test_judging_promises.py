from __future__ import annotations

import pytest

from codewitness.judging.problem import (
    Case,
    Content,
    Expectation,
    ProblemLimits,
    Program,
    Submission,
)
from codewitness.judging.promises import (
    NoTimeLimit,
    Outcome,
    SubmissionJudgement,
    infer_time_limit,
    judge_submission,
    overall,
)
from codewitness.judging.verdict import CaseVerdict, Validation, Verdict


def verdict_of(text: str) -> CaseVerdict:
    """Return a verdict written as ``AC`` or, where the limits differ, ``TLE/AC``."""
    narrow, _, wide = text.partition("/")
    verdict, at_wider = Verdict(narrow), Verdict(wide or narrow)
    remark = "sensitive to time limit" if wide else ""
    return CaseVerdict(verdict, at_wider, f"because of {narrow}", remark=remark)


def judged(
    verdicts: dict[str, str] | str, *expectations: Expectation, filed: str = "wrong_answer"
) -> SubmissionJudgement:
    if isinstance(verdicts, str):
        verdicts = {f"secret/{at}": each for at, each in enumerate(verdicts.split(), 1)}
    submission = Submission(f"{filed}/a.py", Program("a.py", "python", ()), filed, expectations)
    cases = [Case(name, Content(), Content()) for name in verdicts]
    found = [verdict_of(each) for each in verdicts.values()]
    return judge_submission(submission, list(zip(cases, found, strict=True)))


def only(permitted: str = "AC WA TLE RTE", required: str = "", **others: object) -> Expectation:
    sets = frozenset(permitted.split()), frozenset(required.split())
    return Expectation(*sets, **others)  # type: ignore[arg-type]


ACCEPTED = only("AC")
WRONG = only("AC WA", "WA")
SLOW = only("AC TLE", "TLE")
CRASHES = only("AC RTE", "RTE")
BRUTE = only("AC RTE TLE", "RTE TLE")
REJECTED = only(required="RTE TLE WA")
LEGACY_WRONG = Expectation(overall=frozenset({"WA"}))
LEGACY_SLOW = only(required="TLE")


@pytest.mark.parametrize(
    ("expectation", "verdicts", "outcome"),
    [
        (ACCEPTED, "AC AC AC", Outcome.KEPT),
        (ACCEPTED, "AC WA AC", Outcome.BROKEN),
        (ACCEPTED, "AC CE AC", Outcome.BROKEN),
        (ACCEPTED, "AC TLE/AC", Outcome.SENSITIVE),
        (ACCEPTED, "TLE/WA AC", Outcome.BROKEN),
        (WRONG, "AC WA", Outcome.KEPT),
        (WRONG, "WA WA", Outcome.KEPT),
        (WRONG, "AC AC", Outcome.BROKEN),
        (WRONG, "WA RTE", Outcome.BROKEN),
        (WRONG, "WA OLE", Outcome.BROKEN),
        (WRONG, "TLE/WA AC", Outcome.SENSITIVE),
        (SLOW, "AC TLE", Outcome.KEPT),
        (SLOW, "AC TLE/AC", Outcome.SENSITIVE),
        (SLOW, "TLE TLE/AC", Outcome.KEPT),
        (SLOW, "AC AC", Outcome.BROKEN),
        (SLOW, "WA TLE", Outcome.BROKEN),
        (LEGACY_SLOW, "WA TLE", Outcome.KEPT),
        (CRASHES, "AC RTE", Outcome.KEPT),
        (CRASHES, "AC MLE", Outcome.KEPT),
        (CRASHES, "AC TLE", Outcome.BROKEN),
        (BRUTE, "AC RTE", Outcome.KEPT),
        (BRUTE, "AC TLE", Outcome.KEPT),
        (BRUTE, "TLE WA", Outcome.BROKEN),
        (BRUTE, "AC AC", Outcome.BROKEN),
        (REJECTED, "AC WA", Outcome.KEPT),
        (REJECTED, "AC OLE", Outcome.KEPT),
        (REJECTED, "AC AC", Outcome.BROKEN),
        (LEGACY_WRONG, "AC WA TLE RTE", Outcome.KEPT),
        (LEGACY_WRONG, "AC RTE WA", Outcome.BROKEN),
        (LEGACY_WRONG, "AC AC", Outcome.BROKEN),
        (Expectation(overall=frozenset({"CE"})), "CE CE", Outcome.KEPT),
        (Expectation(overall=frozenset({"AC", "WA"})), "AC AC", Outcome.KEPT),
        (Expectation(), "AC WA TLE OLE", Outcome.KEPT),
        (Expectation(), "CE CE", Outcome.BROKEN),
        (REJECTED, "CE CE", Outcome.BROKEN),
        (ACCEPTED, "AC JE", Outcome.NOT_JUDGED),
        (WRONG, "WA JE", Outcome.NOT_JUDGED),
    ],
)
def test_promise_is_held_against_what_came(
    expectation: Expectation, verdicts: str, outcome: Outcome
) -> None:
    assert judged(verdicts, expectation).outcome is outcome


def test_message_says_what_was_promised_and_what_came() -> None:
    found = judged("AC WA TLE AC", ACCEPTED, filed="accepted")
    assert found.message.splitlines() == [
        "accepted/a.py, filed under accepted, is not as promised.",
        "Promised: every case is AC. Not so: 2 of 4: secret/2 is WA: because of WA;"
        " secret/3 is TLE: because of TLE.",
        "Came: 2 AC, 1 WA, 1 TLE.",
    ]
    assert found.verdict is Verdict.WA


def test_wrong_program_that_gets_through_is_the_cases_fault() -> None:
    found = judged("AC AC", WRONG)
    assert "at least one case is WA. All 2 are accepted: the cases don't tell" in found.message
    assert found.verdict is Verdict.AC


def test_program_that_fails_otherwise_than_filed_says_how() -> None:
    found = judged("AC RTE", WRONG)
    assert "Promised: every case is AC or WA, and at least one case is WA." in found.message
    assert "secret/2 is RTE: because of RTE" in found.message
    assert "None is; there is 1 AC, 1 RTE." in found.message


def test_sensitive_submission_says_at_which_limit_it_fails() -> None:
    found = judged("AC TLE/AC", ACCEPTED, filed="accepted")
    assert found.message.splitlines() == [
        "accepted/a.py, filed under accepted, is sensitive to time limit: as promised at the wider"
        " time limit, not at the time limit.",
        "Promised: every case is AC. Not so: 1 of 2: secret/2 is TLE: because of TLE.",
        "Came: 1 AC, 1 TLE. At the wider time limit: 2 AC.",
        "secret/2: sensitive to time limit.",
    ]
    slow = judged("AC TLE/AC", SLOW, filed="time_limit_exceeded")
    assert "as promised at the time limit, not at the wider time limit" in slow.message


def test_kept_promise_is_told_too() -> None:
    found = judged("AC WA", WRONG)
    assert found.message.splitlines()[0] == (
        "wrong_answer/a.py is as promised: every case is AC or WA, and at least one case is WA."
    )
    assert judged("AC RTE").outcome is Outcome.KEPT


def test_many_failures_are_cut() -> None:
    found = judged(" ".join(["WA"] * 100), ACCEPTED, filed="accepted")
    assert "Not so: 100 of 100: secret/1 is WA" in found.message
    assert "; 95 more." in found.message


GROUPS = {
    "sample/1": "AC",
    "secret/easy/1": "AC",
    "secret/easy/2": "AC",
    "secret/hard/1": "TLE",
    "secret/hard/2": "AC",
}


def test_expectations_are_of_groups_and_cases_too() -> None:
    easy = only("AC", cases=("secret/easy",))
    hard = only("AC TLE", "TLE", cases=("secret/hard",))
    assert judged(GROUPS, easy, hard).outcome is Outcome.KEPT
    assert judged(GROUPS, only("AC", cases=("secret/*/2",))).outcome is Outcome.KEPT
    found = judged(GROUPS, only("AC", cases=("secret/{easy,hard}",)))
    assert found.outcome is Outcome.BROKEN
    assert "every case of secret/{easy,hard} is AC. Not so: 1 of 4: secret/hard/1" in found.message
    nowhere = judged(GROUPS, only(required="TLE", cases=("secret/harder",)))
    assert nowhere.outcome is Outcome.BROKEN
    assert "There is no such case." in nowhere.message


def test_validator_must_say_what_was_promised() -> None:
    submission = Submission(
        "wrong_answer/a.py",
        Program("a.py", "python", ()),
        "wrong_answer",
        (Expectation(message="off by one"),),
    )
    case = Case("secret/1", Content(), Content())

    def told(message: str) -> Outcome:
        validation = Validation(Verdict.WA, "rejects", judge_message=message)
        verdict = CaseVerdict(Verdict.WA, Verdict.WA, "rejects", validation=validation)
        return judge_submission(submission, [(case, verdict)]).outcome

    assert told("it is off by one here") is Outcome.KEPT
    assert told("Off by one") is Outcome.BROKEN
    assert judge_submission(submission, [(case, verdict_of("WA"))]).outcome is Outcome.BROKEN


def test_submission_has_the_verdict_of_its_first_case_that_is_not_accepted() -> None:
    case = Case("1", Content(), Content())
    assert overall([(case, verdict_of(each)) for each in ("AC", "RTE", "WA")]) is Verdict.RTE
    assert overall([(case, verdict_of("AC"))]) is Verdict.AC


@pytest.mark.parametrize(
    ("limits", "fast", "slow", "limit"),
    [
        (ProblemLimits(), [0.1], [], 1.0),
        (ProblemLimits(), [0.4, 0.9], [], 2.0),
        (ProblemLimits(), [0.4, 1.0], [3.0], 2.0),
        (ProblemLimits(time_resolution=0.5), [0.6], [3.0], 1.5),
        (ProblemLimits(ac_to_time_limit=5.0), [0.9], [], 5.0),
        (ProblemLimits(time=7.5), [9.0], [1.0], 7.5),
    ],
)
def test_time_limit_is_inferred(
    limits: ProblemLimits, fast: list[float], slow: list[float], limit: float
) -> None:
    assert infer_time_limit(limits, fast, slow) == limit


def test_time_limit_that_cannot_be_is_no_time_limit() -> None:
    with pytest.raises(NoTimeLimit, match=r"2 s is needed .* at most 1.93 s"):
        infer_time_limit(ProblemLimits(), [1.0], [2.9])
