"""Statements put before Python programs, to take from them what only they themselves can lose."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from codewitness.execution.model import ExecutionRequest

Change = Callable[[ExecutionRequest], ExecutionRequest]

_FUTURE = re.compile(rb"^from __future__ import (?:\([^)]*\)|[^\r\n;]*)", re.MULTILINE)
_NOT_AFTER_A_SEMICOLON = re.compile(
    rb"\s*(?:#|@|\s|\Z|(?:async|class|def|for|if|match|try|while|with)\b)"
)


def is_python(request: ExecutionRequest) -> bool:
    """Tell whether a request asks for Python, by whatever name."""
    return request.language.startswith("py")


def before_python(statement: str) -> Change:
    """Put a statement before Python programs, on their own first line where that is possible.

    Line numbers in tracebacks stay right there.
    """
    return lambda request: with_statement(request, statement)


def with_statement(request: ExecutionRequest, statement: str) -> ExecutionRequest:
    """Return a request whose program, if it is Python, begins with a statement."""
    index = next((i for i, file in enumerate(request.files) if file.encoding == "utf8"), None)
    if not is_python(request) or index is None:
        return request
    program = request.files[index]
    inserted = statement.encode()
    futures = list(_FUTURE.finditer(program.content))
    if futures:
        end = futures[-1].end()
        content = program.content[:end] + b"; " + inserted + program.content[end:]
    else:
        separator = b"\n" if _NOT_AFTER_A_SEMICOLON.match(program.content) else b"; "
        content = inserted + separator + program.content
    spoiled = replace(program, content=content)
    return replace(request, files=(*request.files[:index], spoiled, *request.files[index + 1 :]))


def executing(code: str) -> str:
    """Return a statement of one line that executes code out of the program's sight."""
    return f"exec({code!r}, {{}})"


OPEN_STDIN = executing(
    """
import os
reader, writer = os.pipe()
os.write(writer, os.read(0, 65536))
os.dup2(reader, 0)
os.close(reader)
"""
)
"""Leaves standard input open for ever, because the program itself holds its other end."""


def keeping_environment(file: str) -> str:
    """Return a statement that takes environment variables from a file and leaves them there."""
    return executing(
        f"""
import atexit, json, os, uuid
def keep():
    fresh = {file!r} + uuid.uuid4().hex
    with open(fresh, "w") as kept:
        json.dump(dict(os.environ), kept)
    os.replace(fresh, {file!r})
try:
    with open({file!r}) as kept:
        os.environ.update(json.load(kept))
except FileNotFoundError:
    pass
atexit.register(keep)
"""
    )


OUT_OF_TIME = "SIGUSR1"
"""How :func:`waiting_for_children` ends a program whose time is up."""


def waiting_for_children(seconds: float) -> str:
    """Return a statement that keeps a program until nobody holds its stdout and stderr any more.

    Args:
        seconds: The program's own time, after which it dies of :data:`OUT_OF_TIME`.
    """
    return executing(
        f"""
def relay():
    import os, select, signal, time
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    program = os.fork()
    if program == 0:
        os.dup2(out_end, 1)
        os.dup2(err_end, 2)
        for end in (out, out_end, err, err_end):
            os.close(end)
        return
    os.close(out_end)
    os.close(err_end)
    deadline = time.monotonic() + {seconds!r}
    streams, status = {{out: 1, err: 2}}, None
    while streams or status is None:
        for stream in select.select(list(streams), [], [], 0.02)[0]:
            chunk = os.read(stream, 65536)
            os.write(streams[stream], chunk)
            if not chunk:
                del streams[stream]
        if status is None:
            ended, known = os.waitpid(program, os.WNOHANG)
            if ended:
                status = known
            elif time.monotonic() > deadline:
                os.kill(program, signal.SIGKILL)
                os.kill(os.getpid(), signal.{OUT_OF_TIME})
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))
relay()
"""
    )


END_WITH_STDOUT = executing(
    """
import os
close = os.close
def closing(descriptor):
    close(descriptor)
    if descriptor == 1:
        os._exit(0)
os.close = closing
"""
)
"""Take the end of a program's stdout for its own."""
