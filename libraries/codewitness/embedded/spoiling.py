"""Ways to spoil an Executor or the HTTP answers of a backend.

A spoiler takes a healthy Executor and returns a broken one; a middleware breaks what the
backend answers. The catalogue in :mod:`codewitness.embedded.faults` gives them names.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from codewitness.embedded import preludes
from codewitness.execution.local import RUN_TIME
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    FaultKind,
    PlatformFault,
    RequestRefused,
    Runtime,
    Stage,
)

Spoiler = Callable[[Executor], Executor]
EXECUTE = "/api/v2/execute"
RUNTIMES = "/api/v2/runtimes"


class Passing:
    """Hands everything on; spoilers override what they break."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner
        self._lock = threading.Lock()

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request, spoiled or not."""
        return self._inner.execute(request)

    def runtimes(self) -> Sequence[Runtime]:
        """Return runtimes, spoiled or not."""
        return self._inner.runtimes()

    def close(self) -> None:
        """Close the inner executor."""
        self._inner.close()

    def _lists(self, language: str) -> bool:
        return any(language in (it.language, *it.aliases) for it in self._inner.runtimes())


def changed_request(change: Callable[[ExecutionRequest], ExecutionRequest]) -> Spoiler:
    """Execute another request than the one received."""

    class Changed(Passing):
        def execute(self, request: ExecutionRequest) -> ExecutionResult:
            return self._inner.execute(change(request))

    return Changed


def waiting_for_children(longest: float) -> Spoiler:
    """Wait until nobody holds a Python program's output any more.

    Args:
        longest: Milliseconds that children may hold back an answer beyond the time limit.
    """

    class Waiting(Passing):
        def execute(self, request: ExecutionRequest) -> ExecutionResult:
            if not preludes.is_python(request):
                return self._inner.execute(request)
            limits = request.limits
            own_time = RUN_TIME if limits.run_timeout is None else limits.run_timeout
            statement = preludes.waiting_for_children(own_time / 1000)
            longer = replace(limits, run_timeout=own_time + longest)
            request = replace(preludes.with_statement(request, statement), limits=longer)
            result = self._inner.execute(request)
            if result.run.signal != preludes.OUT_OF_TIME:
                return result
            run = replace(
                result.run,
                signal="SIGKILL",
                status="TO",
                message="Time limit exceeded (wall clock)",
            )
            return replace(result, run=run)

    return Waiting


def changed_result(
    change: Callable[[ExecutionRequest, ExecutionResult], ExecutionResult],
) -> Spoiler:
    """Answer another result than the one obtained."""

    class Changed(Passing):
        def execute(self, request: ExecutionRequest) -> ExecutionResult:
            return change(request, self._inner.execute(request))

    return Changed


def changed_run(change: Callable[[Stage], Stage]) -> Spoiler:
    """Change the run stage of every result."""
    return changed_result(lambda _, result: replace(result, run=change(result.run)))


def changed_stdout(change: Callable[[bytes], bytes]) -> Spoiler:
    """Change what every program has written to stdout."""
    return changed_run(lambda run: replace(run, stdout=change(run.stdout), output=None))


def changed_text(change: Callable[[str], str]) -> Spoiler:
    """Change stdout as text; bytes that are no text stay as they are."""
    return changed_stdout(
        lambda stdout: change(stdout.decode("utf-8", "surrogateescape")).encode(
            "utf-8", "surrogateescape"
        )
    )


def changed_stderr(change: Callable[[bytes], bytes]) -> Spoiler:
    """Change what every program has written to stderr."""
    return changed_run(lambda run: replace(run, stderr=change(run.stderr), output=None))


def changed_code(change: Callable[[int], int | None]) -> Spoiler:
    """Change the exit code of every program that exited."""
    return changed_run(
        lambda run: (
            run
            if run.code is None
            else replace(run, code=change(run.code), status=None, message=None)
        )
    )


def changed_stdin(change: Callable[[str], str]) -> Spoiler:
    """Change what every program finds on stdin, as text."""
    return changed_request(
        lambda request: replace(
            request,
            stdin=change(request.stdin.decode("utf-8", "surrogatepass")).encode(
                "utf-8", "surrogatepass"
            ),
        )
    )


def changed_args(change: Callable[[tuple[str, ...]], Sequence[str]]) -> Spoiler:
    """Change the command-line arguments of every program."""
    return changed_request(lambda request: replace(request, args=tuple(change(request.args))))


def killed_as(ending: Callable[[Stage], Stage], *statuses: str) -> Spoiler:
    """Change the end of programs that a limit stopped."""
    return changed_run(lambda run: ending(run) if run.status in statuses else run)


def delayed(seconds: float) -> Spoiler:
    """Make every execution last longer."""

    class Delayed(Passing):
        def execute(self, request: ExecutionRequest) -> ExecutionResult:
            time.sleep(seconds)
            return self._inner.execute(request)

    return Delayed


def at_most(count: int) -> Spoiler:
    """Be out of capacity while so many programs run."""

    class Limited(Passing):
        def __init__(self, inner: Executor) -> None:
            super().__init__(inner)
            self._free = threading.Semaphore(count)

        def execute(self, request: ExecutionRequest) -> ExecutionResult:
            if not self._free.acquire(blocking=False):
                raise PlatformFault(FaultKind.CAPACITY, "all workers are busy")
            try:
                return self._inner.execute(request)
            finally:
                self._free.release()

    return Limited


class OneAtATime(Passing):
    """Lets no two programs run at once."""

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request after all others."""
        with self._lock:
            return self._inner.execute(request)


