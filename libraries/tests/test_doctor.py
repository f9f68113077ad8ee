"""The examination before a run: what it says of settings, machine, credentials and target."""

from __future__ import annotations

from pathlib import Path

import pytest

from codewitness.embedded.cli import main
from codewitness.embedded.service import start_service
from codewitness.execution.credentials import default_tokens
from codewitness.session_pool.credentials import SCOPE
from codewitness.target.doctor import (
    Check,
    Examination,
    Health,
    Skip,
    examination_of_token,
    examinations_as_text,
    examine_machine,
)
from codewitness.target.doctor_cli import add_doctor
from codewitness.target.settings import KNOWN_SETTINGS
from tests.loopback_identity import running_identity, use_identity

SECRET = "a-key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*KNOWN_SETTINGS, "BACKEND_AUTHORIZATION", "BACKEND_SCOPE", "BACKEND_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def doctor(*arguments: str) -> int:
    return main(["doctor", *arguments], add_commands=add_doctor)


def test_nothing_listening_is_broken_and_secrets_stay_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKEND_API_KEY", SECRET)
    monkeypatch.setenv("ENDPOINT", f"http://user:{SECRET}@127.0.0.1:9")
    assert doctor() == 1
    out, err = capsys.readouterr()
    assert "<redacted>@127.0.0.1:9" in next(it for it in out.splitlines() if "ENDPOINT " in it)
    assert "ok       credentials of the backend: BACKEND_API_KEY as X-API-Key" in out
    assert "broken   target: " in out
    assert "to do: " in out
    assert err == "error: broken: target\n"
    assert SECRET not in out + err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-v", "ENDPIONT:http://x"], "'ENDPIONT' is no setting"),
        (["-v", "ENDPOINT"], "write -v NAME:VALUE"),
        (["-v", "ENDPOINT:"], "is empty"),
        (["-v", "costly:perhaps"], "use true or false"),
        (["-v", "Use Local Executor:true", "--endpoint", "http://x"], "contradict each other"),
        (["-V", "no-such-file.yaml"], "can't be read"),
        (["-V", "variables.py"], "no YAML or JSON file"),
    ],
)
def test_wrong_settings_are_wrong_usage(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(*arguments) == 2
    assert told in capsys.readouterr().err


def test_minimal_backend_is_healthy_and_what_it_lacks_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_service(["backend", "--minimal"]) as backend:
        settings = tmp_path / "settings.yaml"
        settings.write_text(f"ENDPOINT: {backend.url}\nHOSTILE: true\n", encoding="utf-8")
        # What -v says wins over the file.
        assert doctor("-V", str(settings), "-v", "HOSTILE:false") == 0
    out = capsys.readouterr().out
    assert "false" in next(it for it in out.splitlines() if it.startswith("HOSTILE "))
    assert "ok       languages: python " in out
    assert "warning  capabilities: args was accepted with HTTP 200 and had no effect" in out
    assert "skip     tests tagged language-java: the service does not list java" in out
    assert "skip     tests tagged dangerous: HOSTILE=false (Robot variable)" in out
    assert "0 broken" in out


def test_credential_that_answers_is_named_without_its_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_identity() as identity:
        use_identity(monkeypatch, identity)
        check = examination_of_token("credentials of the pool", SCOPE)
        token = default_tokens().fetch(SCOPE).token
    assert check.health is Health.OK
    assert check.seen.startswith(f"ManagedIdentityCredential gave a token for {SCOPE}: audience ")
    assert token not in check.seen


def test_token_that_nobody_gives_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_identity() as identity:
        use_identity(monkeypatch, identity)
    check = examination_of_token("credentials of the pool", SCOPE)
    assert check.health is Health.BROKEN
    assert check.remedy


def test_packages_are_held_to_their_pins(tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    for text, health, told in (
        ("no-such-package==1 \\\n", Health.BROKEN, "missing: no-such-package"),
        ("pyyaml==0.1 \\\n", Health.WARNING, "instead of 0.1"),
        ("other==1 ; sys_platform == 'win32' \\\n", Health.OK, "all 0 as pinned"),
    ):
        pins.write_text(text, encoding="utf-8")
        (check,) = (it for it in examine_machine(pins).checks if it.name == "packages")
        assert (check.health, told in check.seen) == (health, True), check


def test_text_has_a_line_for_each_finding_and_hides_secrets() -> None:
    checks = [
        Check("a", Health.OK, "fine"),
        Check("b", Health.BROKEN, f"said\nBearer {SECRET}", "mend it"),
    ]
    skips = [Skip("of c", "no c", "give c")]
    assert examinations_as_text([Examination(checks, skips, 0.25)]).splitlines() == [
        "ok       a: fine",
        "broken   b: said Bearer <redacted>; to do: mend it",
        "skip     tests of c: no c; to run them: give c",
        "",
        "In 0.2 s: 1 ok, 0 warning, 1 broken; skipped: 1 group of tests",
    ]
