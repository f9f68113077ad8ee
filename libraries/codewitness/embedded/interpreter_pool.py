"""A built-in session pool: Azure's operations in front of Python interpreters, or of shells.

Two generations of the operations exist side by side, told apart by the API version of a call.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from codewitness.embedded.clock import Clock
from codewitness.embedded.gateway import GatewayConfig, guard, to_response
from codewitness.embedded.interpreter_files import (
    file_path,
    flat_file,
    folder_path,
    wrapped_file,
)
from codewitness.embedded.interpreter_session import Code, StoredFile, shell_command
from codewitness.embedded.interpreters import Call, Interpreter
from codewitness.embedded.running_pool import Lease, NoSession, RunningPool
from codewitness.execution.model import PlatformFault
from codewitness.session_pool import contract
from codewitness.session_pool.contract import Kind, Refused, Reply

T = TypeVar("T")

POOL_PATH = "/subscriptions/{subscription}/resourceGroups/{group}/sessionPools/{pool}"
"""Where the path of every operation begins."""

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
"""Subscription of the embedded pool."""

RESOURCE_GROUP = "embedded"
"""Resource group of the embedded pool."""

LEGACY_PATH = "python/execute"
"""Path of the operation before both generations: never answered with a helpful 404 (L)."""

_ALL = contract.API_VERSIONS
_A, _B = contract.GENERATION_A, contract.GENERATION_B
_SINCE_2025_02, _SINCE_2025_10 = _B[1:], _B[2:]
# Characters of stdout and of stderr that an answer holds since 2025-10.
_OUTPUT = 4096
_SHELL = ("shellCommand", "execCommandAndArgs")
_LONGEST_BODY = contract.LONGEST_UPLOAD + (1 << 20)


def pool_path(pool: str) -> str:
    """Return where the path of every operation of the embedded pool begins."""
    return POOL_PATH.format(subscription=SUBSCRIPTION, group=RESOURCE_GROUP, pool=pool)


@dataclass(frozen=True)
class _Asked:
    """A request for an operation.

    Attributes:
        request: The request.
        version: Its API version.
        name: Variable part of its path; empty where there is none.
    """

    request: web.Request
    version: str
    name: str

    @property
    def is_flat(self) -> bool:
        """Whether it is of generation B."""
        return self.version in _B


Answer = Reply | web.Response
Handler = Callable[["_InterpreterPool", _Asked], Awaitable[Answer]]


@dataclass(frozen=True)
class _Operation:
    method: str
    path: re.Pattern[str]
    versions: Collection[str]
    handler: Handler


@dataclass(frozen=True)
class _Job:
    """Code to run.

    Attributes:
        code: Python source, or a command.
        limit: Seconds that it may run.
        is_asynchronous: Whether the caller does not wait for the end.
        output: Characters of stdout and of stderr that the caller wants; ``None`` for all.
    """

    code: Code
    limit: float
    is_asynchronous: bool
    output: int | None


def create_interpreter_app(
    pool: RunningPool[Interpreter],
    clock: Clock,
    gateway: GatewayConfig | None = None,
    *,
    is_shell: bool = False,
) -> web.Application:
    """Return the data plane of a built-in pool.

    The application starts the pool and closes it when it shuts down.

    Args:
        pool: Gives out interpreters.
        clock: The pool's clock.
        gateway: How the gateway behaves; lets everybody in by default.
        is_shell: Whether it runs commands of a shell, and not Python.
    """
    served = _InterpreterPool(pool, clock, gateway or GatewayConfig(), is_shell)
    app = web.Application(
        middlewares=[guard(served.gateway.authority)], client_max_size=_LONGEST_BODY
    )
    path = POOL_PATH + "/{operation:.*}"
    app.router.add_route("*", path, served.answer, expect_handler=_invite_body)
    app.on_startup.append(served.open)
    app.on_shutdown.append(served.close)
    return app


class _InterpreterPool:
    def __init__(
        self,
        pool: RunningPool[Interpreter],
        clock: Clock,
        gateway: GatewayConfig,
        is_shell: bool,
    ) -> None:
        self.gateway = gateway
        self._is_shell = is_shell
        self._pool = pool
        self._clock = clock
        self._background: set[asyncio.Task[None]] = set()

    async def open(self, _app: web.Application) -> None:
        self._pool.open()

    async def close(self, _app: web.Application) -> None:
        await self._pool.close()
        await asyncio.gather(*self._background)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["pool"] != self.gateway.name:
            raise contract.not_found("The session pool")
        if _is_too_long(request):
            raise Refused(Reply(413))
        path = request.match_info["operation"].rstrip("/")
        if path == LEGACY_PATH:
            raise Refused(Reply(403))
        version = contract.check_api_version(request.query.get("api-version"))
        handler, name = _find_operation(request.method, path, version)
        try:
            answer = await handler(self, _Asked(request, version, name))
        except PlatformFault:
            # The session ended under the request.
            raise contract.not_listening() from None
        return to_response(answer) if isinstance(answer, Reply) else answer

    @contextlib.asynccontextmanager
    async def _lease(self, request: web.Request) -> AsyncIterator[Lease[Interpreter]]:
        identifier = self._identifier(request)
        try:
            async with self._pool.lease(identifier) as lease:
                yield lease
        except NoSession as error:
            raise self.gateway.no_session(
                error.reason, identifier, self._pool.rules.maximum
            ) from None

    def _identifier(self, request: web.Request) -> str:
        return contract.check_identifier(request.query.get("identifier"), self.gateway.identifiers)

    async def execute(self, asked: _Asked) -> Answer:
        identifier = self._identifier(asked.request)
        job = _read_job(await _read_json(asked.request), asked, is_shell=self._is_shell)
        number = asked.request.headers.get("operation-id") or str(uuid.uuid4())
        if job.is_asynchronous:
            return await self._begin(asked, job, number, identifier)
        async with self._lease(asked.request) as lease:
            began = time.perf_counter()
            call = await lease.session.call(job.code, self._clock, job.limit)
            elapsed = time.perf_counter() - began
            headers = {} if self._is_shell else _timings(lease, call, elapsed)
            if not asked.is_flat:
                return contract.document(_wrapped_execution(call, identifier), headers=headers)
            told = _flat_execution(call, job, number, identifier)
            lease.session.executions[number] = told
            return contract.document(told, headers={**headers, "operation-id": number})

    async def _begin(self, asked: _Asked, job: _Job, number: str, identifier: str) -> Answer:
        """Start an execution that its caller comes back for."""
        told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            try:
                async with self._lease(asked.request) as lease:
                    told.set_result(_running(job, number, identifier))
                    lease.session.executions[number] = told.result()
                    call = await lease.session.call(job.code, self._clock, job.limit)
                    done = _flat_execution(call, job, number, identifier)
                    lease.session.executions[number] = done
            except Exception as error:
                # Nobody waits any more once the caller has been told.
                if not told.done():
                    told.set_exception(error)

        task = asyncio.create_task(run())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        url = asked.request.url
        location = str(url.with_path(f"{url.path.rstrip('/')}/{number}", keep_query=True))
        headers = {"operation-id": number, "Operation-Location": location}
        return contract.document(await told, 202, headers)

    async def execution(self, asked: _Asked) -> Answer:
        async with self._lease(asked.request) as lease:
            told = lease.session.executions.get(asked.name)
        if told is None:
            # The name is a guess (1).
            raise contract.error(
                "ExecutionNotFound", f"The execution '{asked.name}' was not found.", status=404
            )
        return contract.document(told, headers={"operation-id": asked.name})

    async def upload(self, asked: _Asked) -> Answer:
        folder = folder_path(asked.request.query.get("path"))
        self._identifier(asked.request)
        uploaded = [
            (file_path(name, folder), content)
            for name, content in await _read_upload(asked.request)
        ]
        async with self._lease(asked.request) as lease:
            session = lease.session.session
            files = [await _with_files(session.write_file, *it) for it in uploaded]
        if asked.is_flat:
            return contract.document(flat_file(files[0]))
        return contract.document({"value": [wrapped_file(file) for file in files]})

    async def list_files(self, asked: _Asked) -> Answer:
        folder = folder_path(asked.request.query.get("path"))
        recursive = asked.version in _SINCE_2025_10 and _is_set(asked.request, "recursive")
        found: list[StoredFile] = []
        async with self._lease(asked.request) as lease:
            pending = [folder]
            while pending:
                listed = await _with_files(lease.session.session.list_files, pending.pop())
                found += listed
                if recursive:
                    pending += [file.path for file in listed if file.is_folder]
        if asked.is_flat:
            shown = [flat_file(file) for file in found]
            return contract.document({"value": shown, "nextLink": None})
        return contract.document({"value": [wrapped_file(it) for it in found if not it.is_folder]})

    async def download(self, asked: _Asked) -> Answer:
        path = file_path(asked.name, folder_path(asked.request.query.get("path")))
        async with self._lease(asked.request) as lease:
            content = await _with_files(lease.session.session.read_file, path)
        return web.Response(body=content, content_type="application/octet-stream")

    async def file(self, asked: _Asked) -> Answer:
        path = file_path(asked.name, folder_path(asked.request.query.get("path")))
        async with self._lease(asked.request) as lease:
            file = await _with_files(lease.session.session.find_file, path)
        return contract.document(flat_file(file) if asked.is_flat else wrapped_file(file))

    async def delete_file(self, asked: _Asked) -> Answer:
        path = file_path(asked.name, folder_path(asked.request.query.get("path")))
        async with self._lease(asked.request) as lease:
            await _with_files(lease.session.session.delete_file, path)
        if asked.is_flat:
            return Reply(204)
        return contract.document({"message": f"File '{asked.name}' deleted."})

    async def session(self, asked: _Asked) -> Answer:
        identifier = self._identifier(asked.request)
        session = self._pool.find(identifier)
        if session is None:
            raise contract.no_such_session(identifier, self.gateway.name)
        kind: Kind = "python" if asked.is_flat else "custom-container"
        return contract.document(contract.session_document(session, kind))

    async def delete_session(self, asked: _Asked) -> Answer:
        await self.stop_session(asked)
        return Reply(204)

    async def stop_session(self, asked: _Asked) -> Answer:
        identifier = self._identifier(asked.request)
        if not self._pool.stop(identifier):
            raise contract.no_such_session(identifier, self.gateway.name)
        return contract.session_stopped(identifier, self.gateway.name)

    async def list_sessions(self, asked: _Asked) -> Answer:
        skip = contract.check_skip(asked.request.query.get("skip"))
        link = str(asked.request.url.update_query(skip=skip + contract.PAGE))
        # The older operation answers as that of a custom pool does.
        kind: Kind = "python" if asked.is_flat else "custom-container"
        page = contract.session_page(self._pool.sessions(), skip, kind, link)
        return contract.document(page)


def _operation(method: str, path: str, versions: Collection[str], handler: Handler) -> _Operation:
    return _Operation(method, re.compile(path), versions, handler)


_OPERATIONS = (
    _operation("POST", "code/execute", _A, _InterpreterPool.execute),
    _operation("POST", "files/upload", _A, _InterpreterPool.upload),
    _operation("GET", "files/content/(.+)", _A, _InterpreterPool.download),
    _operation("POST", r"\.management/getSession", _A, _InterpreterPool.session),
    _operation("POST", r"\.management/listSessions", _A, _InterpreterPool.list_sessions),
    _operation("POST", "executions", _B, _InterpreterPool.execute),
    _operation("GET", "executions/([^/]+)", _B, _InterpreterPool.execution),
    _operation("POST", "files", _B, _InterpreterPool.upload),
    _operation("GET", "files/(.+)/content", _B, _InterpreterPool.download),
    _operation("GET", "files", _ALL, _InterpreterPool.list_files),
    _operation("GET", "files/(.+)", _ALL, _InterpreterPool.file),
    _operation("DELETE", "files/(.+)", _ALL, _InterpreterPool.delete_file),
    _operation("GET", "session", _SINCE_2025_02, _InterpreterPool.session),
    _operation("DELETE", "session", _SINCE_2025_02, _InterpreterPool.delete_session),
    _operation("GET", "listSessions", _SINCE_2025_02, _InterpreterPool.list_sessions),
    # What it tells is not known (?).
    _operation("GET", "metadata", _SINCE_2025_02, _InterpreterPool.session),
    # S; one source says that it does not work on built-in pools.
    _operation("POST", r"\.management/stopSession", _SINCE_2025_10, _InterpreterPool.stop_session),
)


def _find_operation(method: str, path: str, version: str) -> tuple[Handler, str]:
    found = [(it, match) for it in _OPERATIONS if (match := it.path.fullmatch(path))]
    of_version = [(it, match) for it, match in found if version in it.versions]
    if not of_version:
        raise contract.not_supported(path)
    for operation, match in of_version:
        if operation.method == method:
            return operation.handler, match[1] if match.lastindex else ""
    raise contract.invalid("method", f"The method '{method}' is not allowed.")


async def _read_json(request: web.Request) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise contract.invalid("body", "The request body is not valid JSON.") from None
    except web.HTTPRequestEntityTooLarge:
        raise Refused(Reply(413)) from None
    if not isinstance(body, Mapping):
        raise contract.invalid("body", "The request body must be a JSON object.")
    return body


def _read_job(body: Mapping[str, Any], asked: _Asked, *, is_shell: bool) -> _Job:
    wrapped = body.get("properties")
    if asked.version not in _SINCE_2025_02 and (
        _is_command(body) or (isinstance(wrapped, Mapping) and _is_command(wrapped))
    ):
        raise contract.no_shell(asked.version)
    if asked.is_flat:
        if wrapped is not None:
            raise contract.wrong_shape("The properties of the session must not be wrapped.")
        properties = body
    elif isinstance(wrapped, Mapping):
        properties = wrapped
    else:
        raise contract.wrong_shape("The required property 'properties' is missing.")
    if _is_command(properties) != is_shell:
        kind = "shell" if is_shell else "code interpreter"
        raise contract.wrong_shape(f"The properties are not those of a {kind} session pool.")
    code = _command(properties) if is_shell else _code(properties)
    execution = _choice(properties, "executionType", {"synchronous", "asynchronous"}, "synchronous")
    output = None
    if asked.version in _SINCE_2025_10:
        output = int(_positive(properties, "outputStreamsMaxLength", _OUTPUT))
    limit = _positive(properties, "timeoutInSeconds", contract.EXECUTION_LIMIT)
    return _Job(
        code,
        min(limit, contract.EXECUTION_LIMIT),
        asked.is_flat and execution == "asynchronous",
        output,
    )


def _is_command(properties: Mapping[str, Any]) -> bool:
    return any(properties.get(name) is not None for name in _SHELL)


def _code(properties: Mapping[str, Any]) -> str:
    code = properties.get("code")
    if not isinstance(code, str):
        raise contract.invalid("code", "The required property 'code' is missing.")
    inputs = {"inline", "inlinebase64", "inlinetext"}
    encoding = _choice(properties, "codeInputType", inputs, "inline")
    return _decoded(code) if encoding == "inlinebase64" else code


def _command(properties: Mapping[str, Any]) -> Code:
    # That both are not allowed is specified; how it is refused is not (?).
    command, arguments = (properties.get(name) for name in _SHELL)
    if command is not None and arguments is not None:
        raise contract.invalid(
            "shellCommand", "Only one of 'shellCommand' and 'execCommandAndArgs' is allowed."
        )
    if arguments is None:
        _check_text(command, "shellCommand")
    elif not isinstance(arguments, list) or not arguments or not arguments[0]:
        raise contract.invalid(
            "execCommandAndArgs", "The property 'execCommandAndArgs' is not valid."
        )
    for argument in arguments or ():
        _check_text(argument, "execCommandAndArgs")
    stdin = properties.get("stdin") or ""
    _check_text(stdin, "stdin")
    return shell_command(command, arguments, stdin)


def _check_text(value: Any, name: str) -> None:
    """Refuse what can't be handed to a process."""
    usable = isinstance(value, str) and (name == "stdin" or "\0" not in value)
    try:
        if usable:
            value.encode()
            return
    except UnicodeEncodeError:
        pass
    raise contract.invalid(name, f"The property '{name}' is not valid.")


