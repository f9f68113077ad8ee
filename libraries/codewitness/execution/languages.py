"""The languages that the local executor knows, and the commands that run their programs."""

from __future__ import annotations

import posixpath
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from codewitness.execution.sandbox import Layout
from codewitness.execution.versions import Version, parse_version


@dataclass(frozen=True)
class Program:
    """What a command line is made from.

    Attributes:
        sources: Names of the text files, the program first.
        main: Content of the program.
        args: Arguments for the program.
        memory: Bytes that it may use, ``None`` for no limit.
    """

    sources: tuple[str, ...]
    main: str
    args: tuple[str, ...]
    memory: int | None


@dataclass(frozen=True)
class Commands:
    """Command lines of the stages; ``compile`` is ``None`` where there is nothing to compile."""

    run: Sequence[str]
    compile: Sequence[str] | None = None


Tools = Mapping[str, str]
Plan = Callable[[Program, Tools, Layout], Commands]


@dataclass(frozen=True)
class Language:
    """A language and its tool-chain.

    Attributes:
        name: Canonical name.
        aliases: Other names, as Piston has them.
        tools: Executables that must be there; the first tells the version.
        version_option: What makes it tell.
        plan: Makes the command lines.
        file_name: Name of a program without one, from its content.
        runtime: Name of the package where it offers several languages.
        memory: What a memory limit can bind: the ``address space``; private ``data`` alone, for
            run-times that reserve much more than they use; or ``nothing`` but the plan's options.
    """

    name: str
    aliases: tuple[str, ...]
    tools: tuple[str, ...]
    version_option: str
    plan: Plan
    file_name: Callable[[str], str]
    runtime: str | None = None
    memory: Literal["address space", "data", "nothing"] = "address space"


def _interpreted(program: Program, tools: Tools, _: Layout) -> Commands:
    (interpreter,) = tools.values()
    return Commands([interpreter, _as_path(program.sources[0]), *program.args])


def _as_path(name: str) -> str:
    # A name that starts with a dash must not become an option.
    return f"./{name}" if name.startswith("-") else name


def _compiled_by_gcc(language: str, *suffixes: str) -> Plan:
    def plan(program: Program, tools: Tools, layout: Layout) -> Commands:
        first, *others = program.sources
        sources = [_as_path(name) for name in others if name.endswith(suffixes)]
        if first.endswith(suffixes):
            sources.insert(0, _as_path(first))
        else:
            sources += ["-x", language, _as_path(first), "-x", "none"]
        binary = posixpath.join(layout.artefacts, "program")
        (compiler,) = tools.values()
        return Commands([binary, *program.args], [compiler, "-o", binary, *sources, "-lm"])

    return plan


# One collector's and one compiler's thread start faster and leave more of the process limit.
_JVM = ("-XX:+UseSerialGC", "-XX:-UsePerfData")
_SHORT_LIVED_JVM = (*(f"-J{option}" for option in _JVM), "-J-XX:TieredStopAtLevel=1")


def _java(program: Program, tools: Tools, layout: Layout) -> Commands:
    first, *others = program.sources
    sources = [_as_path(name) for name in (first, *(it for it in others if _is_java(it)))]
    main = _java_main_class(program.main, posixpath.basename(first).removesuffix(".java"))
    heap = [] if program.memory is None else [f"-Xmx{max(program.memory, _SMALLEST_HEAP)}"]
    return Commands(
        [tools["java"], *heap, *_JVM, "-cp", layout.artefacts, main, *program.args],
        [tools["javac"], *_SHORT_LIVED_JVM, "-d", layout.artefacts, *sources],
    )


# A JVM refuses to start with less.
_SMALLEST_HEAP = 2 << 20


def _is_java(name: str) -> bool:
    return name.endswith(".java")


def _java_main_class(source: str, stem: str) -> str:
    names = re.findall(r"\b(?:class|record|enum|interface)\s+(\w+)", source)
    before, main, _ = source.partition("static void main")
    if stem not in names and main:
        stem = next(reversed(re.findall(r"\b(?:class|record|enum)\s+(\w+)", before)), stem)
    package = re.search(r"^\s*package\s+([\w.]+)\s*;", source, re.MULTILINE)
    return f"{package[1]}.{stem}" if package else stem


def _java_file_name(source: str) -> str:
    public = re.search(r"\bpublic\s+(?:(?:final|abstract|sealed)\s+)*class\s+(\w+)", source)
    return f"{public[1] if public else 'Main'}.java"


def _csharp(program: Program, tools: Tools, layout: Layout) -> Commands:
    first, *others = program.sources
    sources = [_as_path(name) for name in (first, *(it for it in others if it.endswith(".cs")))]
    binary = posixpath.join(layout.artefacts, "program.exe")
    return Commands(
        [tools["mono"], binary, *program.args], [tools["mcs"], f"-out:{binary}", *sources]
    )


LANGUAGES = (
    Language(
        "python",
        ("py", "py3", "python3"),
        ("python",),
        "--version",
        _interpreted,
        lambda _: "file0.code",
    ),
    Language(
        "javascript",
        ("node", "js", "node-javascript"),
        ("node",),
        "--version",
        _interpreted,
        lambda _: "file0.js",
        "node",
        memory="data",
    ),
    Language("bash", ("sh",), ("bash",), "--version", _interpreted, lambda _: "file0.code"),
    Language(
        "c",
        ("gcc",),
        ("gcc",),
        "-dumpfullversion",
        _compiled_by_gcc("c", ".c"),
        lambda _: "file0.c",
        "gcc",
    ),
    Language(
        "c++",
        ("cpp", "g++"),
        ("g++",),
        "-dumpfullversion",
        _compiled_by_gcc("c++", ".cpp", ".cc", ".cxx", ".C"),
        lambda _: "file0.cpp",
        "gcc",
    ),
    Language(
        "java",
        (),
        ("javac", "java"),
        "-version",
        _java,
        _java_file_name,
        memory="nothing",
    ),
    Language(
        "csharp",
        ("mono", "mono-csharp", "mono-c#", "mono-cs", "c#", "cs"),
        ("mono", "mcs"),
        "--version",
        _csharp,
        lambda _: "file0.cs",
        "mono",
        memory="data",
    ),
)


@cache
def ask_version(tool: str, option: str) -> Version | None:
    """Return the version that a tool tells, or ``None`` when it tells none."""
    try:
        asked = subprocess.run(
            [tool, option],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
            check=False,
        )
        return None if asked.returncode else parse_version(asked.stdout.decode("utf-8", "replace"))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
