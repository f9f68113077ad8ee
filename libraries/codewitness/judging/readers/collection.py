"""All problems below a folder, each read by the reader for the layout that it has."""

from __future__ import annotations

from pathlib import Path

from codewitness.judging.languages import has_ending
from codewitness.judging.problem import BrokenProblem, Problem, RefusedProblem
from codewitness.judging.readers.files import (
    leads_back,
    names_in,
    path_order,
    printable,
    reason,
)
from codewitness.judging.readers.package import is_package, read_package
from codewitness.judging.readers.plain import holds_data, read_plain

AnyProblem = Problem | BrokenProblem | RefusedProblem

_DEEPEST = 8
_OF_POLYGON = "problem.xml"
_PACKED = (".zip", ".kpp")
_DOCUMENTS = (".pdf", ".tex", ".sty", ".cls", ".png", ".jpg", ".jpeg", ".svg", ".eps")


class CasesError(ValueError):
    """There are no test cases to read; the message names the folder and the remedy."""


def read_problems(root: Path) -> list[AnyProblem]:
    """Read all problems below a folder, in natural order of their names.

    The folder may be a problem itself, may hold problems, or folders of problems. A file right
    beside problems is a problem of its own that says so; beside problem packages, where contests
    keep much else, only if it is a program.

    Raises:
        CasesError: The root is no folder, can't be read, or holds no case at all.
    """
    names = names_of_problems(root)
    if _is_problem(root):
        return [_read(root, root.resolve().name)]
    found: list[AnyProblem] = []
    _collect(root, names, "", (root.resolve(),), found)
    return sorted(found, key=lambda each: path_order(each.name))


def names_of_problems(root: Path) -> list[str]:
    """Return the names in the folder of all problems.

    Raises:
        CasesError: The root is no folder, can't be read, or holds no case at all.
    """
    try:
        names = names_in(root)
    except OSError as error:
        raise CasesError(
            f"the folder of test cases {root} can't be read ({reason(error)}): name the right one"
            f" in TEST_CASES, or mend its permissions"
        ) from error
    if not names:
        raise CasesError(
            f"the folder of test cases {root} holds no case: add a folder with a program, X.in and"
            f" X.out, or name the right folder in TEST_CASES"
        )
    return names


def _read(folder: Path, name: str) -> AnyProblem:
    if is_package(folder):
        return read_package(folder, name)
    if (folder / _OF_POLYGON).is_file():
        return RefusedProblem(
            printable(name),
            folder,
            "it is a package of Polygon, whose checker speaks a protocol of its own; to judge by"
            " comparison, copy its tests and a program to a folder of their own",
        )
    return read_plain(folder, name)


def _collect(
    folder: Path,
    names: list[str],
    prefix: str,
    above: tuple[Path, ...],
    found: list[AnyProblem],
) -> None:
    packages = any(is_package(folder / name) for name in names)
    for name in names:
        path = folder / name
        called = prefix + name
        if leads_back(path, above):
            told = f"{name}: a link to a folder that it lies in; remove it"
            found.append(BrokenProblem(printable(called), path, (printable(told),)))
        elif _is_collection(path, above):
            inside = (*above, path.resolve())
            _collect(path, names_in(path), f"{called}/", inside, found)
        elif name.endswith(_PACKED) and not path.is_dir():
            told = f"{name}: a packed problem; unpack it into a folder"
            found.append(BrokenProblem(printable(called), path, (printable(told),)))
        elif packages and _holds_documents(path):
            told = "it holds nothing but documents"
            found.append(RefusedProblem(printable(called), path, told))
        elif path.is_dir() or not packages or has_ending(name):
            found.append(_read(path, called))


def _is_collection(folder: Path, above: tuple[Path, ...]) -> bool:
    """Tell whether a folder is no problem itself, but holds problems, or folders of them."""
    if len(above) > _DEEPEST or leads_back(folder, above):
        return False
    try:
        names = names_in(folder)
        folders = [folder / name for name in names if (folder / name).is_dir()]
        if not folders or _is_problem(folder) or any(has_ending(name) for name in names):
            return False
        inside = (*above, folder.resolve())
        return len(folders) == len(names) or any(
            _is_problem(each) or _is_collection(each, inside) for each in folders
        )
    except OSError:
        return False


def _holds_documents(folder: Path) -> bool:
    """Tell whether a folder has files, and all of them are for people to read."""
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return bool(files) and all(path.suffix.lower() in _DOCUMENTS for path in files)


def _is_problem(folder: Path) -> bool:
    return (
        is_package(folder)
        or (folder / _OF_POLYGON).is_file()
        or (folder / "submissions").is_dir()
        or holds_data(folder)
    )
