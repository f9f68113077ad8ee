"""Languages of programs to judge, told by the endings of their files' names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

ENDINGS: Mapping[str, tuple[str, ...]] = {
    "python": (".py", ".py3"),
    "javascript": (".js", ".mjs"),
    "bash": (".sh", ".bash"),
    "c": (".c",),
    "c++": (".cpp", ".cc", ".cxx", ".c++", ".C"),
    "java": (".java",),
    "csharp": (".cs",),
    "ada": (".adb", ".ads"),
    "awk": (".awk",),
    "brainfuck": (".bf",),
    "clojure": (".clj",),
    "cobol": (".cob", ".cbl"),
    "crystal": (".cr",),
    "d": (".d",),
    "dart": (".dart",),
    "elixir": (".ex", ".exs"),
    "erlang": (".erl",),
    "fortran": (".f90", ".f95"),
    "fsharp": (".fs",),
    "go": (".go",),
    "groovy": (".groovy",),
    "haskell": (".hs",),
    "julia": (".jl",),
    "kotlin": (".kt",),
    "lisp": (".lisp", ".cl"),
    "lua": (".lua",),
    "nim": (".nim",),
    "ocaml": (".ml",),
    "octave": (".m",),
    "pascal": (".pas",),
    "perl": (".pm",),
    "php": (".php",),
    "powershell": (".ps1",),
    "prolog": (".plg", ".pro"),
    "python2": (".py2",),
    "racket": (".rkt",),
    "rscript": (".r", ".R"),
    "ruby": (".rb",),
    "rust": (".rs",),
    "scala": (".scala",),
    "smalltalk": (".st",),
    "swift": (".swift",),
    "typescript": (".ts",),
    "vb": (".vb",),
    "zig": (".zig",),
}
"""Languages by the name that Piston has for them, and the endings of their programs."""

USUAL_ENDINGS = ".py .js .sh .c .cpp .cc .java .cs"
"""What to propose to somebody whose program has another ending."""

_LANGUAGE_OF = {ending: name for name, endings in ENDINGS.items() for ending in endings}

# Perl's programs and Prolog's have the same ending.
_SHARED_ENDING = ".pl"
_PROLOG = re.compile(rb"^\s*(?:[a-z]\w*(?:\(.*\))?\s*)?:-", re.MULTILINE)
_PYTHON_2 = re.compile(rb"#!.*python2")

_CODES = {"cpp": "c++", "python3": "python", "pypy3": "python", "r": "rscript", "visualbasic": "vb"}
"""Languages that the problem package format calls by another name."""

_HEADERS = {
    "c": {".h"},
    "c++": {".h", ".hh", ".hpp", ".hxx", ".c"},
}
"""Endings that go with a language's programs without telling it."""


def has_ending(name: str) -> bool:
    """Tell whether a file's name ends as a program's does."""
    ending = PurePosixPath(name).suffix
    return ending in _LANGUAGE_OF or ending == _SHARED_ENDING


def language_of(name: str, content: bytes) -> str | None:
    """Return the language of a program, ``None`` when its name doesn't tell.

    Args:
        name: Name of its file.
        content: The start of the file, for endings that several languages share.
    """
    ending = PurePosixPath(name).suffix
    if ending == _SHARED_ENDING:
        return "prolog" if _PROLOG.search(content) else "perl"
    if ending == ".py" and _PYTHON_2.match(content):
        return "python2"
    return _LANGUAGE_OF.get(ending)


def named(code: str) -> str | None:
    """Return the canonical name of a language that an author named, ``None`` when unknown."""
    name = _CODES.get(code, code)
    return name if name in ENDINGS else None


def goes_with(language: str, name: str) -> bool:
    """Tell whether a file that tells another language, or none, is part of such a program."""
    return PurePosixPath(name).suffix in _HEADERS.get(language, set())
