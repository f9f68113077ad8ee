"""Test data of problem packages: cases, groups, and what is set for either."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codewitness.judging.comparison import TOKENS, Comparison, default_validator
from codewitness.judging.problem import Case, Content, NamedFile
from codewitness.judging.readers.files import leads_back, names_in, reason, usable_file
from codewitness.judging.readers.programs import files_of
from codewitness.judging.readers.settings import (
    Known,
    any_text,
    anything,
    read_mapping,
    read_settings,
    texts,
    words,
)

LATEST = "2025-09"

# What of a name the formats let be; anything else is as if it weren't there.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_GROUP_SETTINGS = ("testdata.yaml", "test_group.yaml")
_SHOWN_ONLY = (
    *(".in.statement", ".ans.statement", ".in.download", ".ans.download", ".interaction", ".out"),
    *(".hint", ".desc", ".png", ".jpg", ".jpeg", ".svg"),
)
_PART_OF_A_CASE = (".yaml", ".args", ".files")
# Folders with which packages test their own validators.
_OF_VALIDATORS = ("invalid_", "valid_", "bad")


class Refused(Exception):
    """The package is of a kind that can't be judged; the message says why."""


@dataclass(frozen=True)
class DataRules:
    """What a package says that holds for all of its test data.

    Attributes:
        legacy: Whether it is of the legacy format.
        latest: Whether it is of the format 2025-09, and not of a draft.
        has_validator: Whether a program of its own judges outputs.
        validator_flags: Arguments for the validator on every case.
        constants: Values that replace ``{{name}}`` in the settings of groups.
    """

    legacy: bool
    latest: bool
    has_validator: bool
    validator_flags: tuple[str, ...]
    constants: Mapping[str, str]


@dataclass(frozen=True)
class _CaseSettings:
    """What is set for a case, by itself or by the groups that it lies in.

    Attributes:
        args: Arguments for the program.
        validator_args: Arguments for the validator.
    """

    args: tuple[str, ...] = ()
    validator_args: tuple[str, ...] = ()