def _choice(
    properties: Mapping[str, Any], name: str, allowed: Collection[str], default: str
) -> str:
    # Clients send lower case where the specification has Pascal case (C).
    value = properties.get(name, default)
    if not isinstance(value, str) or value.lower() not in allowed:
        raise contract.invalid(name, f"The property '{name}' is not valid.")
    return value.lower()


def _positive(properties: Mapping[str, Any], name: str, default: float) -> float:
    value = properties.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise contract.invalid(name, f"The property '{name}' is not valid.")
    return value


def _decoded(code: str) -> str:
    try:
        return base64.b64decode(code, validate=True).decode("utf-8")
    except ValueError:
        raise contract.invalid("code", "The property 'code' is not valid base64.") from None


def _wrapped_execution(call: Call, identifier: str) -> dict[str, Any]:
    result = "" if call.result is None else call.result
    return {
        "properties": {
            "status": "Success" if call.ok else "Failure",
            "stdout": call.stdout,
            "stderr": call.stderr,
            "result": result,
            # As the stand-alone container says it; clients read the one before.
            "executionResult": result,
            "executionTimeInMilliseconds": round(call.elapsed * 1000),
            "identifier": identifier,
        }
    }


def _flat_execution(call: Call, job: _Job, number: str, identifier: str) -> dict[str, Any]:
    return {
        **_running(job, number, identifier),
        "status": _status(call, job),
        "result": {
            "stdout": call.stdout[: job.output],
            "stderr": call.stderr[: job.output],
            "executionResult": call.result if isinstance(job.code, str) else None,
            "executionTimeInMilliseconds": round(call.elapsed * 1000),
        },
    }


