"""Backends, adapters and containers with the mistakes that were met in the field.

Each is a copy of the mechanism, not of its symptom: an adapter runs programs and names the fields
of its answer in its own way, a backend asks it over HTTP and reads what it knows. What none of
these gets wrong, it does as a healthy service does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from codewitness.execution.model import (
    ExecutionRequest,
    Executor,
    Limits,
    RequestRefused,
    SourceFile,
)
from codewitness.execution.piston import result_to_json, text_to_bytes
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.contract import API_VERSIONS, EXECUTION_LIMIT
from codewitness.session_pool.credentials import SCOPE

EXECUTE = "/api/v2/execute"

ADDRESS_SPACE = 256 << 20
"""Bytes of address space of programs where the limit is too small for a virtual machine."""

WORKERS = 4
"""Worker processes of the server whose rate limiter counts per worker."""

PER_MINUTE = 1
"""What its limiter says that it lets through."""

REPLICAS = 2
"""Replicas, one request each, of the service that does not scale."""

_NEVER_INSTALLED = "3.9.0"
_PINNED_LANGUAGE = "python"
_EVERYONE = "everyone"
_PATIENT = 20_000.0

_Run = Mapping[str, Any]
_Behind = Callable[[web.Request, Mapping[str, Any]], Awaitable["Told"]]


@dataclass(frozen=True)
class Told:
    """What a service behind a backend answered.

    Attributes:
        status: HTTP status.
        text: Body.
    """

    status: int
    text: str

    @property
    def document(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.text)


class Programs:
    """Runs the programs of all broken services through one executor.

    Args:
        executor: Called from several threads at once; not closed by this.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def run(self, body: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """Run what a request of the execute API asks for.

        Args:
            body: The request's document, taken to be well-formed.
            changes: Attributes of the request to replace.

        Returns:
            The document that answers it.

        Raises:
            ExecutionError: There is no result.
        """
        request = ExecutionRequest(
            body["language"],
            tuple(SourceFile(text_to_bytes(it["content"]), it.get("name")) for it in body["files"]),
            version=body.get("version") or "*",
            stdin=text_to_bytes(body.get("stdin") or ""),
            args=tuple(map(str, body.get("args") or ())),
        )
        result = await asyncio.to_thread(self._executor.execute, replace(request, **changes))
        return result_to_json(result)


class Caller:
    """The HTTP client that all broken backends share."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Be there for as long as an application."""
        async with aiohttp.ClientSession() as self._session:
            yield

    async def post(self, url: str, document: Any) -> Told:
        """Send JSON and return the answer."""
        assert self._session is not None
        async with self._session.post(url, json=document) as answer:
            return Told(answer.status, await answer.text())

    def container(self, path: str = "execute") -> _Behind:
        """Return what asks the container that a backend brings along, at one path."""

        async def ask(request: web.Request, body: Mapping[str, Any]) -> Told:
            front = request.path.removesuffix(EXECUTE)
            language = quote(str(body["language"]), safe="+")
            route = path.format(language=language)
            return await self.post(f"{request.url.origin()}{front}/container/{route}", body)

        return ask


def _as_run(document: Any) -> _Run:
    run: _Run = document["run"]
    return run


def field_backend(
    behind: _Behind, *, read: Callable[[Any], _Run] = _as_run, says: str = "Piston API error:"
) -> web.Application:
    """Return a backend that turns whatever goes wrong behind it into a program's result (X1).

    Args:
        behind: Asks for an execution.
        read: Finds the run in the answer.
        says: How the text begins in which it tells of an error.
    """

    async def execute(request: web.Request) -> web.Response:
        body = await request.json()
        try:
            told = await behind(request, body)
        except (aiohttp.ClientError, _NoAnswer) as error:
            return _result(body, {"stdout": "", "stderr": f"{error}", "code": 1})
        if told.status != 200:
            stderr = f"{says} {told.status} - {told.text}"
            return _result(body, {"stdout": "", "stderr": stderr, "code": 1})
        return _result(body, read(told.document))

    return _api(execute)


class _NoAnswer(Exception):
    """Nobody could be asked; the text is what the backend tells instead of a result."""


def _api(execute: Handler) -> web.Application:
    app = web.Application(middlewares=[_refusals])
    app.router.add_post(EXECUTE, execute)
    return app


def _result(body: Mapping[str, Any], run: _Run) -> web.Response:
    return web.json_response(
        {"language": body["language"], "version": body.get("version", "*"), "run": dict(run)}
    )


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RequestRefused as refused:
        return web.json_response({"message": refused.message}, status=refused.status)
    except web.HTTPNotFound:
        return web.json_response({"message": "Not Found"}, status=404)


def _with_container(
    backend: web.Application, handler: Handler, path: str = "/execute"
) -> web.Application:
    backend.router.add_post(f"/container{path}", handler)
    return backend


# False success and wrong verdict.


def fields_named_differently(programs: Programs, caller: Caller) -> web.Application:
    """X2: the adapter answers properties, the backend reads run and takes defaults."""

    async def adapter(request: web.Request) -> web.Response:
        run = (await programs.run(await request.json()))["run"]
        properties = {"stdout": run["stdout"], "stderr": run["stderr"], "exitCode": run["code"]}
        return web.json_response({"properties": properties})

    def read(document: Any) -> _Run:
        run = document.get("run", {})
        return {
            "stdout": run.get("stdout", ""),
            "stderr": run.get("stderr", ""),
            "code": run.get("code", 0),
        }

    return _with_container(field_backend(caller.container(), read=read), adapter)


def zero_taken_for_missing(programs: Programs, caller: Caller) -> web.Application:
    """X3: the adapter writes exitCode: run.code || 1."""

    async def adapter(request: web.Request) -> web.Response:
        run = (await programs.run(await request.json()))["run"]
        return web.json_response({**run, "exitCode": run["code"] or 1})

    def read(document: Any) -> _Run:
        return {
            "stdout": document["stdout"],
            "stderr": document["stderr"],
            "code": document["exitCode"],
        }

    return _with_container(field_backend(caller.container(), read=read), adapter)


def placeholder(caller: Caller, text: str) -> web.Application:
    """X5: the image deployed answers the same text to everything."""

    async def container(request: web.Request) -> web.Response:
        language = (await request.json())["language"]
        run = {"stdout": text.format(language=language), "stderr": "", "code": 0}
        return web.json_response({"run": run})

    return _with_container(field_backend(caller.container()), container)


def always_python(programs: Programs, caller: Caller) -> web.Application:
    """X8: the backend calls the Python route, whatever the language."""

    async def container(request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response(await programs.run(body, language=request.match_info["language"]))

    backend = field_backend(caller.container(f"{_PINNED_LANGUAGE}/execute"))
    return _with_container(backend, container, r"/{language:\w+}/execute")


def route_without_plus(programs: Programs, caller: Caller) -> web.Application:
    r"""R3: the container's route takes \w+ for a language, which c++ is not."""

    async def container(request: web.Request) -> web.Response:
        return web.json_response(await programs.run(await request.json()))

    backend = field_backend(caller.container("{language}/execute"))
    return _with_container(backend, container, r"/{language:\w+}/execute")


def pinned_version(programs: Programs, caller: Caller) -> web.Application:
    """X9: the adapter asks the executor for one exact version, which it does not have."""

    async def adapter(request: web.Request) -> web.Response:
        try:
            answer = await programs.run(await request.json(), version=_NEVER_INSTALLED)
        except RequestRefused as refused:
            return web.json_response({"error": refused.message}, status=500)
        return web.json_response(answer)

    return _with_container(field_backend(caller.container()), adapter)


def other_contract(caller: Caller) -> web.Application:
    """X14: the executor behind wants test cases where the backend sends stdin."""

    async def executor(request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return web.Response(status=500)
        if "test_cases" not in await request.json():
            return web.json_response({"error": "No test cases provided"}, status=400)
        return web.json_response({"results": []})

    return _with_container(field_backend(caller.container()), executor)


def small_address_space(programs: Programs) -> web.Application:
    """X12: address space is limited to what suffices for Python and C++ alone."""
    return _shell_in_front(programs, f"ulimit -v {ADDRESS_SPACE >> 10}")


def java_in_main(programs: Programs) -> web.Application:
    """X13: whatever its class is called, a Java program is compiled as Main.java."""
    return _shell_in_front(programs, "set -e")


_COMMANDS = {
    "javascript": ("program.js", "exec node program.js"),
    "java": ("Main.java", "javac Main.java && exec java -cp . Main"),
}


def _shell_in_front(programs: Programs, first: str) -> web.Application:
    """Return a backend that starts programs of some languages from a shell script."""

    async def execute(request: web.Request) -> web.Response:
        body = await request.json()
        if body["language"] not in _COMMANDS:
            return web.json_response(await programs.run(body))
        name, command = _COMMANDS[body["language"]]
        files = (
            SourceFile(f"{first}\n{command}\n".encode(), "run.sh"),
            SourceFile(text_to_bytes(body["files"][0]["content"]), name),
        )
        # A compiler and two virtual machines take their time on a small machine.
        limits = Limits(run_timeout=_PATIENT, run_cpu_time=_PATIENT)
        answer = await programs.run(body, language="bash", version="*", files=files, limits=limits)
        return _result(body, answer["run"])

    return _api(execute)


def pool_shared_by_all(caller: Caller, pool: str) -> web.Application:
    """X7: the backend has one identifier for everybody, in a pool of interpreters."""
    return field_backend(
        _interpreter(caller, pool, lambda: _EVERYONE),
        read=_read_interpreter,
        says="Azure Session Pool Error:",
    )


def interpreter_out_of_time(caller: Caller, pool: str, control: str) -> web.Application:
    """C11: the program takes longer than the interpreter may; its time passes quickly here."""
    ask = _interpreter(caller, pool, lambda: f"caller-{uuid.uuid4()}")

    async def behind(request: web.Request, body: Mapping[str, Any]) -> Told:
        asking = asyncio.ensure_future(ask(request, body))
        while not (await asyncio.wait([asking], timeout=0.3))[0]:
            await caller.post(f"{control}/clock", {"move": EXECUTION_LIMIT})
        return await asking

    return field_backend(behind, read=_read_interpreter, says="Azure Session Pool Error:")


def _interpreter(caller: Caller, pool: str, identifier: Callable[[], str]) -> _Behind:
    async def ask(_request: web.Request, body: Mapping[str, Any]) -> Told:
        query = f"api-version={API_VERSIONS[-1]}&identifier={identifier()}"
        code = body["files"][0]["content"]
        execution = {"codeInputType": "Inline", "executionType": "Synchronous", "code": code}
        return await caller.post(f"{pool}/executions?{query}", execution)

    return ask


def _read_interpreter(document: Any) -> _Run:
    result = document["result"]
    code = 0 if document["status"] == "Succeeded" else 1
    return {"stdout": result["stdout"], "stderr": result["stderr"], "code": code}


# Platform errors as results.


def unconfigured() -> web.Application:
    """X1: the backend has no address of a pool."""

    async def behind(_request: web.Request, _body: Mapping[str, Any]) -> Told:
        raise _NoAnswer("ERROR: POOL_MANAGEMENT_ENDPOINT not configured in environment")

    return field_backend(behind)


def pool_errors_as_results(caller: Caller, pool: str) -> web.Application:
    """X1, C1: the backend asks a pool without a token, with a random identifier per call."""

    async def behind(_request: web.Request, body: Mapping[str, Any]) -> Told:
        return await caller.post(f"{pool}{EXECUTE}?identifier={uuid.uuid4()}", body)

    return field_backend(behind, says="Azure Session Pool Error:")


def incomplete_credential() -> web.Application:
    """I7: the backend's environment lacks a variable of the credential that it names."""
    fetch = token_source_of(
        {
            "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
            "AZURE_TENANT_ID": str(uuid.uuid4()),
            "AZURE_CLIENT_ID": str(uuid.uuid4()),
        }
    )

    async def behind(_request: web.Request, _body: Mapping[str, Any]) -> Told:
        try:
            await asyncio.to_thread(fetch, SCOPE)
        except Exception as error:
            raise _NoAnswer(f"ERROR: Azure authentication failed: {error}") from error
        return Told(401, "")

    return field_backend(behind)


# Requests that are not let through.


def rate_limiter_per_worker(programs: Programs) -> web.Application:
    """C5: the limiter's store is each worker's own memory; it answers HTML."""
    turns = itertools.cycle(range(WORKERS))
    seen: dict[int, list[float]] = defaultdict(list)
    page = (
        "<!doctype html>\n<html lang=en>\n<title>429 Too Many Requests</title>\n"
        f"<h1>Too Many Requests</h1>\n<p>{PER_MINUTE} per 1 minute</p>\n"
    )

    async def execute(request: web.Request) -> web.Response:
        now, worker = time.monotonic(), next(turns)
        recent = [moment for moment in seen[worker] if now - moment < 60]
        seen[worker] = [*recent, now]
        if len(recent) >= PER_MINUTE:
            return web.Response(status=429, text=page, content_type="text/html")
        return web.json_response(await programs.run(await request.json()))

    return _api(execute)


class _UnderWay:
    """Counts the requests that are under way."""

    def __init__(self) -> None:
        self._count = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[int]:
        """Be one more; yields how many there are then."""
        self._count += 1
        try:
            yield self._count
        finally:
            self._count -= 1


def too_few_replicas(programs: Programs) -> web.Application:
    """C6: what the replicas can't take is refused."""
    under_way = _UnderWay()

    async def execute(request: web.Request) -> web.Response:
        body = await request.json()
        with under_way.one() as number:
            if number > REPLICAS:
                return web.Response(status=503, text="no healthy upstream")
            return web.json_response(await programs.run(body))

    return _api(execute)


def development_server(programs: Programs) -> web.Application:
    """C9: a third request at the same time never gets an answer."""
    under_way = _UnderWay()

    async def execute(request: web.Request) -> web.Response:
        body = await request.json()
        with under_way.one() as number:
            if number > REPLICAS:
                # Until the caller goes away.
                await asyncio.Event().wait()
            return web.json_response(await programs.run(body))

    return _api(execute)


def failing_allocator(programs: Programs) -> web.Application:
    """C10: every third allocation fails."""
    numbers = itertools.count(1)

    async def execute(request: web.Request) -> web.Response:
        if next(numbers) % 3 == 0:
            identifier = request.query.get("identifier", uuid.uuid4())
            text = f"Error happened when allocating pod for identifier {identifier} in pool pool"
            return web.Response(status=500, text=text)
        return web.json_response(await programs.run(await request.json()))

    return _api(execute)


def container_without_api_version(programs: Programs) -> web.Application:
    """R6: the container takes no parameter that it does not know, api-version for one."""

    async def execute(request: web.Request) -> web.Response:
        unknown = sorted(request.query.keys() - {"identifier"})
        if unknown:
            message = f"unknown query parameter: {', '.join(unknown)}"
            return web.json_response({"message": message}, status=400)
        return web.json_response(await programs.run(await request.json()))

    return _api(execute)


class Shared:
    """An executor that its users can't close.

    Args:
        executor: Belongs to somebody else.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.execute = executor.execute
        self.runtimes = executor.runtimes

    def close(self) -> None:
        """Nothing is closed."""