class Hoarding(Passing):
    """Keeps memory for every request that it ever served."""

    def __init__(self, inner: Executor) -> None:
        super().__init__(inner)
        self._kept: list[bytes] = []

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request, and keep a mebibyte that is in use, not only set aside."""
        self._kept.append(b"\x01" * 1024 * 1024)
        return self._inner.execute(request)


class CachedByCode(Passing):
    """Answers the same code from memory, whatever its input."""

    def __init__(self, inner: Executor) -> None:
        super().__init__(inner)
        self._known: dict[object, ExecutionResult] = {}

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request, or remember another one's result."""
        key = (request.language, request.files)
        if key not in self._known:
            self._known[key] = self._inner.execute(request)
        return self._known[key]


class CachedByRequest(Passing):
    """Answers a request that it has seen, to the last byte, from memory."""

    def __init__(self, inner: Executor) -> None:
        super().__init__(inner)
        self._known: dict[ExecutionRequest, ExecutionResult] = {}

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request, or remember its earlier result."""
        if request not in self._known:
            self._known[request] = self._inner.execute(request)
        return self._known[request]


class Stale(Passing):
    """Answers the result of the request before."""

    def __init__(self, inner: Executor) -> None:
        super().__init__(inner)
        self._last: ExecutionResult | None = None

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request and answer the previous one."""
        result = self._inner.execute(request)
        with self._lock:
            previous, self._last = self._last, result
        return previous or result


