"""Every language of the local executor, on machines with its tool-chain and without."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from codewitness.execution.languages import LANGUAGES
from codewitness.execution.local import LocalExecutor
from codewitness.execution.model import (
    ExecutionRequest,
    Executor,
    Limits,
    RequestRefused,
    SourceFile,
)
from tests.local_executors import executor_of, request, users

PATIENCE: dict[str, Any] = {
    "run_timeout": 20_000,
    "compile_timeout": 60_000,
    "compile_cpu_time": 60_000,
}


@dataclass(frozen=True)
class Sample:
    """Programs of one language.

    Attributes:
        aliases: Names besides the canonical one.
        tools: What must be on the machine.
        greets: Prints the first argument and the first line of standard input.
        fails: Exits with code 3 after a word on standard error.
        broken: Is no program.
    """

    aliases: tuple[str, ...]
    tools: tuple[str, ...]
    greets: str
    fails: str
    broken: str


SAMPLES = {
    "python": Sample(
        ("py", "py3", "python3"),
        (),
        "import sys; print(sys.argv[1], input())",
        "import sys; print('bad', file=sys.stderr); sys.exit(3)",
        "print(",
    ),
    "javascript": Sample(
        ("node", "js", "node-javascript"),
        ("node",),
        "const text = require('fs').readFileSync(0, 'utf8');\n"
        "console.log(process.argv[2], text.split('\\n')[0]);",
        "console.error('bad'); process.exit(3);",
        "console.log(",
    ),
    "bash": Sample(
        ("sh",),
        ("bash",),
        'read -r line; echo "$1 $line"',
        "echo bad >&2; exit 3",
        "if",
    ),
    "c": Sample(
        ("gcc",),
        ("gcc",),
        "#include <stdio.h>\nint main(int argc, char **argv) {\n"
        "char line[100]; fgets(line, 100, stdin); printf(\"%s %s\", argv[1], line); }",
        "#include <stdio.h>\nint main() { fputs(\"bad\\n\", stderr); return 3; }",
        "int main( {",
    ),
    "c++": Sample(
        ("cpp", "g++"),
        ("g++",),
        "#include <iostream>\n#include <string>\nint main(int, char **argv) {\n"
        "std::string line; std::getline(std::cin, line); "
        "std::cout << argv[1] << ' ' << line << std::endl; }",
        '#include <iostream>\nint main() { std::cerr << "bad\\n"; return 3; }',
        "int main( {",
    ),
    "java": Sample(
        (),
        ("javac", "java"),
        "import java.util.Scanner;\nclass Greeter {\n"
        "public static void main(String[] args) {\n"
        'System.out.println(args[0] + " " + new Scanner(System.in).nextLine()); } }',
        "public class Fails { public static void main(String[] args) {\n"
        'System.err.println("bad"); System.exit(3); } }',
        "class Main { void",
    ),
    "csharp": Sample(
        ("mono", "mono-csharp", "mono-c#", "mono-cs", "c#", "cs"),
        ("mono", "mcs"),
        "using System;\nclass Greeter { static void Main(string[] args) {\n"
        'Console.WriteLine(args[0] + " " + Console.ReadLine()); } }',
        'class Fails { static int Main() { System.Console.Error.WriteLine("bad"); return 3; } }',
        "class Main { void",
    ),
}  # fmt: skip
COMPILED = {"c", "c++", "java", "csharp"}


def is_installed(language: str) -> bool:
    tools = SAMPLES[language].tools
    return all(shutil.which(tool, path="/usr/local/bin:/usr/bin:/bin") for tool in tools)


INSTALLED = [name for name in SAMPLES if is_installed(name)]


@pytest.fixture(scope="module", params=users())
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with executor_of(request.param) as it:
        yield it


def test_there_are_samples_of_all_languages() -> None:
    assert {it.name: it.aliases for it in LANGUAGES} == {
        name: sample.aliases for name, sample in SAMPLES.items()
    }


def test_runtimes_are_what_is_installed(executor: Executor) -> None:
    runtimes = {it.language: it for it in executor.runtimes()}
    assert list(runtimes) == INSTALLED
    for name, runtime in runtimes.items():
        assert runtime.aliases == SAMPLES[name].aliases
        assert all(part.isdigit() for part in runtime.version.split("."))
        assert runtime.version.count(".") == 2


@pytest.mark.parametrize("language", SAMPLES)
def test_language_is_listed_or_refused(executor: Executor, language: str) -> None:
    if language in INSTALLED:
        result = executor.execute(request("", language=language, **PATIENCE))
        assert result.language == language
    else:
        with pytest.raises(RequestRefused, match="runtime is unknown"):
            executor.execute(request("", language=language))


@pytest.mark.parametrize("language", INSTALLED)
def test_program_gets_arguments_and_input(executor: Executor, language: str) -> None:
    asked = request(
        SAMPLES[language].greets, language=language, args=["a b"], stdin="é".encode(), **PATIENCE
    )
    result = executor.execute(asked)
    assert result.run.stderr == b""
    assert result.run.stdout == "a b é\n".encode()
    assert result.run.code == 0
    assert result.language == language
    assert (result.compile is not None) == (language in COMPILED)
    if result.compile is not None:
        assert (result.compile.code, result.compile.status) == (0, None)


@pytest.mark.parametrize("language", INSTALLED)
def test_program_fails(executor: Executor, language: str) -> None:
    result = executor.execute(request(SAMPLES[language].fails, language=language, **PATIENCE))
    stage = result.run
    assert (stage.stdout, stage.stderr.strip(), stage.code) == (b"", b"bad", 3)
    assert (stage.status, stage.message) == ("RE", "Exited with error status 3")


@pytest.mark.parametrize("language", INSTALLED)
def test_broken_program_is_told_by_its_stage(executor: Executor, language: str) -> None:
    result = executor.execute(request(SAMPLES[language].broken, language=language, **PATIENCE))
    assert result.run.code not in (0, None)
    assert result.run.stderr or result.run.stdout
    if language in COMPILED:
        assert result.run == result.compile


@pytest.mark.parametrize("language", INSTALLED)
def test_program_works_within_the_default_limits(executor: Executor, language: str) -> None:
    asked = request(SAMPLES[language].fails, language=language, compile_timeout=60_000)
    assert executor.execute(asked).run.code == 3


@pytest.mark.parametrize("language", INSTALLED)
def test_program_works_within_a_memory_limit(executor: Executor, language: str) -> None:
    asked = request(
        SAMPLES[language].fails, language=language, run_memory_limit=256 << 20, **PATIENCE
    )
    assert executor.execute(asked).run.code == 3


HUNGRY = {
    "python": "x = bytearray(400 << 20)",
    "javascript": "const all = []; for (;;) all.push(Buffer.alloc(10 << 20, 1));",
    "c": "#include <stdlib.h>\n#include <string.h>\n"
    "int main() { void *x = malloc(400 << 20); memset(x, 1, 400 << 20); return x == 0; }",
    "java": "class Main { public static void main(String[] a) {\n"
    "byte[][] all = new byte[400][]; for (int i = 0; i < 400; i++) all[i] = new byte[1 << 20];\n"
    "System.out.println(all.length); } }",
    "csharp": "class Main { static void Main() {\n"
    "var x = new byte[400 << 20]; for (int i = 0; i < x.Length; i += 4096) x[i] = 1; } }",
}


@pytest.mark.parametrize("language", [name for name in INSTALLED if name in HUNGRY])
def test_memory_limit_binds(executor: Executor, language: str) -> None:
    program = HUNGRY[language]
    limits = {**PATIENCE, "run_memory_limit": 200 << 20}
    assert executor.execute(request(program, language=language, **limits)).run.code != 0


@pytest.fixture(scope="module")
def own_executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor()
    yield executor
    executor.close()


def answer(executor: Executor, language: str, *files: SourceFile) -> bytes:
    result = executor.execute(ExecutionRequest(language, files, limits=Limits(**PATIENCE)))
    assert (result.run.stderr, result.run.code) == (b"", 0)
    return result.run.stdout


JAVA = "public class %s { public static void main(String[] a) { System.out.print(%s); } }"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("Greeter.java", JAVA % ("Greeter", "1")),
        (None, JAVA % ("Greeter", "1")),
        (None, (JAVA % ("Hidden", "1")).removeprefix("public ")),
        ("Main.java", "class Other {}\n" + (JAVA % ("Hidden", "1")).removeprefix("public ")),
        ("Main.java", (JAVA % ("Main", "Other.x")) + " class Other { static int x = 1; }"),
        ("Main.java", "package a.b;\n" + JAVA % ("Main", "1")),
        ("a/b/Main.java", "package a.b;\n" + JAVA % ("Main", "1")),
        ("program.java", (JAVA % ("Main", "1")).removeprefix("public ")),
    ],
)
@pytest.mark.skipif("java" not in INSTALLED, reason="there is no Java here")
def test_main_class_of_java(own_executor: LocalExecutor, name: str | None, source: str) -> None:
    assert answer(own_executor, "java", SourceFile(source.encode(), name)) == b"1"


@pytest.mark.skipif("java" not in INSTALLED, reason="there is no Java here")
def test_several_files_of_java(own_executor: LocalExecutor) -> None:
    files = (
        SourceFile((JAVA % ("Main", "Other.x")).encode(), "Main.java"),
        SourceFile(b"class Other { static int x = 1; }", "Other.java"),
    )
    assert answer(own_executor, "java", *files) == b"1"


@pytest.mark.parametrize("name", ["main.c", "file0.code", "-main.c", "a b.c"])
@pytest.mark.skipif("c" not in INSTALLED, reason="there is no C compiler here")
def test_several_files_of_c(own_executor: LocalExecutor, name: str) -> None:
    files = (
        SourceFile(b'#include <stdio.h>\n#include "x.h"\nint main() { printf("%d", x); }', name),
        SourceFile(b"extern int x;", "x.h"),
        SourceFile(b'#include "x.h"\nint x = 1;', "x.c"),
        SourceFile(b"not a program", "notes.txt"),
    )
    assert answer(own_executor, "c", *files) == b"1"


def test_runtimes_are_cheap_once_known(own_executor: LocalExecutor) -> None:
    own_executor.runtimes()
    start = time.monotonic()
    for _ in range(100):
        own_executor.runtimes()
    assert time.monotonic() - start < 5
