"""Keywords about deployments that are broken in the ways that were met in the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from robot.api import logger
from robot.api.deco import keyword, library

import run_context
from codewitness import __version__
from codewitness.embedded.service import ServiceNotStarted
from codewitness.execution.model import ExecutionRequest, PlatformFault, SourceFile
from codewitness.reporting.card import Mismatch, mismatch_card
from codewitness.reporting.diagnosis import new_nonce
from codewitness.target.field_failures import (
    BrokenDeployment,
    BrokenDeployments,
    NothingWrong,
    NotServed,
    Reported,
)

_CLAUSE = "a failure is told with its cause and its cure"
_NONCE_IN_PROGRAMS = "@NONCE@"


@library(scope="SUITE", version=__version__, listener="SELF", auto_keywords=False)
class FieldFailuresLibrary:
    """Keywords to meet a failure as it was met in the field, and to see what the report says of it.

    `Use Broken Deployment` chooses a private service that is broken in one way;
    ``python libraries/codewitness broken-deployments --list`` tells which there are. All of them
    are one process, started by the first test that needs it; it ends with the suite. The keywords
    that ask it expect that something goes wrong, and keep the failure card that a test of the
    service under test would have failed with.

    | Use Broken Deployment    X3
    | Execute There
    | Report Should Name    X3    takes exit code 0 for a missing value    test for null

    = Rows =

    Causes have short names, such as ``C7``: ``I`` for identity, ``R`` for routing and the shape of
    requests, ``C`` for capacity, start-up and time, ``X`` for results that are not the program's.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self._deployments = BrokenDeployments()
        self._deployment: BrokenDeployment | None = None
        self._reported: Reported | None = None

    @keyword(tags=["private"])
    def use_broken_deployment(self, name: str) -> None:
        """Makes the deployment of this name the one that keywords are about.

        Skips the test where it can't be had, for want of bubblewrap.
        """
        try:
            self._deployment = self._deployments.find(name)
            self._deployment.reset_identity()
        except ServiceNotStarted as error:
            raise AssertionError(f"The broken deployments could not be started. {error}") from error
        except NotServed as error:
            run_context.skip(f"Needs bubblewrap: {error}.")

    @keyword(tags=["private"])
    def require_language_there(self, language: str) -> None:
        """Skips the test where this machine has no tools for a language."""
        listed = self._deployments.languages()
        if language not in listed:
            run_context.skip(f"Needs {language}; here are {', '.join(sorted(listed))}.")

    # What is asked of it

    @keyword(tags=["private", "execute"])
    def execute_there(
        self,
        code: str = f'print("{_NONCE_IN_PROGRAMS}")',
        expected: str = f"{_NONCE_IN_PROGRAMS}\n",
        language: str = "python",
        argument: str = "",
        stdin: str = "",
    ) -> None:
        """Executes a program that must not give ``expected`` on stdout and exit code 0.

        In ``code``, ``expected`` and ``argument``, ``@NONCE@`` becomes a token that is new for
        every call.
        """
        nonce = new_nonce()
        texts = (text.replace(_NONCE_IN_PROGRAMS, nonce) for text in (code, expected, argument))
        code, expected, argument = texts
        args = (argument,) if argument else ()
        files = (SourceFile(code.encode()),)
        request = ExecutionRequest(language, files, args=args, stdin=stdin.encode())
        self._keep(lambda it: it.execute(request, expected.encode()))

    @keyword(tags=["private", "execute"])
    def execute_file_there(self, path: str, expected: str, language: str, stdin: str = "") -> None:
        """Executes a program from ``resources/programs``, like `Execute There`."""
        file = run_context.PROGRAMS / path
        self.execute_there(file.read_text(encoding="utf-8"), expected, language, stdin=stdin)

    @keyword(tags=["private", "execute"])
    def try_to_reach_the_machine_there(self) -> None:
        """Executes a program that connects to a port of the machine that the deployment is on."""
        path, address = "connect.py", self._deployments.address
        self.execute_file_there(path, "@NONCE@ no way there\n", "python", stdin=address)

    @keyword(tags=["private", "execute"])
    def leave_a_variable_there(self) -> None:
        """Executes a program that sets a variable, for the next one to look for."""
        code = f"left_behind = '{new_nonce()}'"
        self._sound(lambda it: it.execute(_python(code), b""))

    @keyword(tags=["private", "execute"])
    def look_for_the_variable_there(self) -> None:
        """Executes a program, as another user's, that prints the variable if it is there."""
        code = "print(globals().get('left_behind'))"
        self._keep(lambda it: it.execute(_python(code), b"None\n"))

    @keyword(tags=["private", "execute"])
    def repeat_there(self, times: int = 10, within: float = 10.0) -> None:
        """Executes a simple program ``times`` times, one after the other, ``within`` seconds."""
        self._keep(lambda it: it.repeat(times, within, until_it_works=False))

    @keyword(tags=["private", "execute"])
    def repeat_until_it_works_there(self, within: float = 10.0) -> None:
        """Executes a simple program until it works, at most for ``within`` seconds."""
        self._keep(lambda it: it.repeat(1000, within, until_it_works=True))

    @keyword(tags=["private", "execute"])
    def execute_at_once_there(self, *levels: int, deadline: float = 20.0) -> None:
        """Executes a program that takes 0.3 s, so many times at once, for each level.

        ``deadline`` is how many seconds an answer is waited for.
        """
        program = "import time; time.sleep(0.3)"
        self._keep(lambda it: it.execute_at_once(levels, program, deadline))

    @keyword(tags=["private"])
    def ask_there(self, request: str, body: str = "{}") -> None:
        """Sends a request, such as ``POST /sessions``, to a path below the deployment's URL.

        ``body`` is JSON; a GET has none.
        """
        method, _, path = request.partition(" ")
        self._keep(lambda it: it.ask(method, path, "" if method == "GET" else body))

    @keyword(tags=["private"])
    def ask_paths_there(self, *paths: str) -> None:
        """Asks for the execution of a program at each of several paths."""
        self._keep(lambda it: it.ask_paths(paths))

    @keyword(tags=["private", "execute"])
    def call_there_as(self, *identifiers: str) -> None:
        """Calls the pool once for each identifier, in turn, until it refuses one."""
        self._keep(lambda it: it.call_as(identifiers))

    # Its operator

    @keyword(tags=["private"])
    def ready_instance_is_taken(self) -> None:
        """Has the pool's ready instance given to another caller; the next one must start first."""
        self._sound(lambda it: it.take_ready_instance())

    @keyword(tags=["private", "authentication"])
    def role_takes_effect_after(self, seconds: float) -> None:
        """Leaves the identity of the pool's callers without its role for some seconds."""
        self._sound(lambda it: it.give_role_after(seconds))

    @keyword(tags=["private", "authentication"])
    def identity_is_a_persons(self, with_role: bool) -> None:
        """Has the pool's callers sign in as a person, who has the role on the pool or not."""
        roles: dict[str, Any] = {} if with_role else {"roles": []}
        self._sound(lambda it: it.configure_identity(person=True, **roles))

    # Expectations

    @keyword(tags=["private", "expect"])
    def report_should_name(self, row: str, cause: str, cure: str) -> None:
        """Fails unless the card kept last names ``row``, with these words of cause and cure.

        Candidates that no client can tell apart are all given: ``R1 or R2``.
        """
        if self._reported is None:
            raise AssertionError("Nothing went wrong yet; begin with `Use Broken Deployment`.")
        told = self._reported.diagnosis
        said = "nothing" if told is None else f"{' or '.join(told.rows)}: {told}"
        if told is None or tuple(row.split(" or ")) != told.rows:
            _fail("cause", "equals", row, said)
        card = " ".join(self._reported.card.split())
        if cause not in told.cause or cause not in card:
            _fail(f"cause of {row}", "contains", cause, said)
        if cure not in told.cure or cure not in card:
            _fail(f"cure of {row}", "contains", cure, said)
        logger.info(self._reported.card)

    # Listener

    def start_test(self, _data: Any, _result: Any) -> None:
        """Let no test judge what another one met."""
        self._deployment = self._reported = None

    def close(self) -> None:
        """End the deployments at the end of the suite."""
        self._deployments.close()

    # Within

    @property
    def _current(self) -> BrokenDeployment:
        if self._deployment is None:
            raise AssertionError("There is no deployment yet; begin with `Use Broken Deployment`.")
        return self._deployment

    def _keep(self, ask: Callable[[BrokenDeployment], Reported]) -> None:
        deployment = self._current
        try:
            self._reported = ask(deployment)
        except NothingWrong as error:
            _fail("deployment", "is", "broken", f"{error}", deployment.where)
        except PlatformFault as fault:
            _fail("deployment", "gives", "an answer", f"{fault}", deployment.where)

    def _sound(self, ask: Callable[[BrokenDeployment], object]) -> None:
        try:
            ask(self._current)
        except NothingWrong:
            return


def _python(source: str) -> ExecutionRequest:
    return ExecutionRequest("python", (SourceFile(source.encode()),))


def _fail(
    subject: str, relation: str, expected: str, received: str, where: str = "the report"
) -> NoReturn:
    mismatch = Mismatch(subject, relation, expected, received, _CLAUSE)
    raise AssertionError(mismatch_card(mismatch, None, None, diagnosis=None, where=where))
