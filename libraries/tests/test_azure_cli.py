"""The README's commands for Azure, which this project can't run: parsed, and checked by a list."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

OPTIONS = Path(__file__).with_name("azure_cli_options.yaml")
ANY_COMMAND = "any command"


class Command(NamedTuple):
    name: str
    options: tuple[str, ...]


def az_commands(text: str) -> Iterator[Command]:
    """Yield the az commands of a text's bash blocks, those within others too."""
    for block in re.findall(r"^```bash\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            inner = re.findall(r"\$\((az [^()]*)\)", line)
            outer = re.sub(r"\$\(az [^()]*\)", "VALUE", line)
            yield from map(_parse, inner)
            if outer.startswith("az "):
                yield _parse(outer)


def _parse(line: str) -> Command:
    _, *words = shlex.split(line)
    first = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    options = (word.partition("=")[0] for word in words if re.match(r"-+[a-z]", word))
    return Command(" ".join(words[:first]), tuple(options))


def unknown(command: Command, known: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what of a command is not in the list."""
    if command.name not in known:
        return [command.name]
    listed = known[command.name].keys() | known[ANY_COMMAND].keys()
    return [f"{command.name} {option}" for option in command.options if option not in listed]


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, str]]:
    listed: dict[str, dict[str, str]] = yaml.safe_load(OPTIONS.read_text(encoding="utf-8"))
    return listed


@pytest.fixture(scope="module")
def readme(project_root: Path) -> str:
    return (project_root / "README.md").read_text(encoding="utf-8")


def test_every_command_and_option_of_the_readme_is_documented(
    readme: str, known: dict[str, dict[str, str]]
) -> None:
    assert [it for command in az_commands(readme) for it in unknown(command, known)] == []


def test_readme_creates_admits_and_removes(readme: str) -> None:
    used = [command.name for command in az_commands(readme)]
    for name in ("containerapp sessionpool create", "role assignment create", "group delete"):
        assert name in used
    (created,) = (it for it in az_commands(readme) if it.name == "containerapp sessionpool create")
    assert {"--max-sessions", "--ready-sessions", "--cooldown-period", "--target-port"} <= set(
        created.options
    )


def test_list_has_nothing_that_the_readme_does_not_use(
    readme: str, known: dict[str, dict[str, str]]
) -> None:
    names = {command.name for command in az_commands(readme)} | {ANY_COMMAND}
    assert known.keys() == names
    # Options for other registries are named beside the commands.
    listed = {option for options in known.values() for option in options}
    assert [option for option in listed if option not in readme] == []


def test_every_source_is_a_page_and_the_readme_names_it(
    readme: str, known: dict[str, dict[str, str]]
) -> None:
    for name, options in known.items():
        for option, source in options.items():
            assert source.startswith("https://learn.microsoft.com/"), (name, option)
            assert name == ANY_COMMAND or f"]({source})" in readme, (name, option, source)


TEXT = """\
az not --in a block

```bash
export ID=$(az identity show --name a --query id --output tsv) && echo
az group create --name "a b" \\
  --tags x=-1 --location=here --invented "$(az acr show -n r)"
robot suites/
```
"""


def test_commands_are_found_also_within_others() -> None:
    assert list(az_commands(TEXT)) == [
        Command("identity show", ("--name", "--query", "--output")),
        Command("acr show", ("-n",)),
        Command("group create", ("--name", "--tags", "--location", "--invented")),
    ]


def test_what_is_not_in_the_list_is_told(known: dict[str, dict[str, str]]) -> None:
    told = [unknown(command, known) for command in az_commands(TEXT)]
    assert told == [[], ["acr show -n"], ["group create --tags", "group create --invented"]]
    assert unknown(Command("group erase", ()), known) == ["group erase"]
