"""The embedded backend: Piston v2 over HTTP in front of any Executor."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from codewitness.embedded.validation import LimitCeilings, parse_body, read_request
from codewitness.execution.model import (
    ExecutionRequest,
    ExecutionResult,
    Executor,
    FaultKind,
    PlatformFault,
    RequestRefused,
)
from codewitness.execution.piston import (
    PROVENANCE_HEADER,
    provenance_to_header,
    result_to_json,
)
from codewitness.execution.versions import highest_match, parse_version

Generation = Literal["a", "b"]

_log = logging.getLogger(__name__)
_ADDED_BY_GENERATION_B = ("status", "message", "memory", "cpu_time", "wall_time")


@dataclass(frozen=True)
class BackendConfig:
    """What a Piston server is configured with.

    Attributes:
        ceilings: Limits that a request may only lower.
        body_limit: Longest request body in bytes; 100 kB is the default of Piston's JSON parser.
        generation: ``b`` is Piston since September 2024; ``a`` is the one before, whose stages
            lack five fields and which has no CPU time limits.
        max_concurrent_jobs: How many programs run at once; further requests wait silently.
    """

    ceilings: LimitCeilings = field(default_factory=LimitCeilings)
    body_limit: int = 100 * 1024
    generation: Generation = "b"
    max_concurrent_jobs: int = 64


def create_app(
    executor: Executor,
    config: BackendConfig | None = None,
    *,
    middlewares: Sequence[Middleware] = (),
) -> web.Application:
    """Return an application that answers Piston v2 requests through an executor.

    The application closes the executor when it shuts down, which ends what still runs.

    Args:
        executor: Runs the programs; called from several threads at once.
        config: Defaults to Piston's own limits.
        middlewares: Further ones, around everything that the application does itself.
    """
    config = config or BackendConfig()
    backend = _Backend(executor, config)
    app = web.Application(
        middlewares=[*middlewares, _answer_in_json], client_max_size=config.body_limit
    )
    app.router.add_post("/api/v2/execute", backend.execute)
    app.router.add_post("/api/v2/execute/", backend.execute)
    app.router.add_get("/api/v2/runtimes", backend.runtimes)
    app.router.add_get("/api/v2/runtimes/", backend.runtimes)
    app.router.add_get("/", backend.greet)
    app.router.add_route("*", "/{path:.*}", backend.not_found)
    app.on_shutdown.append(backend.close)
    return app


class _Backend:
    def __init__(self, executor: Executor, config: BackendConfig) -> None:
        self._executor = executor
        self._config = config
        self._workers = ThreadPoolExecutor(config.max_concurrent_jobs, "job")

    async def execute(self, request: web.Request) -> web.Response:
        # Piston's parser leaves bodies of other types alone, so the type decides first.
        if not request.headers.get("Content-Type", "").startswith("application/json"):
            raise RequestRefused("requests must be of type application/json", 415)
        body = await self._read_body(request)
        # Not in the job's own thread: a bad request is refused however many jobs are waiting.
        job = await asyncio.to_thread(self._prepare, body)
        loop = asyncio.get_running_loop()
        # The caller's name, if there is one, goes along into the thread.
        run = contextvars.copy_context().run
        text, provenance = await loop.run_in_executor(self._workers, run, self._run, job)
        return _json_text(text, 200, {PROVENANCE_HEADER: provenance})

    async def _read_body(self, request: web.Request) -> bytes:
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            limit = self._config.body_limit
            raise RequestRefused(f"request body exceeds the limit of {limit} bytes") from None
        except (web.RequestPayloadError, ConnectionError) as error:
            raise RequestRefused("request body could not be read") from error

    def _prepare(self, body: bytes) -> ExecutionRequest:
        return read_request(
            parse_body(body),
            self._config.ceilings,
            cpu_time_limits=self._config.generation == "b",
            knows=self._knows,
        )

    def _knows(self, language: str, version: str) -> bool:
        listed = [it for it in self._executor.runtimes() if language in (it.language, *it.aliases)]
        return highest_match(version, [parse_version(it.version) for it in listed]) is not None

    def _run(self, job: ExecutionRequest) -> tuple[str, str]:
        result = self._executor.execute(job)
        return json.dumps(self._answer(result)), provenance_to_header(result.provenance)

    def _answer(self, result: ExecutionResult) -> dict[str, Any]:
        answer = result_to_json(result)
        if self._config.generation == "a":
            for stage in (answer["run"], answer.get("compile", {})):
                for key in _ADDED_BY_GENERATION_B:
                    stage.pop(key, None)
        return answer

    async def runtimes(self, _request: web.Request) -> web.Response:
        listed = await asyncio.to_thread(self._executor.runtimes)
        entries = []
        for runtime in listed:
            entry = asdict(runtime)
            if runtime.runtime is None:
                del entry["runtime"]
            entries.append(entry)
        return _json(entries)

    async def greet(self, _request: web.Request) -> web.Response:
        return _json({"message": "Piston v3.1.1"})

    async def not_found(self, _request: web.Request) -> web.Response:
        return _json({"message": "Not Found"}, 404)

    async def close(self, _app: web.Application) -> None:
        await asyncio.to_thread(self._executor.close)
        self._workers.shutdown(wait=False, cancel_futures=True)


@web.middleware
async def _answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into the body that the contract has for it."""
    try:
        return await handler(request)
    except RequestRefused as refusal:
        return _json({"message": refusal.message} if refusal.message else {}, refusal.status)
    except PlatformFault as fault:
        status = 503 if fault.kind is FaultKind.CAPACITY else 500
        return _json({"message": str(fault)}, status)
    except web.HTTPException:
        raise
    except Exception as error:
        _log.exception("%s %s failed", request.method, request.path)
        return _json({"message": f"internal error of the backend ({type(error).__name__})"}, 500)


def _json(document: Any, status: int = 200) -> web.Response:
    return _json_text(json.dumps(document), status)


def _json_text(text: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        text=text,
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )
