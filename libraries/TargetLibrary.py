"""Keywords about the service under test, and the guards of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn
from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]

import generated_tests
import ResultsDocumentation
import run_context
from codewitness import __version__
from codewitness.execution.core_dumps import forbid_core_dumps
from codewitness.execution.model import ExecutionError
from codewitness.reporting.card import Mismatch
from codewitness.reporting.diagnosis import new_nonce
from codewitness.reporting.known_issues import (
    KnownIssue,
    find_known_issue,
    read_known_issues,
    unmatched,
)
from codewitness.target.capabilities import State
from codewitness.target.rendezvous import RendezvousLost
from codewitness.target.settings import SettingsError, TargetKind

THOROUGH = "thorough"
"""Tag of tests that are left out unless they are asked for."""


@library(scope="GLOBAL", version=__version__, listener="SELF", auto_keywords=False)
class TargetLibrary:
    """Keywords that ask what the service under test is and what it can do.

    The service is chosen by settings (see the README) and opened by the first keyword that
    needs it. If it does not answer, the run stops at once with one message.

    = Capabilities =

    A request field that is answered with HTTP 200 counts as claimed. `Capability Should Be
    Honoured` fails where the service accepts a field and ignores it, and skips where it openly
    refuses. `Requires Capability` skips in both cases: one test names each deviation, the
    others that depend on it are not run.

    = Guards =

    Importing this library also watches the run: known issues become skips, a known issue that
    no longer fails becomes a failure, and so does a skip without a documented reason or a run
    in which nothing passed. Where the session pool is required, the run also fails unless code
    is seen to run in its sessions, at the beginning and at the end.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        forbid_core_dumps()
        self._announced = False
        self._depth = 0
        self._known_issues: dict[str, KnownIssue] = {}
        self._unreadable: str | None = None
        self._passed = 0
        self._failed = 0
        self._fallback_told = False
        self._pool_given = False
        self._rehearsals = 0

    # Keywords

    @keyword
    def service_should_answer(self) -> None:
        """Fails, and stops the run, unless the service under test answers as an execute API.

        Fails at once where the service was found out of order by an earlier test.
        """
        try:
            run_context.service().require()
        except ExecutionError as error:
            run_context.fail_with(error, None, "an answer of the execute API")

    @keyword
    def requires_capability(self, name: str) -> None:
        """Skips the test unless the service has the capability ``name``.

        Capabilities are ``args``, ``files``, ``file-names``, ``base64``, ``hex``,
        ``run_timeout``, ``run_memory_limit`` and ``version``. Each is probed once in a run.
        """
        run_context.require_capability(name)

    @keyword
    def capability_should_be_honoured(self, name: str) -> None:
        """Fails if the service accepts the capability ``name`` with HTTP 200 and ignores it.

        Skips the test if the service openly refuses it, or if the environment's variable file
        lists it under ``DEVIATIONS``.
        """
        finding = run_context.find_capability(name)
        if finding.state is State.IGNORED:
            mismatch = Mismatch(
                subject=name,
                relation="has an effect or is refused",
                expected=f"{name} to have its effect, or to be refused with a 4xx",
                received=finding.evidence,
                clause="Piston v2 contract, section 1: the request's fields",
            )
            run_context.fail(mismatch, finding.request, finding.result)
        if finding.state is not State.HONOURED:
            run_context.skip(f"{name} is {finding.state.value}: {finding.evidence}.")

    @keyword
    def requires_language(self, language: str) -> None:
        """Skips the test unless the service lists ``language`` among its runtimes."""
        run_context.require_language(language)

    @keyword
    def get_alias_of_language(self, language: str) -> str:
        """Returns an alias that the service lists for ``language``; skips if it lists none."""
        aliases = [
            alias
            for runtime in run_context.runtimes()
            if runtime.language == language
            for alias in runtime.aliases
        ]
        if not aliases:
            run_context.skip(f"The service lists no alias of {language}.")
        return aliases[0]

    @keyword
    def requires_sandbox(self) -> None:
        """Skips the test if the service itself says that it runs programs without a sandbox.

        So do the embedded services where bubblewrap does not work: nothing is walled off there,
        and every answer says so.
        """
        told = run_context.service().whereabouts.provenance
        if told is not None and told.sandbox == "process limits only":
            run_context.skip(
                "The service runs programs without a sandbox and says so: "
                f"{'; '.join(told.notes) or told.sandbox}."
            )

    @keyword
    def requires_sessions(self) -> None:
        """Skips the test unless the service says in which session it ran a program."""
        told = run_context.service().whereabouts.provenance
        if told is None or told.session is None:
            run_context.skip(
                "Needs a target with sessions: session reuse can be seen only where the answer "
                "names its session, and this target's answers name none."
            )

    @keyword
    def requires_session_pool(self) -> None:
        """Skips the test unless the session pool behind the target, or that it is, is known.

        That is so on the embedded target, and where ``POOL_MANAGEMENT_ENDPOINT`` is given.
        """
        target = run_context.service()
        if not target.knows_pool:
            run_context.skip(f"{target.testify().verdict}.")

    @keyword
    def requires_backend_in_front_of_pool(self) -> None:
        """Skips the test where the session pool is asked directly: there is nothing to compare."""
        if run_context.service().settings.kind is TargetKind.POOL:
            run_context.skip(
                "The target is the session pool itself: what runs directly in it has nothing to "
                "be compared with. Give a backend as ENDPOINT beside it."
            )

    @keyword
    def session_list_should_show_use(self) -> None:
        """Executes a program and fails unless the pool's own list shows a session used for it.

        A session was used if it is new, or was last accessed at another time than before.
        """
        self._should_be_in_pool(compare=False)

    @keyword
    def program_should_find_itself_in_the_pool(self) -> None:
        """Fails unless a program finds itself in the same surroundings directly in the pool.

        It is executed through the target first, and the pool's list must show that, too. What
        is compared is alike in all sessions of a pool: kernel, system, interpreter, user, first
        process.
        """
        self._should_be_in_pool(compare=True)

    @keyword
    def no_execution_should_have_been_degraded(self) -> None:
        """Fails if an execution of this run so far was answered by a fallback."""
        degraded = run_context.service().record.degraded
        if degraded:
            told = "; ".join(f"{count}: {reason}" for reason, count in degraded.items())
            mismatch = Mismatch("executions answered by a fallback", "equals", "none", told)
            run_context.fail(mismatch, None, None)

    @keyword
    def get_base_url(self) -> str:
        """Returns the root of the service's API, such as ``http://host:2000/api/v2/``."""
        return run_context.service().executor.base_url

    @keyword
    def first_request_should_have_been_answered_within(self, seconds: float) -> None:
        """Fails unless the very first request of this run took less than ``seconds``.

        Whether it met a stopped service, a new session or a warm one is not known.
        """
        target = run_context.service()
        latency = target.first_latency
        if latency is None or not latency < seconds:
            took = f"no answer: {target.first_fault}" if latency is None else f"{latency:.2f} s"
            mismatch = Mismatch("latency of the cold start", "is below", f"{seconds:g} s", took)
            run_context.fail(mismatch, None, None)
        logger.info(f"The first request took {latency:.3f} s.")

    # Listener

    def start_suite(self, data: Any, _result: Any) -> None:
        """Announce the target once, read what is known to fail, and miss tests that are lost."""
        self._depth += 1
        if self._depth == 1 and not self._thorough_wanted():
            _leave_out_thorough(data)
        if self._announced:
            return
        self._announced = True
        try:
            settings = run_context.settings()
            self._pool_given = bool(settings["POOL_MANAGEMENT_ENDPOINT"])
            path = settings["KNOWN_ISSUES"] or run_context.PROJECT / "variables/known_issues.yaml"
            self._known_issues = dict(read_known_issues(Path(path)))
            logger.console(f"Target: {settings.kind.value} ({settings.chosen_by})")
            lost = generated_tests.of_this_process().lost(
                list(data.all_tests), lambda: generated_tests.Collection(settings)
            )
            if lost:
                raise ValueError(lost)
        except (SettingsError, ValueError) as error:
            self._unreadable = str(error)
            run_context.give_up(self._unreadable)
            logger.console("Target: none, see the first failure")

    def start_test(self, _data: Any, _result: Any) -> None:
        """Give every test a token of its own."""
        # Without braces Robot takes the name as it is, instead of looking for a value of it.
        BuiltIn().set_test_variable("$NONCE", new_nonce())

    def end_test(self, data: Any, result: Any) -> None:
        """Apply known issues and the guards."""
        known = find_known_issue(self._known_issues, result.name, result.full_name)
        if known is not None:
            _apply(known, result)
        if result.skipped and result.message == "All iterations skipped.":
            _tell_reasons_of_iterations(result)
        if result.skipped and not run_context.is_documented_skip(result.message):
            result.status = "FAIL"
            result.message = f"Skipped without a documented reason: {result.message}"
        if self._unreadable and not result.failed:
            result.status, result.message = "FAIL", self._unreadable
        self._warn_of_fallback()
        if _is_last(data):
            _check_pool(result)
        self._rehearsals += "rehearsal" in result.tags and not result.skipped
        decided = not self._passed and not self._failed and not result.skipped
        self._passed += result.passed
        self._failed += result.failed
        if decided:
            _tell_others()
        if _is_last(data) and not self._passed and not self._failed and _no_other_decides():
            result.status = "FAIL"
            result.message = (
                "No test of this run passed: everything was skipped, so nothing is known about "
                f"the service. This test's own reason: {result.message}"
            )

    def end_suite(self, data: Any, result: Any) -> None:
        """Say at the top of the report who answered, and which known issues match nothing."""
        self._depth -= 1
        # The uppermost suite that knows this library, which a file run on its own may be.
        if self._depth:
            return
        names = [name for test in data.all_tests for name in (test.name, test.full_name)]
        for issue in unmatched(self._known_issues, names):
            logger.warn(
                f"The known issue {issue.reference} names '{issue.test}', which is no test of "
                "this run. Correct its name, or remove the entry."
            )
        for name, value in run_context.final_metadata().items():
            result.metadata[name] = value
        if self._pool_given and self._rehearsals:
            result.metadata["Rehearsals"] = (
                f"{self._rehearsals} rehearsal tests ran on embedded services and say nothing of "
                "the pool given"
            )
        _document(result)

    def close(self) -> None:
        """Close the service at the end of the run."""
        run_context.close_service()
        run_context.leave_others()

    @staticmethod
    def _thorough_wanted() -> bool:
        try:
            return bool(run_context.settings()["THOROUGH"]) or _is_thorough_selected()
        except SettingsError:
            # The first test says so.
            return False

    def _should_be_in_pool(self, *, compare: bool) -> None:
        self.service_should_answer()
        testimony = run_context.testify(compare=compare)
        if not testimony.in_pool:
            raise AssertionError(run_context.place_card(run_context.service(), testimony))

    def _warn_of_fallback(self) -> None:
        service = run_context.opened_service()
        if service is None or self._fallback_told:
            return
        for reason in service.record.degraded:
            self._fallback_told = True
            logger.warn(
                f"DEGRADED: a fallback answers instead of the executor that was meant: {reason}. "
                "How often is at the top of the report; REQUIRE_POOL=true makes it a failure."
            )
            return