class DataReader:
    """Reads the folder ``data`` of a package.

    Args:
        data: The folder.
        rules: What holds for all of it.
        problems: Where to add what is wrong.

    Attributes:
        ignored: Number of files that are no test data by their names.
    """

    def __init__(self, data: Path, rules: DataRules, problems: list[str]) -> None:
        self.ignored = 0
        self._data = data
        self._rules = rules
        self._problems = problems
        self._comparisons: dict[tuple[str, ...], Comparison] = {}

    def read(self) -> list[Case]:
        """Return all cases, samples first, each group in natural order.

        Raises:
            Refused: Points are given for sources.
        """
        inherited = _CaseSettings(validator_args=self._rules.validator_flags)
        inherited = self._settings_of(self._data, "", inherited)
        above = (self._data.parent.resolve(), self._data.resolve())
        self._check_parts()
        before = len(self._problems)
        cases = [
            case
            for part in ("sample", "secret")
            if (self._data / part).is_dir()
            for case in self._read_group(self._data / part, part, inherited, above)
        ]
        if not cases and len(self._problems) == before:
            self._problems.append("data: no test case; add data/secret/X.in with X.ans")
        return cases

    def _check_parts(self) -> None:
        """Complain of test data that lies where nobody looks for it."""
        if not self._data.is_dir():
            return
        for name in names_in(self._data):
            path = self._data / name
            if name in ("sample", "secret"):
                if not path.is_dir():
                    self._problems.append(f"data/{name}: not a folder; replace it by one")
            elif path.is_dir() and not name.startswith(_OF_VALIDATORS):
                self._problems.append(
                    f"data/{name}: neither sample nor secret; rename it, or move it out of data"
                )
            elif name.endswith((".in", ".ans")):
                self._problems.append(
                    f"data/{name}: neither in sample nor in secret; move it into one"
                )

    def _read_group(
        self, folder: Path, name: str, inherited: _CaseSettings, above: tuple[Path, ...]
    ) -> Iterator[Case]:
        shown = f"data/{name}"
        if leads_back(folder, above):
            self._problems.append(f"{shown}: a link to a folder that it lies in; remove it")
            return
        try:
            names = names_in(folder)
        except OSError as error:
            self._problems.append(f"{shown}: can't be read ({reason(error)}); mend or delete it")
            return
        settings = self._settings_of(folder, name, inherited)
        kept = [each for each in names if self._is_data(each, shown)]
        present = set(kept)
        stems = {each[:-3] for each in kept if each.endswith(".in")}
        groups = 0
        if not kept and "/" in name:
            self._problems.append(f"{shown}: no test case; add one, or delete the folder")
        for each in kept:
            path = folder / each
            if each.endswith(".in"):
                case = self._read_case(folder, name, each[:-3], present, settings)
                if case is not None:
                    yield case
            elif path.is_dir() and not each.endswith(".files"):
                groups += 1
                inside = (*above, folder.resolve())
                yield from self._read_group(path, f"{name}/{each}", settings, inside)
            else:
                self._check_part(each, shown, stems)
        if name == "secret" and groups and stems and self._rules.latest:
            self._problems.append(
                f"{shown}: has test cases beside groups; the format {LATEST} allows one of both"
            )

    def _is_data(self, name: str, shown: str) -> bool:
        if _NAME.fullmatch(name):
            return True
        if name.endswith((".in", ".ans")):
            self._problems.append(
                f"{shown}/{name}: a name with characters that the format doesn't allow; rename it"
            )
        else:
            self.ignored += 1
        return False

    def _check_part(self, name: str, shown: str, stems: set[str]) -> None:
        """Complain of a file that belongs to a case which isn't there."""
        if name in _GROUP_SETTINGS:
            return
        if name.endswith(".ans"):
            if name[:-4] not in stems:
                self._problems.append(
                    f"{shown}/{name}: an answer without an input; add {name[:-4]}.in or delete it"
                )
            return
        for ending in (*_SHOWN_ONLY, *_PART_OF_A_CASE):
            if name.endswith(ending):
                if name[: -len(ending)] not in stems and ending in _PART_OF_A_CASE:
                    self._problems.append(
                        f"{shown}/{name}: belongs to no case; add"
                        f" {name[: -len(ending)]}.in or delete it"
                    )
                return
        self.ignored += 1

    def _read_case(
        self, folder: Path, group: str, stem: str, present: set[str], inherited: _CaseSettings
    ) -> Case | None:
        shown = f"data/{group}/{stem}"
        if f"{stem}.ans" not in present:
            self._problems.append(
                f"{shown}.in: an input without an answer; add {stem}.ans or delete it"
            )
            return None
        given = usable_file(folder / f"{stem}.in", f"{shown}.in", self._problems)
        expected = usable_file(folder / f"{stem}.ans", f"{shown}.ans", self._problems)
        settings = inherited
        if f"{stem}.yaml" in present:
            path = usable_file(folder / f"{stem}.yaml", f"{shown}.yaml", self._problems)
            strict = self._rules.latest
            own = read_settings(f"{shown}.yaml", path, _CASE_KEYS, self._problems, strict=strict)
            settings = self._merged(inherited, own, replacing=True)
        if f"{stem}.args" in present:
            settings = replace(settings, args=self._read_args(folder / f"{stem}.args", shown))
        return Case(
            name=f"{group}/{stem}",
            stdin=Content(given),
            expected=Content(expected),
            args=settings.args,
            files=self._read_files(folder / f"{stem}.files", shown),
            comparison=self._comparison(settings.validator_args, shown),
            validator_args=settings.validator_args,
        )

    def _read_args(self, path: Path, shown: str) -> tuple[str, ...]:
        usable = usable_file(path, f"{shown}.args", self._problems)
        if usable is None:
            return ()
        try:
            return tuple(shlex.split(usable.read_text("utf-8-sig")))
        except ValueError as error:
            self._problems.append(f"{shown}.args: no list of arguments ({error}); mend it")
            return ()

    def _read_files(self, folder: Path, shown: str) -> tuple[NamedFile, ...]:
        if not folder.exists():
            return ()
        if not folder.is_dir():
            self._problems.append(f"{shown}.files: not a folder; replace it by one")
            return ()
        files = files_of(folder, f"{shown}.files", self._problems, ())
        return tuple(NamedFile(name, path) for name, path in files.items() if path)

    def _comparison(self, args: tuple[str, ...], shown: str) -> Comparison:
        if self._rules.has_validator:
            return TOKENS
        known = self._comparisons
        if args not in known:
            known[args] = TOKENS
            try:
                known[args] = default_validator(_later(args) if self._rules.legacy else args)
            except ValueError as error:
                self._problems.append(f"{shown}: arguments of the output validator: {error}")
        return known[args]

    def _settings_of(self, folder: Path, name: str, inherited: _CaseSettings) -> _CaseSettings:
        shown = f"data/{name}".rstrip("/")
        found = [each for each in _GROUP_SETTINGS if (folder / each).exists()]
        if len(found) > 1:
            self._problems.append(f"{shown}: {' and '.join(found)}; keep the one of your format")
            return inherited
        for each in found:
            path = usable_file(folder / each, f"{shown}/{each}", self._problems)
            values = read_mapping(f"{shown}/{each}", path, self._problems, self._rules.constants)
            if values.get("static_validation_score"):
                raise Refused(f"{shown}/{each} gives points for sources, which are not judged")
            own: dict[str, Any] = {}
            for key, value in values.items():
                convert = _GROUP_KEYS.get(key)
                try:
                    if convert is not None:
                        own[key] = convert(value)
                    elif self._rules.latest:
                        raise ValueError(f"unknown key; known are {', '.join(_GROUP_KEYS)}")
                except ValueError as error:
                    self._problems.append(f"{shown}/{each}: {key}: {error}")
            return self._merged(inherited, own, replacing=not self._rules.legacy)
        return inherited

    def _merged(
        self, inherited: _CaseSettings, own: Mapping[str, Any], *, replacing: bool
    ) -> _CaseSettings:
        args = own.get("args", inherited.args)
        flags = own.get("output_validator_args", own.get("output_validator_flags"))
        if flags is None:
            return replace(inherited, args=args)
        if not replacing:
            # The legacy format has flags of the problem and flags of the group, and passes both.
            flags = (*self._rules.validator_flags, *flags)
        return _CaseSettings(args, flags)