class Swapped(Passing):
    """Exchanges the results of two requests that are under way at the same time."""

    LONGEST_WAIT = 2.0

    def __init__(self, inner: Executor) -> None:
        super().__init__(inner)
        self._under_way = 0
        self._waiting: list[_Exchange] = []

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request and answer a simultaneous one, if there is any."""
        with self._lock:
            self._under_way += 1
        try:
            result = self._inner.execute(request)
        finally:
            with self._lock:
                self._under_way -= 1
        with self._lock:
            if self._waiting:
                return self._waiting.pop().give(result)
            if not self._under_way:
                return result
            exchange = _Exchange(result)
            self._waiting.append(exchange)
        exchange.done.wait(self.LONGEST_WAIT)
        with self._lock:
            if exchange in self._waiting:
                self._waiting.remove(exchange)
        return exchange.result


class _Exchange:
    def __init__(self, result: ExecutionResult) -> None:
        self.result = result
        self.done = threading.Event()

    def give(self, other: ExecutionResult) -> ExecutionResult:
        own, self.result = self.result, other
        self.done.set()
        return own


def after_limit(then: Callable[[], None], requests: int, *statuses: str) -> Spoiler:
    """Do something before each of the requests that follow a program which a limit stopped."""

    class Shaken(Passing):
        def __init__(self, inner: Executor) -> None:
            super().__init__(inner)
            self._left = 0

        def execute(self, request: ExecutionRequest) -> ExecutionResult:
            with self._lock:
                shaken = self._left > 0
                self._left -= shaken
            if shaken:
                then()
            result = self._inner.execute(request)
            if result.run.status in statuses:
                with self._lock:
                    self._left = requests
            return result

    return Shaken


def break_down() -> None:
    """Fail as a platform does."""
    raise PlatformFault(FaultKind.SANDBOX, "worker did not come back after the last job")


def sometimes(spoiler: Spoiler, when: Callable[[int], bool]) -> Spoiler:
    """Spoil only some executions, chosen by their number, which starts at 0."""

    class Sometimes(Passing):
        def __init__(self, inner: Executor) -> None:
            super().__init__(inner)
            self._spoiled = spoiler(inner)
            self._number = -1

        def execute(self, request: ExecutionRequest) -> ExecutionResult:
            with self._lock:
                self._number += 1
                spoiled = when(self._number)
            return (self._spoiled if spoiled else self._inner).execute(request)

    return Sometimes


def one_in(count: int, seed: int = 20240917) -> Callable[[int], bool]:
    """Choose one of each ``count`` numbers, at a place that looks random but is repeatable."""
    return lambda number: random.Random(seed + number // count).randrange(count) == number % count


def from_number(first: int) -> Callable[[int], bool]:
    """Choose all numbers from ``first`` on."""
    return lambda number: number >= first


def rerun_without_limit(stopped: Callable[[Stage], bool]) -> Spoiler:
    """Let certain programs run for 10 s, whatever limit was asked for."""

    class Lenient(Passing):
        def execute(self, request: ExecutionRequest) -> ExecutionResult:
            result = self._inner.execute(request)
            if result.run.status == "TO" and stopped(result.run):
                return self._inner.execute(without_time_limits(request))
            return result

    return Lenient


def without_time_limits(request: ExecutionRequest) -> ExecutionRequest:
    """Return a request that may run for 10 s."""
    return replace(request, limits=replace(request.limits, run_timeout=10000, run_cpu_time=10000))


class ListsTooMuch(Passing):
    """Lists a language that it refuses to execute."""

    def runtimes(self) -> Sequence[Runtime]:
        """Return runtimes and one more."""
        return [*self._inner.runtimes(), Runtime("befunge93", "0.2.0", ("b93",))]


class WithoutAliases(Passing):
    """Lists aliases but executes canonical names only."""

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request that uses a canonical name."""
        if all(request.language != it.language for it in self._inner.runtimes()):
            raise RequestRefused(f"{request.language}-{request.version} runtime is unknown")
        return self._inner.execute(request)


class WithoutListedVersions(Passing):
    """Refuses the very versions that it lists."""

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request unless it names a version exactly."""
        if any(request.version == it.version for it in self._inner.runtimes()):
            raise RequestRefused(f"{request.language}-{request.version} runtime is unknown")
        return self._inner.execute(request)


class WithoutVersionRanges(Passing):
    """Takes whole versions and ``*`` only."""

    def execute(self, request: ExecutionRequest) -> ExecutionResult:
        """Execute a request unless its version is a range."""
        versions = {"*", *(it.version for it in self._inner.runtimes())}
        if request.version not in versions:
            raise RequestRefused(f"{request.language}-{request.version} runtime is unknown")
        return self._inner.execute(request)


class WithoutPython(Passing):
    """Does not list Python, although it executes it."""

    def runtimes(self) -> Sequence[Runtime]:
        """Return all runtimes but Python's."""
        return [it for it in self._inner.runtimes() if it.language != "python"]


def unknown_runtime_gets(
    handle: Callable[[Executor, ExecutionRequest, RequestRefused], ExecutionResult],
    *,
    language_known: bool,
) -> Spoiler:
    """Do something else with requests of an unknown language, or an unknown version."""

    class Accepting(Passing):
        def execute(self, request: ExecutionRequest) -> ExecutionResult:
            try:
                return self._inner.execute(request)
            except RequestRefused as refusal:
                if self._lists(request.language) != language_known:
                    raise
                return handle(self._inner, request, refusal)

    return Accepting