def _is_thorough_selected() -> bool:
    """Whether tests were selected by their names, or by the tag of those that are left out."""
    include = (BuiltIn().get_variable_value("${OPTIONS}") or {}).get("include") or []
    if any(str(tag).lower() == THOROUGH for tag in include):
        return True
    # pabot selects every suite of a run by its name.
    return generated_tests.of_this_process().names_tests and not run_context.is_run_by_pabot()


def _leave_out_thorough(suite: Any) -> None:
    suite.tests[:] = [test for test in suite.tests if THOROUGH not in test.tags]
    for child in suite.suites:
        _leave_out_thorough(child)


def _document(result: Any) -> None:
    """Document the run so far; what pabot has split is documented when it is merged."""
    # Another suite may stand beside the uppermost one that knows this library.
    while result.parent is not None:
        result = result.parent
    places = BuiltIn().get_variables(no_decoration=True)
    is_dry = EXECUTION_CONTEXTS.current.dry_run
    if is_dry or places["OUTPUT_FILE"] == "NONE" or run_context.is_run_by_pabot():
        return
    folder = Path(places["OUTPUT_DIR"])
    ResultsDocumentation.document(
        result, folder, log=places["LOG_FILE"], report=places["REPORT_FILE"]
    )
    ResultsDocumentation.write_xunit(result, folder / "xunit.xml")


