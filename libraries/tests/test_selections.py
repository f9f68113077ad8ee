"""The argument files of selections: their options exist, and they select something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from robot import api
from robot.run import RobotFramework

from codewitness.target.settings import KNOWN_SETTINGS
from tests.robot_runs import PROJECT, SUITES

FOLDER = PROJECT / "variables" / "selections"
FILES = sorted(FOLDER.glob("*.args"))


def options_of(file: Path) -> dict[str, Any]:
    options, _ = RobotFramework().parse_arguments(["-A", str(file), str(SUITES)])
    return dict(options)


def selected(file: Path) -> list[Any]:
    options = options_of(file)
    suite = api.TestSuiteBuilder().build(SUITES)
    suite.filter(included_suites=options.get("suite"), included_tags=options.get("include"))
    return list(suite.all_tests)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_selection_selects_and_says_how_to_use_it(file: Path) -> None:
    assert selected(file)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert f"robot -A variables/selections/{file.name} --outputdir results suites/" in text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_selection_gives_settings_that_exist(file: Path) -> None:
    for variable in options_of(file).get("variable", ()):
        name, _, value = variable.partition(":")
        KNOWN_SETTINGS[name].convert(name, value)


def test_phases_together_are_everything() -> None:
    phases = [FOLDER / f"phase-{number}.args" for number in (1, 2, 3)]
    parts = [{test.full_name for test in selected(file)} for file in phases]
    everything = {test.full_name for test in api.TestSuiteBuilder().build(SUITES).all_tests}
    assert set().union(*parts) == everything
    assert sum(map(len, parts)) == len(everything)


def test_section_file_names_every_section() -> None:
    text = (FOLDER / "section.args").read_text(encoding="utf-8")
    for suite in api.TestSuiteBuilder().build(SUITES).suites:
        assert suite.name in text
