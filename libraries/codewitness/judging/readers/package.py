"""Problem packages of Kattis and ICPC: the format 2025-09, its drafts, and the legacy format.

Also read is what DOMjudge adds: ``.timelimit``, ``domjudge-problem.ini``, its folders of
submissions, and its expectations in their sources.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codewitness.judging.languages import ENDINGS, has_ending, named
from codewitness.judging.problem import (
    BrokenProblem,
    Case,
    Problem,
    ProblemLimits,
    Program,
    RefusedProblem,
)
from codewitness.judging.readers.data import LATEST, DataReader, DataRules, Refused, validator_flags
from codewitness.judging.readers.files import (
    MOST_BYTES_OF_SETTINGS,
    names_in,
    printable,
    reason,
    unprintable_names,
    usable_file,
)
from codewitness.judging.readers.programs import (
    Hints,
    UnusableProgram,
    files_of,
    is_by_product,
    read_program,
)
from codewitness.judging.readers.settings import positive, read_mapping, words
from codewitness.judging.readers.submissions import Filing, Submissions, read_submissions

SETTINGS = "problem.yaml"
_LEGACY_VERSIONS = ("legacy", "legacy-icpc")
_DRAFT = re.compile(r"draft|\d{4}-\d{2}-draft|2023-07")

_MIB = 1 << 20


def is_package(folder: Path) -> bool:
    """Tell whether a folder is a problem package."""
    data = folder / "data"
    return (folder / SETTINGS).is_file() or (data / "secret").is_dir() or (data / "sample").is_dir()


def read_package(folder: Path, name: str) -> Problem | BrokenProblem | RefusedProblem:
    """Read a problem package.

    Args:
        folder: The package.
        name: What to call the problem.
    """
    problems: list[str] = []
    try:
        problem = _Package(folder, name, problems).read()
    except Refused as refusal:
        return RefusedProblem(printable(name), folder, printable(str(refusal)))
    except OSError as error:
        problems.append(f"{error.filename or name}: can't be read ({reason(error)}); mend it")
        problem = None
    if problems or problem is None:
        return BrokenProblem(printable(name), folder, tuple(map(printable, problems)))
    return problem


class _Package:
    def __init__(self, folder: Path, name: str, problems: list[str]) -> None:
        self._folder = folder
        self._name = name
        self._problems = problems
        self._notes: list[str] = []
        self._settings: dict[str, Any] = {}
        self._legacy = True
        self._latest = False

    def read(self) -> Problem | None:
        self._problems += unprintable_names([self._folder.name])
        self._read_version()
        if self._problems:
            return None
        scoring = self._read_type()
        limits = self._read_limits()
        constants = self._constants()
        validators = self._read_validators(constants)
        cases = self._read_data(constants, bool(validators))
        # The format knows no variants, and BAPCtools, which does, replaces none in submissions.
        plain = tuple(each for each in constants if "." not in each[0])
        filing = Filing(self._legacy, scoring, self._read_included(), plain)
        submissions = self._read_submissions(filing)
        title, titled = self._settings.get("name", ""), self._settings.get("name")
        if isinstance(titled, dict):
            title = titled.get("en") or next(iter(titled.values()), "")
        return Problem(
            name=self._name,
            folder=self._folder,
            layout=f"problem package, {self._settings.get('problem_format_version', 'legacy')}",
            submissions=tuple(submissions.usable),
            cases=tuple(cases),
            broken_submissions=tuple(submissions.broken),
            validators=validators,
            limits=limits,
            title=title if isinstance(title, str) else "",
            statement=self._find_statement(),
            scoring=scoring,
            notes=tuple(map(printable, self._notes)),
        )

    def _read_version(self) -> None:
        path = self._folder / SETTINGS
        if not path.exists() and not path.is_symlink():
            # DOMjudge does without.
            return
        usable = usable_file(path, SETTINGS, self._problems)
        values = read_mapping(SETTINGS, usable, self._problems)
        version = values.get("problem_format_version", "legacy")
        self._legacy = version in _LEGACY_VERSIONS
        self._latest = version == LATEST
        known = isinstance(version, str) and (
            self._legacy or self._latest or _DRAFT.fullmatch(version)
        )
        if not known:
            self._problems.append(
                f"{SETTINGS}: problem_format_version: {reprlib.repr(version)} is none that is read;"
                f" known are {', '.join(_LEGACY_VERSIONS)}, {LATEST} and drafts of it"
            )
        if self._latest:
            self._problems += [
                f"{SETTINGS}: unknown key {key!r}; the format {LATEST} has none of this name"
                for key in values
                if key not in _KEYS
            ]
        self._settings = values

    def _setting(self, key: str, convert: Any, default: Any) -> Any:
        value = self._settings.get(key)
        if value in (None, ""):
            return default
        try:
            return convert(value)
        except ValueError as error:
            self._problems.append(f"{SETTINGS}: {key}: {error}")
            return default

    def _read_type(self) -> bool:
        """Return whether it is a scoring problem.

        Raises:
            Refused: It is of a type that can't be judged.
        """
        types = set(self._setting("type", words, ("pass-fail",)))
        validation = self._setting("validation", words, ("default",))
        if not self._latest:
            types |= set(validation[1:])
        why = [_REFUSED[each] for each in sorted(types) if each in _REFUSED]
        if why:
            raise Refused("; ".join(why))
        if (self._folder / "static_validator").is_dir():
            raise Refused("it has a static validator, which judges sources and not runs")
        unknown = types - _TYPES
        if not self._latest and validation[0] not in ("default", "custom"):
            unknown.add(validation[0])
        if unknown:
            self._problems.append(
                f"{SETTINGS}: {', '.join(sorted(unknown))}: unknown kind of problem or validation"
            )
        return bool(types & {"scoring", "score"})

    def _read_limits(self) -> ProblemLimits:
        values = self._settings.get("limits") or {}
        if not isinstance(values, dict):
            self._problems.append(f"{SETTINGS}: limits: must be lines such as 'memory: 512'")
            return ProblemLimits()
        given: dict[str, Any] = {}
        for key, value in values.items():
            grouped = isinstance(value, dict) and key == "time_multipliers"
            for name, number in (value if grouped else {key: value}).items():
                if number == "":
                    continue
                if name in _LIMITS:
                    field, convert = _LIMITS[name]
                    try:
                        given[field] = convert(number)
                    except ValueError as error:
                        self._problems.append(f"{SETTINGS}: limits: {name}: {error}")
                elif name not in _UNUSED_LIMITS and self._latest:
                    self._problems.append(f"{SETTINGS}: limits: unknown key {name!r}")
        if self._legacy:
            given.setdefault("ac_to_time_limit", 5.0)
            given.setdefault("time_limit_to_tle", 2.0)
        if "time" not in given:
            given["time"] = self._domjudge_time_limit()
        return ProblemLimits(**given)

    def _domjudge_time_limit(self) -> float | None:
        for name, pattern in _TIME_LIMITS.items():
            path = self._folder / name
            if path.is_file() and path.stat().st_size < MOST_BYTES_OF_SETTINGS:
                found = pattern.search(path.read_text("utf-8", "replace"))
                if found:
                    try:
                        return positive(found[1])
                    except ValueError as error:
                        self._problems.append(f"{name}: time limit: {error}")
        return None

    def _constants(self) -> tuple[tuple[str, str], ...]:
        values = self._settings.get("constants") or {}
        constants: dict[str, Any] = {}
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, dict):
                # Other ways to write a value, such as with a decimal comma, are {{name.variant}}.
                constants |= {f"{name}.{variant}": text for variant, text in value.items()}
                value = value.get("value")
            constants[name] = value
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in constants.values()):
            self._problems.append(f"{SETTINGS}: constants: must be lines such as 'max_n: 100'")
            return ()
        return tuple(constants.items())

    def _read_validators(self, constants: tuple[tuple[str, str], ...]) -> tuple[Program, ...]:
        validation = self._setting("validation", words, ("default",))
        candidates = [self._folder / name for name in ("output_validator", "output_validators")]
        folders = [folder for folder in candidates if folder.is_dir()]
        if self._legacy and validation[0] == "default":
            self._notes += [f"{each.name}: not used, as validation is default" for each in folders]
            return ()
        if len(folders) > 1:
            self._problems.append(
                "output_validator and output_validators: the one belongs to the format"
                f" {LATEST}, the other to the legacy format; keep one"
            )
            return ()
        custom = validation[0] == "custom"
        if not folders and custom:
            self._problems.append(
                f"{SETTINGS}: validation is custom, but there is no output_validators; add the"
                f" program, or say 'validation: default'"
            )
        programs = []
        for folder in folders:
            try:
                paths = list(_programs_in(folder))
            except OSError as error:
                self._problems.append(f"{folder.name}: can't be read ({reason(error)}); mend it")
                continue
            if not paths:
                self._problems.append(f"{folder.name}: empty; add the program or delete the folder")
            if len(paths) > 1 and folder.name == "output_validator":
                self._problems.append(
                    f"{folder.name}: {' and '.join(path.name for path in paths)}: the format"
                    f" {LATEST} has one output validator; keep one"
                )
            programs += [self._read_validator(folder, path, constants) for path in paths]
        return tuple(program for program in programs if program)

    def _read_validator(
        self, folder: Path, path: Path, constants: tuple[tuple[str, str], ...]
    ) -> Program | None:
        shown = folder.name if path == folder else f"{folder.name}/{path.name}"
        above = () if path == folder else (folder.resolve(),)
        if path.is_dir() and (path / "build").is_file():
            raise Refused(
                f"its validator {shown} is made by a script of its own (build), which is not run"
            )
        hints = Hints(settings="its folder")
        if path.is_dir() and (path / "run").is_file():
            hints = Hints(language="bash", entry="run", settings="its folder")
        try:
            return read_program(path, shown, hints, above=above, constants=constants)
        except UnusableProgram as error:
            self._problems.append(str(error))
            return None

    def _read_included(self) -> dict[str, dict[str, Path]]:
        folder = self._folder / "include"
        included: dict[str, dict[str, Path]] = {}
        if not folder.is_dir():
            return included
        for code in names_in(folder):
            shown = f"include/{code}"
            language = "default" if code == "default" else named(code)
            if not (folder / code).is_dir() or language is None:
                self._notes.append(f"{shown}: not used, as it is named after no known language")
                continue
            above = (folder.resolve(),)
            files = files_of(folder / code, shown, self._problems, above)
            included[language] = {name: path for name, path in files.items() if path}
        default = included.pop("default", {})
        languages = dict.fromkeys((*ENDINGS, *included))
        return {each: {**default, **included.get(each, {})} for each in languages}

    def _read_submissions(self, filing: Filing) -> Submissions:
        folder = self._folder / "submissions"
        found = read_submissions(folder, filing, self._problems, self._notes)
        if self._problems:
            return found
        if not any(each.solves for each in found.usable):
            told = "; ".join(each.reason for each in found.broken if each.filed == "accepted")
            self._problems.append(
                told or "submissions: none is filed as accepted; add one to submissions/accepted"
            )
        return found

    def _find_statement(self) -> Path | None:
        for folder in ("statement", "problem_statement"):
            found = sorted((self._folder / folder).glob("problem*.*"))
            statements = [path for path in found if path.suffix in (".md", ".tex", ".pdf")]
            english = [path for path in statements if ".en." in path.name]
            if statements:
                return (english or statements)[0]
        pdf = self._folder / "problem.pdf"
        return pdf if pdf.is_file() else None

    def _read_data(self, constants: tuple[tuple[str, str], ...], validated: bool) -> list[Case]:
        flags = () if self._latest else self._setting("validator_flags", validator_flags, ())
        rules = DataRules(self._legacy, self._latest, validated, flags, dict(constants))
        reader = DataReader(self._folder / "data", rules, self._problems)
        cases = reader.read()
        if reader.ignored:
            self._notes.append(f"data: {reader.ignored} files are no test data by their names")
        return cases


def _programs_in(folder: Path) -> Iterator[Path]:
    """Yield the files and folders that are programs of their own."""
    names = [name for name in names_in(folder) if not is_by_product(name)]
    folders = [name for name in names if (folder / name).is_dir()]
    files = [name for name in names if name not in folders]
    programs = [name for name in files if has_ending(name)]
    if files and (len(programs) != len(files) or "run" in files) and not folders:
        # Sources with what they need, such as headers, make one program.
        yield folder
        return
    if len(programs) > 1 and folder.name == "output_validator" and not folders:
        yield folder
        return
    yield from (folder / name for name in names)


def _mebibytes(value: Any) -> int:
    return int(positive(value) * _MIB)


def _multiplier(value: Any) -> float:
    number = positive(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


_TYPES = {"pass-fail", "scoring", "score"}
_REFUSED = {
    kind: f"it is {kind}: {why}"
    for kind, why in {
        "interactive": "its program talks with a validator while it runs, and a service that"
        " executes on one request can't connect the two",
        "multi-pass": "its program runs again on what a validator makes of its output",
        "multipass": "its program runs again on what a validator makes of its output",
        "submit-answer": "answers are submitted, and nothing is executed",
    }.items()
}

_KEYS = {
    *("problem_format_version", "type", "name", "uuid", "version", "credits", "source", "license"),
    *("rights_owner", "embargo_until", "limits", "keywords", "languages", "allow_file_writing"),
    "constants",
}

_LIMITS: Mapping[str, tuple[str, Any]] = {
    "time_limit": ("time", positive),
    "time_resolution": ("time_resolution", positive),
    "ac_to_time_limit": ("ac_to_time_limit", _multiplier),
    "time_limit_to_tle": ("time_limit_to_tle", _multiplier),
    "time_multiplier": ("ac_to_time_limit", _multiplier),
    "time_safety_margin": ("time_limit_to_tle", _multiplier),
    "memory": ("memory", _mebibytes),
    "output": ("output", _mebibytes),
    "compilation_time": ("compilation_time", positive),
    "compilation_memory": ("compilation_memory", _mebibytes),
    "validation_time": ("validation_time", positive),
    "validation_memory": ("validation_memory", _mebibytes),
}
_UNUSED_LIMITS = ("code", "validation_output", "validation_passes")

_TIME_LIMITS = {
    ".timelimit": re.compile(r"^\s*(\S+)"),
    "domjudge-problem.ini": re.compile(r"^\s*timelimit\s*=\s*['\"]?([^'\"\s]+)", re.MULTILINE),
}
