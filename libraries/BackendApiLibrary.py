"""Keywords about the HTTP API itself: raw requests, statuses, bodies, shapes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from jsonschema import Draft202012Validator, ValidationError
from robot.api import logger
from robot.api.deco import keyword, library

import run_context
from codewitness import __version__
from codewitness.embedded.callers import USER_HEADER
from codewitness.execution.causes import fault
from codewitness.execution.http_client import HttpAnswer, HttpCall
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    ExecutionResult,
    FaultKind,
    Runtime,
    SourceFile,
)
from codewitness.execution.piston import RESPONSE_SCHEMA, RUNTIMES_SCHEMA
from codewitness.execution.redaction import redact
from codewitness.reporting.card import Mismatch

_SCHEMAS = {"execute": RESPONSE_SCHEMA, "runtimes": RUNTIMES_SCHEMA}
_AT_ONCE = 8
_FIELDS_CLAUSE = "Piston v2 contract, section 3: {0}, where it is answered"
# Milliseconds by which clocks and the ends of a measurement may differ.
_SLACK = 250
# Part of a time that a coarse clock shows of it at least.
_COARSE = 0.9
_ERROR_CLAUSE = "Piston v2 contract, section 2: errors"


@library(scope="TEST", version=__version__, auto_keywords=False)
class BackendApiLibrary:
    """Keywords that send raw requests to the backend's API and judge the raw answers.

    The expectations are about the answer received last. `Take Answer` hands over an answer
    that RequestsLibrary received; `Exchange` sends a request itself and is for services that
    want a credential, which RequestsLibrary would write into the log.
    """

    def __init__(self) -> None:
        self._answer: HttpAnswer | None = None

    @keyword(tags=["api"])
    def own_client_is_needed(self) -> bool:
        """Returns whether requests must not go through RequestsLibrary.

        That is so when the service wants a credential, which RequestsLibrary would log, and
        when a proxy is configured, which it would use for services on this machine, too. It
        also finds the certificate authorities to trust in other places than our own client.
        """
        target = run_context.service()
        if target.executor.base_url.startswith("https:"):
            return True
        return run_context.service().sends_credentials or bool(getproxies_environment())

    @keyword(tags=["api"])
    def get_headers_of_caller(self) -> dict[str, str]:
        """Returns the headers by which the service tells its callers apart; mostly none.

        The embedded backend gives each caller a session of its own in its pool, which takes a
        second to open. RequestsLibrary has a new connection for every request, and without a name
        each would be another caller.
        """
        through_pool = run_context.service().settings.through_pool
        return {USER_HEADER: "raw-requests"} if through_pool else {}

    @keyword(tags=["api"])
    def get_request_deadline(self) -> float:
        """Returns the seconds that one request may take, the setting ``REQUEST_DEADLINE``."""
        seconds: float = run_context.service().settings["REQUEST_DEADLINE"]
        return seconds

    @keyword(tags=["api"])
    def fail_without_an_answer(self, error: str) -> None:
        """Fails because RequestsLibrary got no answer and said ``error``.

        Tests that follow find out quickly whether the service is still out of order.
        """
        missing = fault(_kind_of(error), f"no answer came: {error}")
        run_context.service().lost(missing)
        run_context.fail_with(missing, None, "an answer, whatever its status")

    @keyword(tags=["api"])
    def exchange(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        content_type: str | None = "application/json",
    ) -> None:
        """Sends exactly this request, with the credentials of the service added.

        ``path`` is relative to the API's root, or from the root of the host when it begins
        with a slash. An empty ``content_type`` sends none.
        """
        headers = {"Content-Type": content_type} if content_type and body is not None else {}
        content = body.encode() if isinstance(body, str) else body
        try:
            self._answer = run_context.service().exchange(
                method, path, body=content, headers=headers
            )
        except ExecutionError as error:
            run_context.fail_with(error, None, "an answer, whatever its status")
        self._log()

    @keyword(tags=["api"])
    def take_answer(self, response: Any) -> None:
        """Takes the answer that RequestsLibrary received as the one to be judged."""
        sent = response.request
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        self._answer = HttpAnswer(
            status=response.status_code,
            reason=response.reason or "",
            headers=response.headers,
            body=response.content,
            elapsed=response.elapsed.total_seconds(),
            call=HttpCall(sent.method, sent.url, body, dict(sent.headers)),
        )
        self._log()

    @keyword(tags=["api"])
    def get_execute_body(self, code: str, stdin: str = "") -> str:
        """Returns the JSON body of a request that executes a Python program."""
        return _execute_body(code, stdin)

    @keyword(tags=["api"])
    def get_oversized_body(self, size: int) -> str:
        """Returns the body of a valid request that is ``size`` bytes long."""
        body = _execute_body(f"print('{run_context.nonce()}') #")
        return body.replace("#", "#" + "x" * (size - len(body)))

    # Expectations

    @keyword(tags=["api", "expect"])
    def answer_status_should_be(self, status: int) -> None:
        """Fails unless the HTTP status is ``status``."""
        if self._last.status != status:
            self._fail("HTTP status", "equals", str(status), self._status)

    @keyword(tags=["api", "expect"])
    def answer_should_be_a_refusal(self, because: str) -> None:
        """Fails unless the HTTP status is a 4xx: the request was understood and refused."""
        if not 400 <= self._last.status < 500:
            self._fail(
                "HTTP status",
                "is a 4xx",
                "4xx, whatever the body",
                f"{self._status}, body {self._text[:300] or '(empty)'}",
                _ERROR_CLAUSE,
                because,
            )

    @keyword(tags=["api", "expect"])
    def answer_should_be_a_refusal_or_a_result(self, stdout: str, because: str) -> None:
        """Fails unless the answer is a 4xx, or a result with exactly ``stdout``."""
        if self._last.status != 200:
            self.answer_should_be_a_refusal(because)
            return
        document = self._json()
        run = document.get("run") if isinstance(document, Mapping) else None
        received = run.get("stdout") if isinstance(run, Mapping) else None
        if received != stdout:
            self._fail(
                "answer",
                "is a refusal or the program's result",
                f"4xx, or 200 with run.stdout {stdout!r}",
                f"200 with run.stdout {received!r}",
                _ERROR_CLAUSE,
                because,
            )

    @keyword(tags=["api", "expect"])
    def answer_content_type_should_be(self, expected: str) -> None:
        """Fails unless the media type of the answer is ``expected``; parameters don't count."""
        received = self._last.content_type
        if received != expected:
            self._fail("Content-Type", "equals", expected, received or "(none)")

    @keyword(tags=["api", "expect"])
    def refusal_should_have_a_body_of_the_contract(self) -> None:
        """Fails unless the body is ``{"message": …}``, ``{"stack": …}``, ``{}`` or empty."""
        body = self._last.body.strip()
        if not body:
            return
        document = self._json()
        if isinstance(document, Mapping) and (
            not document or isinstance(document.get("message") or document.get("stack"), str)
        ):
            return
        self._fail(
            "body of the refusal",
            "is one of the contract's",
            '{"message": …}, {"stack": …}, {} or nothing',
            self._text[:500],
            _ERROR_CLAUSE,
            "a body of another shape is a deviation that clients have to know of",
        )

    @keyword(tags=["api", "expect"])
    def refusal_should_say(self, text: str) -> None:
        """Fails unless the refusal's message contains ``text``, in any case."""
        if text.lower() not in self._last.text.lower():
            self._fail(
                "message of the refusal",
                "names what is wrong",
                f"a message with '{text}'",
                self._text[:500] or "(empty)",
                _ERROR_CLAUSE,
            )

    @keyword(tags=["api", "expect"])
    def answer_should_match_the_contract(self, route: Literal["execute", "runtimes"]) -> None:
        """Fails unless the answer is JSON of the shape that the contract has for ``route``.

        Fields that a minimal backend may lack are checked when they are there.
        """
        document = self._json()
        errors = sorted(
            Draft202012Validator(_SCHEMAS[route]).iter_errors(document),
            key=lambda error: list(map(str, error.absolute_path)),
        )
        if errors:
            told = [_violation(error) for error in errors]
            self._fail(
                f"shape of the answer to {route}",
                "matches the contract",
                "every field of the type that the contract gives it",
                "; ".join(told[:6]),
                "Piston v2 contract, section 3: response 200"
                if route == "execute"
                else "Piston v2 contract, section 5: runtimes",
            )

    @keyword(tags=["api", "expect"])
    def answer_should_have_field(self, path: str, expected: Any = None) -> None:
        """Fails unless the JSON answer has the field ``path``, such as ``run.stdout``.

        When ``expected`` is given, the field must be equal to it.
        """
        value = self._json()
        for name in path.split("."):
            if not isinstance(value, Mapping) or name not in value:
                there = ", ".join(value) if isinstance(value, Mapping) else type(value).__name__
                self._fail(path, "is there", f"a field {path}", f"absent; there is {there}")
            value = value[name]
        if expected is not None and value != expected:
            self._fail(path, "equals", repr(expected), repr(value))

    @keyword(tags=["api", "expect"])
    def output_should_hold_both_streams(self, stdout: str, stderr: str) -> None:
        """Fails unless ``run.output`` holds every line of both streams, and nothing else.

        Lines of one stream must be in order; how the two are mixed is left to the service. All
        lines must differ. Skips where there is no ``run.output``.
        """
        received = self._optional("output")
        lines = str(received).splitlines(keepends=True)
        streams = [text.splitlines(keepends=True) for text in (stdout, stderr)]
        whole = len(lines) == sum(map(len, streams))
        if not whole or any([it for it in lines if it in own] != own for own in streams):
            self._fail(
                "run.output",
                "holds what both streams hold",
                f"the lines of {stdout!r} and of {stderr!r}",
                redact(repr(received))[:500],
                _FIELDS_CLAUSE.format("output is both streams"),
            )

    @keyword(tags=["api", "expect"])
    def wall_time_should_be_plausible(self, at_least: int) -> None:
        """Fails unless ``run.wall_time`` lies between ``at_least`` and what the answer took.

        Both are in milliseconds. Skips where there is no ``run.wall_time``.
        """
        received = self._optional("wall_time")
        at_most = self._last.elapsed * 1000 + _SLACK
        if not self._is_number(received) or not _COARSE * at_least <= received <= at_most:
            self._fail(
                "run.wall_time",
                "is plausible",
                f"about {at_least} ms or more, which the program slept, and at most "
                f"{at_most:.0f} ms, which the whole answer took",
                f"{received!r}",
                _FIELDS_CLAUSE.format("wall_time is in milliseconds"),
            )

    @keyword(tags=["api", "expect"])
    def cpu_time_should_be_plausible(self) -> None:
        """Fails if ``run.cpu_time`` is negative or more than all processors could spend.

        The program must have printed ``${NONCE}`` and the number of its processors. Skips where
        there is no ``run.cpu_time``.
        """
        received = self._optional("cpu_time")
        stdout = self._stage.get("stdout")
        nonce, _, processors = str(stdout).strip().partition(" ")
        if nonce != run_context.nonce() or not processors.isdecimal():
            self._fail(
                "run.stdout",
                "has the number of processors",
                f"{run_context.nonce()} and a number",
                redact(repr(stdout))[:300],
            )
        at_most = self._last.elapsed * 1000 * int(processors) + _SLACK
        if not self._is_number(received) or not 0 <= received <= at_most:
            self._fail(
                "run.cpu_time",
                "is plausible",
                f"0 to {at_most:.0f} ms, the time of the whole answer on {processors} processors",
                f"{received!r}",
                _FIELDS_CLAUSE.format("cpu_time is in milliseconds"),
            )

    @keyword(tags=["api", "expect"])
    def memory_should_be_plausible(self) -> None:
        """Fails unless ``run.memory`` is more than 0. Skips where there is none."""
        received = self._optional("memory")
        if not self._is_number(received) or received <= 0:
            self._fail(
                "run.memory",
                "is plausible",
                "more than 0 bytes",
                f"{received!r}",
                _FIELDS_CLAUSE.format("memory is in bytes"),
            )

    @keyword(tags=["api", "expect"])
    def every_listed_runtime_should_execute(self, at_most: int = 60) -> None:
        """Fails unless execute accepts every language, version and alias that is listed.

        A program that fails to compile or run is all right: the runtime was accepted. Where
        more than ``at_most`` names are listed, aliases are left out first; the log says so.
        """
        listed = run_context.runtimes()
        named = [(it, it.language) for it in listed]
        named += [(it, alias) for it in listed for alias in it.aliases]
        if len(named) > at_most:
            logger.warn(f"{len(named) - at_most} of {len(named)} listed names are not tried.")
        for start in range(0, min(len(named), at_most), _AT_ONCE):
            batch = named[start : min(start + _AT_ONCE, at_most)]
            program = SourceFile(f'print("{run_context.nonce()}")\n'.encode())
            requests = [
                ExecutionRequest(name, (program,), version=runtime.version)
                for runtime, name in batch
            ]
            outcomes = run_context.service().execute_many(requests)
            for (runtime, name), request, outcome in zip(batch, requests, outcomes, strict=True):
                _check_runtime(runtime, name, request, outcome)

    @keyword(tags=["api", "expect"])
    def runtimes_should_list(self, language: str) -> None:
        """Fails unless ``language`` is among the runtimes or their aliases."""
        listed = run_context.runtimes()
        if not any(language in (it.language, *it.aliases) for it in listed):
            run_context.fail(
                Mismatch(
                    "runtimes",
                    "lists what execute accepts",
                    language,
                    ", ".join(it.language for it in listed) or "an empty list",
                    "Piston v2 contract, section 5: runtimes",
                ),
                None,
                None,
            )

    @keyword(tags=["api"])
    def get_address_of_service(self) -> str:
        """Returns host and port of the service, with a space between, as a program reads them."""
        address = urlsplit(run_context.service().executor.base_url)
        return f"{address.hostname} {address.port or (443 if address.scheme == 'https' else 80)}"

    # What the rest is made of

    @property
    def _last(self) -> HttpAnswer:
        if self._answer is None:
            raise AssertionError(
                "No request was sent before this expectation. Begin the test with 'Post To "
                "Execute' or another keyword that sends one."
            )
        return self._answer

    @property
    def _stage(self) -> Mapping[str, Any]:
        document = self._json()
        run = document.get("run") if isinstance(document, Mapping) else None
        if not isinstance(run, Mapping):
            self._fail("run", "is there", "an object run", self._text[:300])
        return run

    def _optional(self, name: str) -> Any:
        """Return a field of the run stage; skip the current test where it has none."""
        value = self._stage.get(name)
        if value is None:
            run_context.skip(f"The answer has no run.{name}, which a service may leave out.")
        return value

    @staticmethod
    def _is_number(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    @property
    def _status(self) -> str:
        return f"{self._last.status} {self._last.reason}".strip()

    @property
    def _text(self) -> str:
        # Redacted before it is cut: the first half of a secret would not be recognised.
        return redact(self._last.text)

    def _json(self) -> Any:
        try:
            return json.loads(self._last.body)
        except ValueError as error:
            self._fail("body", "is JSON", "JSON", f"{self._text[:300] or '(empty)'} ({error})")

    def _fail(
        self,
        subject: str,
        relation: str,
        expected: str,
        received: str,
        clause: str = "",
        because: str = "",
    ) -> NoReturn:
        run_context.fail_answer(
            Mismatch(subject, relation, expected, received, clause, because), self._last
        )

    def _log(self) -> None:
        answer = self._last
        body = answer.call.body or b""
        logger.info(
            f"{answer.call.method} {answer.url} with {len(body)} bytes: {self._status}, "
            f"{len(answer.body)} bytes, {answer.elapsed * 1000:.0f} ms"
        )


def _check_runtime(
    runtime: Runtime,
    name: str,
    request: ExecutionRequest,
    outcome: ExecutionResult | ExecutionError,
) -> None:
    kind = "language" if name == runtime.language else "alias"
    told = f"the {kind} '{name}' in version {runtime.version}, as listed in runtimes"
    if isinstance(outcome, ExecutionError):
        run_context.fail_with(outcome, request, f"runtimes to be true: {told}")
    if outcome.language != runtime.language:
        run_context.fail(
            Mismatch(
                "language",
                "is the canonical name",
                runtime.language,
                outcome.language,
                "Piston v2 contract, section 3: language is canonical",
                f"asked for {told}",
            ),
            request,
            outcome,
        )
    if outcome.version != runtime.version:
        run_context.fail(
            Mismatch(
                "version",
                "is the listed one",
                runtime.version,
                outcome.version,
                "Piston v2 contract, section 3: version is the concrete version that ran",
                f"asked for {told}",
            ),
            request,
            outcome,
        )


def _execute_body(code: str, stdin: str = "") -> str:
    document = {"language": "python", "version": "*", "files": [{"content": code}]}
    return json.dumps({**document, "stdin": stdin})


def _kind_of(error: str) -> FaultKind:
    """Tell from the words of RequestsLibrary why no answer came."""
    kinds = {
        "timed out": FaultKind.TIMEOUT,
        "refused": FaultKind.NOTHING_LISTENING,
        "SSLError": FaultKind.TLS,
    }
    return next((kinds[words] for words in kinds if words in error), FaultKind.CONNECTION_CUT)


def _violation(error: ValidationError) -> str:
    place = ".".join(map(str, error.absolute_path)) or "the answer"
    if error.validator == "type":
        wanted: Any = error.validator_value
        wanted = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return f"{place}: {json.dumps(error.instance)[:80]} is no {wanted}"
    return f"{place}: {error.message[:200]}"