def changed_body(change: Callable[[Any], Any]) -> Middleware:
    """Change the JSON of every request to ``execute`` before anything looks at it."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is(request, EXECUTE):
            with contextlib.suppress(ValueError, web.HTTPRequestEntityTooLarge):
                changed = json.dumps(change(json.loads(await request.read())))
                # What read() returns from then on; there is no public way to say so.
                request._read_bytes = changed.encode()
        return await handler(request)

    return middleware


def changed_answer(change: Callable[[dict[str, Any]], Any]) -> Middleware:
    """Change the JSON of every answer 200 to ``execute``."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not _is(request, EXECUTE) or response.status != 200:
            return response
        return with_json(response, change(_json_of(response)))

    return middleware


def changed_runtimes(change: Callable[[list[dict[str, Any]]], Any]) -> Middleware:
    """Change the JSON of ``runtimes``."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        return (
            with_json(response, change(_json_of(response))) if _is(request, RUNTIMES) else response
        )

    return middleware


def changed_refusal(
    words: str | None, change: Callable[[], web.Response], status: int = 400
) -> Middleware:
    """Answer something else where a request is refused.

    Args:
        words: What the message starts with after a field's name; ``None`` is an empty answer.
        change: Makes the other answer.
        status: Status of the refusal.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not _is(request, EXECUTE) or response.status != status:
            return response
        message = _json_of(response).get("message")
        refused = message is None if words is None else words in (message or "")
        return change() if refused else response

    return middleware


def nothing_ran() -> web.Response:
    """Return the answer of a success without any output."""
    stage = {"stdout": "", "stderr": "", "output": "", "code": 0, "signal": None}
    return web.json_response({"language": "python", "version": "3.11.2", "run": stage})


def crashed() -> web.Response:
    """Return Piston's answer to its own failures: 500 without a body."""
    return web.Response(status=500)


def broken_after_refusal(requests: int) -> Middleware:
    """Fail on the requests that follow one that was refused."""
    left = 0

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal left
        if left and _is(request, EXECUTE):
            left -= 1
            return web.json_response({"message": "worker is gone"}, status=500)
        response = await handler(request)
        if 400 <= response.status < 500 and _is(request, EXECUTE):
            left = requests
        return response

    return middleware


def answering(
    answer: Callable[[web.Request], web.Response],
    when: Callable[[web.Request], bool] = lambda _: True,
) -> Middleware:
    """Answer certain requests, by default all, in one way."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not when(request):
            return await handler(request)
        await request.read()
        return answer(request)

    return middleware


def page(title: str, status: int) -> web.Response:
    """Return an HTML page as proxies and login services make them."""
    head = f"<head><title>{title}</title></head>"
    text = f"<!DOCTYPE html>\n<html>{head}<body><h1>{title}</h1></body></html>\n"
    return web.Response(text=text, status=status, content_type="text/html")


@web.middleware
async def cut_answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Cut the connection in the middle of every answer."""
    body = _body_of(await handler(request))
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


@web.middleware
async def silent(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer nothing for ten minutes."""
    await asyncio.sleep(600)
    return await handler(request)


@web.middleware
async def truncated_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer the first half of the JSON as if it were all."""
    body = _body_of(await handler(request))
    return web.Response(body=body[: len(body) // 2], content_type="application/json")


def _is(request: web.Request, route: str) -> bool:
    return request.path.rstrip("/") == route


def _body_of(response: web.StreamResponse) -> bytes:
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    return response.body


def _json_of(response: web.StreamResponse) -> Any:
    return json.loads(_body_of(response) or b"null")


def with_json(response: web.StreamResponse, document: Any) -> web.Response:
    """Return a response with another document and the same status and headers."""
    changed = web.json_response(document, status=response.status)
    for name, value in response.headers.items():
        if name.startswith("X-"):
            changed.headers[name] = value
    return changed
