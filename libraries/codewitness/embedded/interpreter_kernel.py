"""The process in which a session of a built-in pool runs its callers' code.

It runs as a program of its own inside a sandbox. Orders and answers are lines of JSON on two
descriptors; standard output and error belong to the callers' code. An order is either Python
source, whose variables live as long as the process does, or an object that describes a command
for a shell.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import importlib.util
import io
import json
import linecache
import math
import os
import pprint
import sys
import traceback
import types
from collections.abc import Mapping
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from typing import Any

_LARGEST = 1 << 63


class _PackageResources(Loader):
    """Stands in for ``pkg_resources`` where it isn't installed: callers list packages with it."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        wanted = fullname == "pkg_resources"
        return importlib.util.spec_from_loader(fullname, self) if wanted else None

    def exec_module(self, module: types.ModuleType) -> None:
        from importlib.metadata import distributions

        module.working_set = [  # type: ignore[attr-defined]
            types.SimpleNamespace(
                project_name=it.metadata["Name"],
                key=it.metadata["Name"].lower(),
                version=it.version,
            )
            for it in distributions()
        ]


class _Kernel:
    def __init__(self) -> None:
        module = types.ModuleType("__main__")
        module.__dict__["__builtins__"] = __builtins__
        # Callers pickle what they define, which needs the module to be found by its name.
        sys.modules["__main__"] = module
        self._namespace = module.__dict__
        self._calls = 0
        self._process = os.getpid()

    def execute(self, code: str) -> dict[str, Any]:
        self._calls += 1
        name = f"<call {self._calls}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        try:
            value = self._evaluate(code, name)
            answer = {"ok": True, "result": _shown(value)}
        except MemoryError:
            # As when the system runs out of memory: the whole interpreter is lost.
            os._exit(137)
        except BaseException as error:
            answer = {"ok": False, "result": None}
            _say(_told(error))
        _say("")
        if os.getpid() != self._process:
            # A child that the caller's code forked and did not end: it is no kernel.
            os._exit(0)
        return answer

    def _evaluate(self, code: str, name: str) -> Any:
        """Run code; return the value of its last statement if that is an expression."""
        tree = ast.parse(code, name)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            del tree.body[-1]
        exec(compile(tree, name, "exec"), self._namespace)
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), self._namespace)
        return _open_figure() or value


class _Shell:
    """Runs commands, each in a process of its own.

    What of a shell outlives a call is not documented (?). Here the next command begins in the
    directory and with the exported variables that the last one of a shell ended with; other
    variables and functions are gone.
    """

    # An EXIT trap leaves the exit code as it is, and also runs when the command says `exit`. The
    # command is evaluated so that messages about its syntax show nothing but itself.
    _SCRIPT = (
        """trap 'printf "%s\\0" "$PWD" >&{0}; /usr/bin/env -0 >&{0}' EXIT; """
        'eval "$1"'
    )

    def __init__(self) -> None:
        self._home = self._folder = os.getcwd()  # noqa: PTH109
        self._environment = dict(os.environ)

    def execute(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Run ``arguments``, or the text ``command`` in a shell, with the text ``stdin``."""
        try:
            code = self._run(order)
        except OSError as error:
            _say(f"{error.filename or 'shell'}: {error.strerror}\n")
            code = 127 if isinstance(error, FileNotFoundError) else 126
        return {"ok": code == 0, "result": code}

    def _run(self, order: Mapping[str, Any]) -> int:
        import shutil
        import subprocess
        import tempfile

        if not os.path.isdir(self._folder):  # noqa: PTH112
            self._folder = self._home
        # Files, because nobody has to read or write at the other end.
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as state:
            stdin.write(order["stdin"].encode())
            stdin.seek(0)
            arguments = order["arguments"]
            if arguments is None:
                shell = shutil.which("bash") or "/bin/sh"
                script = self._SCRIPT.format(state.fileno())
                arguments = [shell, "-c", script, "bash", order["command"]]
            process = subprocess.Popen(
                arguments,
                stdin=stdin,
                cwd=self._folder,
                env=self._environment,
                pass_fds=[state.fileno()],
            )
            code = process.wait()
            state.seek(0)
            self._remember(state.read())
        return code if code >= 0 else 128 - code

    def _remember(self, state: bytes) -> None:
        folder, *variables = map(os.fsdecode, state.split(b"\0")[:-1] or [b""])
        if folder:
            self._folder = folder
            self._environment = dict(it.split("=", 1) for it in variables)


def _say(text: str) -> None:
    """Write to stderr and let go what is buffered, unless the caller's code closed the streams."""
    with contextlib.suppress(Exception):
        sys.stderr.write(text)
        sys.stderr.flush()
    with contextlib.suppress(Exception):
        sys.stdout.flush()


def _told(error: BaseException) -> str:
    """Return a traceback that begins with the caller's code."""
    frames = error.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("<call "):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


def _shown(value: Any) -> Any:
    """Return a value as JSON can carry it: all but scalars and images as text, in lines.

    Clients are made for that: one finds the elements of a list by the lines (C).
    """
    picture = getattr(value, "_repr_png_", None)
    if picture is not None and not isinstance(value, type):
        content = picture()
        if isinstance(content, bytes):
            return _image(content)
    return value if _is_scalar(value) else pprint.pformat(value, sort_dicts=False)


def _is_scalar(value: Any) -> bool:
    if type(value) is int:
        return abs(value) < _LARGEST
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (bool, str)


def _image(content: bytes) -> Mapping[str, str]:
    data = base64.b64encode(content).decode("ascii")
    return {"type": "image", "format": "png", "base64_data": data}


class _Figure:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def _repr_png_(self) -> bytes:
        return self._content


def _open_figure() -> _Figure | None:
    """Take the newest figure that a call has left open, if it draws with matplotlib."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or not pyplot.get_fignums():
        return None
    content = io.BytesIO()
    pyplot.gcf().savefig(content, format="png")
    pyplot.close("all")
    return _Figure(content.getvalue())


def main() -> None:
    """Serve until the orders end.

    The command line holds the descriptors of orders and answers, and the resource limits.
    """
    import resource

    orders, answers, limits = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    for number, most in limits:
        ceiling = resource.getrlimit(number)[1]
        if ceiling != resource.RLIM_INFINITY:
            most = min(most, ceiling)
        resource.setrlimit(number, (most, most))
    for descriptor in (orders, answers):
        os.set_inheritable(descriptor, False)
    # What is said before an abort must not be lost in a buffer.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    sys.argv = [""]
    sys.path.insert(0, "")
    sys.meta_path.append(_PackageResources())
    kernel, shell = _Kernel(), _Shell()
    with os.fdopen(orders, encoding="utf-8") as lines:
        for line in lines:
            order = json.loads(line)
            answer = kernel.execute(order) if isinstance(order, str) else shell.execute(order)
            view = memoryview(json.dumps(answer).encode("utf-8", "replace") + b"\n")
            while view:
                view = view[os.write(answers, view) :]


if __name__ == "__main__":
    main()