def _status(call: Call, job: _Job) -> str:
    if isinstance(job.code, str):
        return "Succeeded" if call.ok else "Failed"
    # A shell pool puts the exit code here (S C); the image's own service says -1 for a command
    # that was ended (1).
    return "-1" if call.result is None else str(call.result)


def _running(job: _Job, number: str, identifier: str) -> dict[str, Any]:
    return {
        "id": number,
        "identifier": identifier,
        "executionType": "Asynchronous" if job.is_asynchronous else "Synchronous",
        "status": "Running",
    }


def _timings(lease: Lease[Interpreter], call: Call, elapsed: float) -> dict[str, str]:
    """Return the headers of an execution; real ones mix integers, decimals and durations."""
    return {
        "X-Ms-Allocation-Retries": "0",
        "X-Ms-Allocation-Time": f"{lease.allocation_time:.6f}s",
        "X-Ms-New-Allocation": "true" if lease.new else "false",
        "X-Ms-Overall-Execution-Time": f"{call.elapsed * 1000:.3f}",
        "X-Ms-Preparation-Time": f"{max(elapsed - call.elapsed, 0) * 1000:.3f}",
        "X-Ms-Session-Guid": lease.session.guid,
        "X-Ms-Total-Execution-Service-Time": str(round((lease.allocation_time + elapsed) * 1000)),
    }