def _later(args: tuple[str, ...]) -> tuple[str, ...]:
    """Return arguments with every flag only where it stands last.

    Judges of the legacy format pass the flags of the problem and then those of the group, and
    let the later one hold.
    """
    kept: dict[str, tuple[str, ...]] = {}
    flag = ""
    for word in args:
        # Flags are words, and what may follow them is a number.
        if word[:1].isalpha() or not flag:
            flag = word
            kept.pop(flag, None)
            kept[flag] = (flag,)
        else:
            kept[flag] += (word,)
    return tuple(word for words_of_flag in kept.values() for word in words_of_flag)


def validator_flags(value: Any) -> tuple[str, ...]:
    """Return arguments for validators, as the legacy format gives them."""
    if isinstance(value, dict):
        value = value.get("flags", "")
    if not isinstance(value, str):
        return words(value) if value else ()
    try:
        # DOMjudge lets quotes hold words together, Kattis takes them as they are.
        return tuple(shlex.split(value))
    except ValueError:
        return tuple(value.split())


_CASE_KEYS: Known = {
    "args": texts,
    "output_validator_args": texts,
    "input_validator_args": anything,
    "input_visualizer_args": anything,
    "output_visualizer_args": anything,
    "full_feedback": anything,
    "hint": any_text,
    "description": any_text,
}
_GROUP_KEYS: Known = {
    **{key: convert for key, convert in _CASE_KEYS.items() if convert is not any_text},
    "output_validator_flags": validator_flags,
    "max_score": anything,
    "score_aggregation": anything,
    "static_validation_score": anything,
    "static_validator_args": anything,
    "require_pass": anything,
}
