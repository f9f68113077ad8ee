"""A minimal backend: what a typed web framework in front of an executor makes of the API.

It answers the fields that the plan asks for and takes every shortcut that was seen in such
backends, so that the suite can be tried against one (contract, section 6).
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from codewitness.embedded.lax_sandbox import Laxity
from codewitness.execution.model import (
    ExecutionError,
    ExecutionRequest,
    Executor,
    Limits,
    SourceFile,
    Stage,
)
from codewitness.execution.piston import text_to_bytes

ISOLATION = Laxity(
    shared_folders=frozenset({"home", "job", "shm", "tmp"}),
    shared_network=True,
    completes_stdin=False,
)
"""What such a backend shares between programs: it starts them on its own host."""

RUNTIMES = [{"language": "python", "version": "3.11.x", "aliases": []}]

TIMEOUT = 5000.0
"""Milliseconds that every program gets, whatever a request says."""

OUTPUT_LIMIT = 16 * 1024 * 1024
"""Bytes of stdout and of stderr. Such backends have none; this one is not to fill the memory."""

_LONGEST_BODY = 64 * 1024 * 1024
_JOBS = 64

_MISSING = ("missing", "Field required")
_NO_TEXT = ("string_type", "Input should be a valid string")
_NO_LIST = ("list_type", "Input should be a valid list")
_NO_OBJECT = (
    "model_attributes_type",
    "Input should be a valid dictionary or object to extract fields from",
)


def create_minimal_app(executor: Executor) -> web.Application:
    """Return an application that answers as a minimal backend does.

    The application closes the executor when it shuts down, which ends what still runs.

    Args:
        executor: Runs the Python programs; isolated as :data:`ISOLATION` says, if the
            deviations are to be whole.
    """
    backend = _MinimalBackend(executor)
    app = web.Application(middlewares=[_answer_as_framework], client_max_size=_LONGEST_BODY)
    app.router.add_post("/api/v2/execute", backend.execute)
    app.router.add_get("/api/v2/runtimes", backend.runtimes, allow_head=False)
    for path in ("/api/v2/execute", "/api/v2/runtimes"):
        app.router.add_route("*", f"{path}/", _redirect_without_slash)
    app.on_shutdown.append(backend.close)
    return app


class _MinimalBackend:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._workers = ThreadPoolExecutor(_JOBS, "job")

    async def execute(self, request: web.Request) -> web.Response:
        body, problems = _parse(request.content_type, await request.read())
        problems = problems or _problems(body)
        if problems:
            return web.json_response({"detail": problems}, status=422)
        loop = asyncio.get_running_loop()
        run = await loop.run_in_executor(self._workers, self._run, body)
        return web.json_response(
            {"language": body["language"], "version": body["version"], "run": run}
        )

    def _run(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if body["language"] != "python":
            return _answer(stderr=f"Unsupported language: {body['language']}", code=1)
        if not body["files"]:
            return _answer()
        request = ExecutionRequest(
            language="python",
            files=(SourceFile(text_to_bytes(body["files"][0]["content"])),),
            stdin=text_to_bytes(body.get("stdin") or ""),
            limits=Limits(run_timeout=TIMEOUT, run_cpu_time=TIMEOUT),
        )
        try:
            return _stage(self._executor.execute(request).run)
        except ExecutionError as error:
            return _answer(stderr=f"Execution error: {error}", code=1)

    async def runtimes(self, _request: web.Request) -> web.Response:
        return web.json_response(RUNTIMES)

    async def close(self, _app: web.Application) -> None:
        await asyncio.to_thread(self._executor.close)
        self._workers.shutdown(wait=False, cancel_futures=True)


def _stage(stage: Stage) -> dict[str, Any]:
    if stage.status == "TO":
        return _answer(stderr="Execution timed out.", code=124)
    code = stage.code
    if code is None:
        code = -signal.Signals.__members__.get(stage.signal or "", signal.SIGABRT)
    try:
        return _answer(stage.stdout.decode(), stage.stderr.decode(), code)
    except UnicodeDecodeError as error:
        return _answer(stderr=str(error), code=1)


def _answer(stdout: str = "", stderr: str = "", code: int = 0) -> dict[str, Any]:
    return {"stdout": stdout, "stderr": stderr, "code": code}


def _parse(content_type: str, body: bytes) -> tuple[Any, list[dict[str, Any]]]:
    """Return the parsed body and what the framework has against it."""
    if not body:
        return None, [_problem(_MISSING, None)]
    if content_type != "application/json":
        return None, [_problem(_NO_OBJECT, body.decode("utf-8", "replace"))]
    try:
        # Not a JSON value, and nothing that could be echoed as JSON.
        return json.loads(body, parse_constant=str), []
    except (ValueError, RecursionError) as error:
        place = error.pos if isinstance(error, json.JSONDecodeError) else 0
        problem = _problem(("json_invalid", "JSON decode error"), {}, place)
        return None, [problem | {"ctx": {"error": getattr(error, "msg", str(error))}}]


def _problems(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, Mapping):
        return [_problem(_NO_OBJECT, body)]
    found = [_text_problem(body, name) for name in ("language", "version")]
    files = body.get("files")
    if "files" not in body:
        found.append(_problem(_MISSING, body, "files"))
    elif not isinstance(files, list):
        found.append(_problem(_NO_LIST, files, "files"))
    else:
        found += [
            _text_problem(entry, "content", "files", index)
            if isinstance(entry, Mapping)
            else _problem(_NO_OBJECT, entry, "files", index)
            for index, entry in enumerate(files)
        ]
    if body.get("stdin") is not None:
        found.append(_text_problem(body, "stdin"))
    return [problem for problem in found if problem is not None]


def _text_problem(source: Mapping[str, Any], name: str, *place: str | int) -> dict[str, Any] | None:
    if name not in source:
        return _problem(_MISSING, source, *place, name)
    value = source[name]
    return None if isinstance(value, str) else _problem(_NO_TEXT, value, *place, name)


def _problem(kind: tuple[str, str], value: Any, *place: str | int) -> dict[str, Any]:
    return {"type": kind[0], "loc": ["body", *place], "msg": kind[1], "input": value}


async def _redirect_without_slash(request: web.Request) -> web.Response:
    location = request.url.with_path(request.path.rstrip("/"), keep_query=True)
    return web.Response(status=307, headers={"Location": str(location)})


@web.middleware
async def _answer_as_framework(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        headers = {"Allow": ", ".join(sorted(error.allowed_methods))}
        return web.json_response({"detail": "Method Not Allowed"}, status=405, headers=headers)
    except web.HTTPNotFound:
        return web.json_response({"detail": "Not Found"}, status=404)