async def _read_upload(request: web.Request) -> list[tuple[str, bytes]]:
    """Return names and contents of the files of a form."""
    if not request.content_type.startswith("multipart/"):
        raise contract.invalid("file", "The request must be of type multipart/form-data.")
    files = []
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if isinstance(part, BodyPartReader) and part.name == "file":
                files.append((unquote(part.filename or ""), await _read_part(part)))
    except ValueError:
        raise contract.invalid("file", "The request is not a well-formed form.") from None
    if not files:
        raise contract.invalid("file", "The form has no field 'file'.")
    return files


async def _read_part(part: BodyPartReader) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(1 << 16):
        content += chunk
        if len(content) > contract.LONGEST_UPLOAD:
            raise Refused(Reply(413))
    return bytes(content)


def _is_too_long(request: web.Request) -> bool:
    return (request.content_length or 0) > _LONGEST_BODY


async def _invite_body(request: web.Request) -> None:
    """Tell a caller that holds back the body to send it, unless it would be refused."""
    if not _is_too_long(request):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # It is no part of the answer.
        request.writer.output_size = 0


def _is_set(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() == "true"


async def _with_files(act: Callable[..., T], *arguments: Any) -> T:
    """Do something with files; the session's answer may take a while."""
    try:
        return await asyncio.to_thread(act, *arguments)
    except (FileNotFoundError, NotADirectoryError):
        raise contract.not_found("The file") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG):
            raise Refused(Reply(413)) from None
        raise contract.invalid("path", f"The file can't be used: {error.strerror}.") from None
