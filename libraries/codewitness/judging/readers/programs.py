"""Programs, in one file or a folder: their language, and which of their files is the one to run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from codewitness.judging.languages import USUAL_ENDINGS, goes_with, has_ending, language_of
from codewitness.judging.problem import NamedFile, Program, is_text
from codewitness.judging.readers.files import (
    Files,
    leads_back,
    names_in,
    reason,
    unprintable_names,
    usable_file,
)

_MOST_FILES = 1000
# Enough for the line that tells Python 2 from 3, and Perl from Prolog.
_START = 1 << 16

_COMPILED = re.compile(r".*\.(class|exe|o|obj|pyc|out)|a\.out|README(\..*)?", re.IGNORECASE)

_ENTRY_POINTS: Mapping[str, re.Pattern[bytes]] = {
    "c": re.compile(rb"\bmain\s*\("),
    "c++": re.compile(rb"\bmain\s*\("),
    "csharp": re.compile(rb"\bstatic\b[^;{}()]*\bMain\s*\("),
    "go": re.compile(rb"\bfunc\s+main\s*\("),
    "java": re.compile(rb"\bstatic\s+void\s+main\s*\("),
    "kotlin": re.compile(rb"\bfun\s+main\s*\("),
    "rust": re.compile(rb"\bfn\s+main\s*\("),
}
"""What the file to run has in languages whose programs say so themselves."""


_LOADS = rb"(?:\b(?:import|from|require|include|use|source|consult)\b|^\s*\[|^\s*\.\s)"
"""What stands before the name of another file where a program loads it."""


class UnusableProgram(ValueError):
    """Files that make no program; the message names the file and the remedy."""


@dataclass(frozen=True)
class Hints:
    """What an author says of a program beside its files.

    Attributes:
        language: Canonical name of its language.
        entry: Name of the file, or of the class, to run.
        settings: Name of the file that says so, or could.
        key: Its key there for the file to run.
    """

    language: str | None = None
    entry: str | None = None
    settings: str = "submissions.yaml"
    key: str = "entrypoint"


def is_by_product(name: str) -> bool:
    """Tell whether a file among programs is none: compiled from one, or about them."""
    return bool(_COMPILED.fullmatch(name))


def make_program(
    name: str,
    files: Mapping[str, Path],
    hints: Hints,
    constants: Sequence[tuple[str, str]] = (),
) -> Program:
    """Return the program that files make.

    Args:
        name: Name of its file or folder.
        files: Its files by their paths in it.
        hints: What its author says of it.
        constants: Names and values of the problem's constants.

    Raises:
        UnusableProgram: It can't be told which file to run, or in which language.
    """
    main = _find_main(name, files, hints)
    language = hints.language or language_of(main, _start_of(files[main]))
    if language is None:
        raise UnusableProgram(
            f"{main}: unknown language; end its name in {USUAL_ENDINGS} or as its language has it,"
            f" or say 'language: …' in {hints.settings}"
        )
    if not is_text(files[main].read_bytes()):
        raise UnusableProgram(f"{main}: not UTF-8 text, as a program has to be; save it as UTF-8")
    return Program(
        name=name,
        language=language,
        files=tuple(
            NamedFile(each, files[each])
            for each in (main, *(other for other in files if other != main))
        ),
        constants=tuple(constants),
    )


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_START)


def _find_main(name: str, files: Mapping[str, Path], hints: Hints) -> str:
    if hints.entry is not None:
        return _find_named(files, hints.entry, hints)
    candidates = [each for each in files if has_ending(each)] or list(files)
    if not candidates:
        raise UnusableProgram(
            f"no program; add one whose name ends in {USUAL_ENDINGS} or as its language has it"
        )
    if len(candidates) > 1:
        main = [each for each in candidates if PurePosixPath(each).stem.lower() == "main"]
        candidates = main if len(main) == 1 else candidates
    if len(candidates) > 1:
        entries = _entries_of_one_language(name, {each: files[each] for each in candidates})
        candidates = entries if len(entries) == 1 else candidates
    if len(candidates) > 1:
        raise UnusableProgram(
            f"{' and '.join(candidates)}: each may be the program; say '{hints.key}: …' in"
            f" {hints.settings}, or call the program main.*"
        )
    return candidates[0]


def _find_named(files: Mapping[str, Path], entry: str, hints: Hints) -> str:
    if entry in files:
        return entry
    # Kotlin makes the class MainKt of Main.kt, and a class may have its package before it.
    stem = entry.rpartition(".")[2].removesuffix("Kt").lower()
    named = [each for each in files if PurePosixPath(each).stem.lower() == stem]
    if len(named) == 1 and has_ending(named[0]):
        return named[0]
    raise UnusableProgram(f"{hints.settings}: {hints.key}: there is no file {entry}; mend the name")


def _entries_of_one_language(name: str, files: Mapping[str, Path]) -> list[str]:
    """Return the files that may be the one to run; none when they are in several languages."""
    starts = {each: _start_of(path) for each, path in files.items()}
    told = {each: language_of(each, start) for each, start in starts.items()}
    languages = {
        language
        for language in told.values()
        if language
        and all(its == language or goes_with(language, each) for each, its in told.items())
    }
    if len(languages) != 1:
        return []
    (language,) = languages
    entry_point = _ENTRY_POINTS.get(language)
    if entry_point is not None:
        return [each for each, start in starts.items() if entry_point.search(start)]
    preferred = ("__main__", PurePosixPath(name).stem)
    chosen = [each for each in files if PurePosixPath(each).stem in preferred]
    return chosen or [each for each in files if not _is_loaded_by_others(each, starts)]


def _is_loaded_by_others(name: str, starts: Mapping[str, bytes]) -> bool:
    stem = re.escape(PurePosixPath(name).stem.encode())
    load = re.compile(_LOADS + rb"[^\w\n]*" + stem + rb"\b", re.MULTILINE)
    return any(load.search(start) for other, start in starts.items() if other != name)


def files_of(
    path: Path,
    shown: str,
    problems: list[str],
    above: tuple[Path, ...],
    *,
    by_products: bool = True,
) -> Files:
    """Return the files of a program by their paths in it, ``None`` for one that can't be read.

    Args:
        path: Its file or folder.
        shown: What to call it in a problem.
        problems: Where to add what is wrong.
        above: Folders that it lies in, without links.
        by_products: Whether to keep what is a by-product among programs.
    """
    problems += unprintable_names([path.name])
    if not path.is_dir():
        return {path.name: usable_file(path, shown, problems)}
    found: Files = {}
    _add_files(path, "", shown, found, problems, above)
    if not by_products:
        found = {
            name: file
            for name, file in found.items()
            if not is_by_product(PurePosixPath(name).name)
        }
    if len(found) > _MOST_FILES:
        problems.append(f"{shown}: more than {_MOST_FILES} files; no program has so many")
    return found


def _add_files(
    folder: Path,
    prefix: str,
    shown: str,
    found: Files,
    problems: list[str],
    above: tuple[Path, ...],
) -> None:
    if leads_back(folder, above):
        problems.append(f"{shown}: a link to a folder that it lies in; remove it")
        return
    try:
        names = names_in(folder, readme=True)
    except OSError as error:
        problems.append(f"{shown}: can't be read ({reason(error)}); mend or delete it")
        return
    problems += unprintable_names(names)
    for name in names:
        path = folder / name
        if len(found) > _MOST_FILES:
            return
        if path.is_dir():
            inside = (*above, folder.resolve())
            _add_files(path, f"{prefix}{name}/", f"{shown}/{name}", found, problems, inside)
        else:
            found[prefix + name] = usable_file(path, f"{shown}/{name}", problems)


def read_program(
    path: Path,
    shown: str,
    hints: Hints,
    *,
    above: tuple[Path, ...],
    included: Mapping[str, Mapping[str, Path]] | None = None,
    constants: Sequence[tuple[str, str]] = (),
) -> Program:
    """Return the program in a file or folder.

    Args:
        path: The file or folder.
        shown: What to call it in a problem.
        hints: What its author says of it.
        above: Folders that it lies in, without links.
        included: Files that go with every program of a language, by language.
        constants: Names and values of the problem's constants.

    Raises:
        UnusableProgram: It is none, or can't be read.
    """
    problems: list[str] = []
    found = files_of(path, shown, problems, above, by_products=False)
    files = {name: file for name, file in found.items() if file}
    if problems:
        raise UnusableProgram("; ".join(problems))
    try:
        program = make_program(path.name, files, hints, constants)
        also = (included or {}).get(program.language)
        if not also:
            return program
        # What is included may be the driver, and hold the entry point.
        language = Hints(program.language, hints.entry, hints.settings, hints.key)
        return make_program(path.name, {**files, **also}, language, constants)
    except UnusableProgram as error:
        told = str(error)
        raise UnusableProgram(told if path.name in told else f"{shown}: {told}") from None
    except OSError as error:
        raise UnusableProgram(f"{shown}: can't be read ({reason(error)}); replace it") from error