def _tell_others() -> None:
    """Tell the other processes of the run, if any, that a test has passed or failed."""
    try:
        run_context.note_decided()
    except RendezvousLost as lost:
        logger.warn(str(lost))


def _no_other_decides() -> bool:
    """Whether no other process of the run has a test that passed or failed, as far as is known."""
    try:
        return run_context.nothing_is_decided_elsewhere()
    except RendezvousLost as lost:
        logger.warn(str(lost))
        return False


def _check_pool(result: Any) -> None:
    """Fail the last test of a run where a required pool is no longer used."""
    missed = run_context.pool_is_missed()
    if missed:
        result.message = "\n\n".join(filter(None, (missed, result.message)))
        result.status = "FAIL"


def _is_last(test: Any) -> bool:
    """Whether no test follows; known only now, since a listener may have added tests."""
    suite, last = test.parent, test.parent.tests[-1] is test
    while last and suite.parent is not None:
        last, suite = suite.parent.suites[-1] is suite, suite.parent
    return last


def _tell_reasons_of_iterations(result: Any) -> None:
    """Put the reasons of a template's skipped iterations in place of Robot's one sentence."""
    reasons = [item.message for item in result.body if item.message]
    result.message = "\n".join(dict.fromkeys(reasons))
    if all(run_context.is_documented_skip(reason) for reason in reasons):
        run_context.document_skip(result.message)


def _apply(known: KnownIssue, result: Any) -> None:
    if result.failed:
        result.status = "SKIP"
        result.message = f"Known issue {known.reference}: {known.reason}\n\n{result.message}"
        run_context.document_skip(result.message)
    elif result.passed:
        result.status = "FAIL"
        result.message = (
            f"The known issue {known.reference} no longer fails. Remove its entry for "
            f"'{known.test}' from the file of known issues."
        )
