"""What CI services run: valid files with few rights, and the scripts that they call."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

import annotate
import check_secrets
import keyword_docs
from codewitness.execution.redaction import SECRET_VARIABLES
from tests.robot_runs import PROJECT, run_robot

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
AZURE = PROJECT / "azure-pipelines.yml"
SECRET = 'p"ä/ss+wörd&<%41>'


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> list[Any]:
    return [
        pytest.param(job, id=f"{path.stem} {name}")
        for path in WORKFLOWS
        for name, job in read(path)["jobs"].items()
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("vendor.github-workflows", *map(str, WORKFLOWS)),
        ("custom.github-workflows-require-timeout", *map(str, WORKFLOWS)),
        (
            *("vendor.azure-pipelines", "--data-transform", "azure-pipelines"),
            *("--regex-variant", "nonunicode", str(AZURE)),
        ),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_files_are_valid(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_rights_are_given_one_by_one(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        allowed = {"contents": "read", "pages": "write", "id-token": "write"}
        assert job.get("permissions", {}).items() <= allowed.items()
    # Whoever sends a pull request from a fork must not get at a secret.
    text = path.read_text(encoding="utf-8")
    assert "pull_request_target" not in text
    assert ("pull_request" in text) <= ("secrets.BACKEND" not in text)


@pytest.mark.parametrize("job", jobs())
def test_nothing_is_published_before_it_was_checked_for_secrets(job: dict[str, Any]) -> None:
    checked = False
    for step in job["steps"]:
        run, uses = step.get("run", ""), step.get("uses", "")
        checked = checked or "check_secrets.py" in run
        publishes = "GITHUB_STEP_SUMMARY" in run or "upload-" in uses
        # Parts of a run are no report: the job that merges them checks them.
        if not publishes or str(step.get("with", {}).get("name", "")).startswith("shard-"):
            continue
        assert checked, step
        if "if" in step:
            assert "steps.secrets.outcome == 'success'" in step["if"], step


@pytest.mark.parametrize("job", jobs())
def test_reports_are_published_also_where_tests_fail(job: dict[str, Any]) -> None:
    for step in job["steps"]:
        if "upload-artifact" in step.get("uses", "") or "GITHUB_STEP_SUMMARY" in step.get(
            "run", ""
        ):
            assert step["if"].startswith("always()"), step


def test_actions_are_named_by_version() -> None:
    used = [step["uses"] for job in jobs() for step in job.values[0]["steps"] if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"[\w./-]+@(v\d+|[0-9a-f]{40})", name)] == []


def test_secrets_come_from_the_store_alone() -> None:
    for path in [*WORKFLOWS, AZURE]:
        text = path.read_text(encoding="utf-8")
        for name in SECRET_VARIABLES:
            for value in re.findall(rf"^ +{name}: (.*)$", text, flags=re.MULTILINE):
                assert re.fullmatch(rf"\$\{{\{{ secrets\.{name} }}}}|\$\(\w+\)", value), value


def test_azure_publishes_results_and_misses_them() -> None:
    (job,) = read(AZURE)["jobs"]
    steps = {step.get("task") or next(iter(step)): step for step in job["steps"]}
    results = steps["PublishTestResults@2"]
    assert results["inputs"]["failTaskOnMissingResultsFile"] is True
    for step in (results, steps["publish"]):
        assert step["condition"] == "and(always(), eq(variables.isClean, 'true'))"


def commands(text: str) -> list[str]:
    return re.findall(r"(?:\.ci|libraries|variables)/[\w./-]+", text)


def test_files_that_are_run_exist() -> None:
    named = {name for path in [*WORKFLOWS, AZURE] for name in commands(path.read_text("utf-8"))}
    assert {".ci/run", ".ci/machine", ".ci/nightly", ".ci/check_secrets.py"} <= named
    assert [name for name in named if not (PROJECT / name).exists()] == []


# The check for secrets


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        json.dumps({"said": SECRET}),
        "p&quot;ä/ss+wörd&amp;&lt;%41&gt;",
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
        *(base64.b64encode(f"{'user:'[:n]}{SECRET} and more".encode()).decode() for n in range(6)),
        base64.urlsafe_b64encode(f"u:{SECRET}".encode()).decode(),
        f'"*{base64.b64encode(zlib.compress(f"it was {SECRET}".encode(), 9)).decode()}"',
    ],
)
def test_secret_is_found_in_every_form(
    content: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BACKEND_AUTHORIZATION", f"Bearer {SECRET}")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log.html").write_text(f"before {content} after", encoding="utf-8")
    assert check_secrets.main([str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "log.html holds the value of BACKEND_AUTHORIZATION" in told
    assert SECRET not in told


def test_clean_folder_passes_and_a_missing_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log.html").write_text("nothing here", encoding="utf-8")
    monkeypatch.setenv("MY_TOKEN", "nothing")
    assert check_secrets.main([str(tmp_path)]) == 0
    assert check_secrets.main([str(tmp_path), "--also", "MY_TOKEN"]) == 1
    with pytest.raises(SystemExit):
        check_secrets.main([str(tmp_path / "missing")])


# Annotations


def test_failures_are_annotated_on_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "suites" / "1__a" / "b.robot"
    suite.parent.mkdir(parents=True)
    suite.write_text(
        "*** Test Cases ***\nGood\n    No Operation\n\nBad: One\n    Fail    50%\\nx\n"
    )
    run_robot(tmp_path / "results", suites=tmp_path / "suites")
    output = str(tmp_path / "results" / "output.xml")
    assert annotate.main([output, "--style", "github"]) == 0
    assert annotate.main([output, "--style", "azure"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "::error file=suites/1__a/b.robot,line=5,title=Bad%3A One::50%25%0Ax",
        "##vso[task.logissue type=error;sourcepath=suites/1__a/b.robot;linenumber=5]Bad: One: 50%",
    ]


# Keywords


def test_every_keyword_is_documented_and_found_from_the_index(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert keyword_docs.main([str(tmp_path)]) == 0
    assert capfd.readouterr().err == ""
    sources = {
        *(path.stem for path in (PROJECT / "resources").glob("*.resource")),
        *(path.stem for path in (PROJECT / "libraries").glob("*Library.py")),
    }
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="(\w+)\.html"', index)) == sources
    assert {path.stem for path in tmp_path.iterdir()} == sources | {"index"}
    assert "<script" not in index
    assert "style=" not in index
    assert "<dd> Keywords" not in index
