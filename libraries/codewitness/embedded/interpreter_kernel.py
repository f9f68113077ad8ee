"""The process in which a session of the built-in interpreter runs its callers' code.

It runs as a program of its own inside a sandbox. Orders and answers are lines of JSON on two
descriptors; standard output and error belong to the callers' code. Variables live as long as the
process does.
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
    kernel = _Kernel()
    with os.fdopen(orders, encoding="utf-8") as lines:
        for line in lines:
            answer = json.dumps(kernel.execute(json.loads(line)))
            view = memoryview(answer.encode("utf-8", "replace") + b"\n")
            while view:
                view = view[os.write(answers, view) :]


if __name__ == "__main__":
    main()
