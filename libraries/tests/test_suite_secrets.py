"""No secret reaches anything that a run writes, prints or hands to a process."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import os
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from codewitness.embedded.identity import Form
from codewitness.embedded.service import start_service, without_secrets
from tests.front_door import Call, FrontDoor, Reply
from tests.loopback_identity import running_identity
from tests.robot_runs import PROJECT, SUITES, RobotRun, StartedRobot, environment, wait_until

# The middle of each is plain, so that it is found however its neighbours are escaped.
CORES = ("Canary4Authorization7", "Canary4ApiKey7")
SECRETS = {
    "BACKEND_AUTHORIZATION": f"Bearer t0p+/\"<&'{CORES[0]}\\%41=",
    "BACKEND_API_KEY": f"k3y {{\"<&'{CORES[1]}\\%41}}",
}
HEADERS = {"authorization": "BACKEND_AUTHORIZATION", "x-api-key": "BACKEND_API_KEY"}


@pytest.fixture(autouse=True)
def _dumps_are_allowed() -> Iterator[None]:
    """Start runs where a core dump is possible, as on a developer's machine."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def traces_of(content: bytes, cores: Sequence[str] = CORES) -> list[str]:
    """Return the secrets that some bytes hold: as they are, encoded, or packed as in log.html."""
    packed = re.findall(rb'"\*(eN[\w+/]+=*)"', content)
    unpacked = [zlib.decompress(base64.b64decode(text)) for text in packed]
    everything = b"\n".join([content, *unpacked])
    found = []
    for core in cores:
        raw = core.encode()
        # Three positions within the groups of three bytes; what depends on neighbours is cut off.
        encoded = [base64.b64encode(b"\0" * n + raw)[4:-4] for n in range(3)]
        if any(form in everything for form in (raw, raw.hex().encode(), *encoded)):
            found.append(core)
    return found


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    "written", ["{}", "Basic {}", '"*{}"'], ids=["plain", "base64", "packed in log.html"]
)
def test_traces_would_be_found(core: str, written: str) -> None:
    forms = {
        "{}": f"before{core}after".encode(),
        "Basic {}": base64.b64encode(f"user:{core}!".encode()),
        '"*{}"': base64.b64encode(zlib.compress(f"before {core} after".encode(), 9)),
    }
    assert traces_of(written.encode().replace(b"{}", forms[written])) == [core]


def told_back(headers: Mapping[str, str]) -> list[str]:
    """Return the credentials of a request in the forms in which servers tell them back."""
    values = [headers[name] for name in HEADERS if name in headers]
    return [
        form
        for value in values
        for form in (value, value.partition(" ")[2], html.escape(value), quote(value, safe=""))
    ]


def gossip(call: Call) -> Reply | None:
    """Ask for both credentials, and spread them in most answers."""
    for header, name in HEADERS.items():
        if call.headers.get(header) != SECRETS[name]:
            return Reply(401, json.dumps({"message": f"bad {call.headers.get(header)}"}).encode())
    return spread(call)


def spread(call: Call) -> Reply | None:
    """Tell credentials back in most answers, whatever they are."""
    told = told_back(call.headers)
    result = {"language": "python", "version": "3.11.2", "run": {"stderr": "", "code": 0}}
    replies = {
        2: Reply(500, json.dumps({"message": f"broken: {told}"}).encode()),
        3: Reply(200, json.dumps(result | {"run": {"stdout": "\n".join(told)}}).encode()),
        4: Reply(401, "\n".join(told).encode(), "text/plain"),
        5: Reply(302, b"", location=f"https://login.example/{quote(told[0])}?t={quote(told[1])}"),
        6: Reply(200, "\n".join(told).encode(), "text/html"),
        7: Reply(403, json.dumps({"stack": f"Error: {told}\n  at /srv/{told[0]}:1"}).encode()),
        8: Reply(200, json.dumps(with_stdout("\n".join([*told, "x" * 3000]))).encode()),
        9: Reply(400, json.dumps({"message": f"{told[0]}-* runtime is unknown"}).encode()),
        10: Reply(200, json.dumps({**with_stdout("1\n"), "version": told[0]}).encode()),
    }
    return replies.get(call.number % 12)


def with_stdout(stdout: str) -> dict[str, object]:
    run = {"stdout": stdout, "stderr": stdout, "code": 0, "message": stdout}
    return {"language": "python", "version": "3.11.2", "run": run}


def watch(pid: int, goes_on: Callable[[], bool]) -> Iterator[str]:
    """Yield the command lines of a run and of all that it starts, until it ends.

    None of the services, nor anything that they start, may dump a core.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        while goes_on():
            below = root.children(recursive=True)
            for process in [root, *below]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    yield "\0".join(process.cmdline())
                    assert not (is_service(process) and may_dump(process)), process.cmdline()
            time.sleep(0.1)


def may_dump(process: psutil.Process) -> bool:
    """Tell whether a process may leave a core dump."""
    with contextlib.suppress(OSError):
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        return not re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    # It is gone.
    return False


def is_service(process: psutil.Process) -> bool:
    """Tell whether a process was started by a run: an embedded service, or what that starts."""
    above = [process, *process.parents()]
    return any("codewitness" in " ".join(it.cmdline()[1:2]) for it in above)


EVERYTHING = ("--loglevel", "TRACE", "--xunit", "xunit.xml", "--debugfile", "debug.txt")


def run_watched(
    folder: Path,
    *options: str,
    suites: Path = SUITES,
    cores: Sequence[str] = CORES,
    secrets: Mapping[str, str],
) -> RobotRun:
    """Run suites with secrets in the environment and everything written down; check it all."""
    environ = environment(**secrets)
    with StartedRobot(folder, *EVERYTHING, *options, suites=suites, environ=environ) as robot:
        for line in watch(robot.process.pid, lambda: robot.process.poll() is None):
            assert not traces_of(line.encode(), cores)
        run = robot.finish()
    assert not traces_of(run.console.encode(), cores), run.console
    assert no_traces_below(folder, cores) >= {"output.xml", "log.html", "xunit.xml", "debug.txt"}
    return run


def no_traces_below(folder: Path, cores: Sequence[str]) -> set[str]:
    """Look through all files of a folder, and return their names."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    leaks = {str(path): traces_of(path.read_bytes(), cores) for path in files}
    assert not {path: found for path, found in leaks.items() if found}
    return {path.name for path in files}


def test_failures_of_a_service_that_tells_credentials_back(tmp_path: Path) -> None:
    sections = ["1 Basic Code Execution", "2 Input And Output", "3 Error Handling"]
    left_out = ["R1", "language-*", "rehearsal"]
    options = [word for name in sections for word in ("--suite", name)]
    options += [word for tag in left_out for word in ("--exclude", tag)]
    with (
        start_service(["backend", "--port", "0"]) as service,
        FrontDoor(service.url, gossip) as door,
    ):
        run = run_watched(
            tmp_path / "results", *options, "-v", f"ENDPOINT:{door.url}", secrets=SECRETS
        )
    assert len(run.failed) > 30
    assert len(run.passed) > 10
    messages = "\n".join(test.message for test in run.failed.values())
    assert "<redacted>" in messages
    assert '-H "X-API-Key: $BACKEND_API_KEY" -H "Authorization: $BACKEND_AUTHORIZATION"' in messages
    assert (tmp_path / "results" / "bodies").is_dir()


def test_credential_that_is_refused(tmp_path: Path) -> None:
    wrong = {name: value.replace("%41", "%42") for name, value in SECRETS.items()}
    with FrontDoor("http://127.0.0.1:9", gossip) as door:
        run = run_watched(tmp_path / "results", "-v", f"ENDPOINT:{door.url}", secrets=wrong)
    assert not run.passed
    assert "401" in run.tests[0].message


def test_credential_that_cannot_be_sent(tmp_path: Path) -> None:
    broken = {"BACKEND_AUTHORIZATION": SECRETS["BACKEND_AUTHORIZATION"] + "\nnext line"}
    run = run_watched(tmp_path / "results", "-v", "ENDPOINT:http://127.0.0.1:9", secrets=broken)
    assert not run.passed
    assert "BACKEND_AUTHORIZATION" in run.tests[0].message


def test_credentials_are_not_for_the_embedded_backend(tmp_path: Path) -> None:
    options = ["--include", "T1.1", "--include", "T5.1", "--test", "*.Environment Holds No Secrets"]
    run = run_watched(
        tmp_path / "results",
        "--test",
        "*.T1.1 *",
        "--test",
        "*.T5.1 *",
        *options[4:],
        secrets=SECRETS,
    )
    assert run.returncode == 0, run.brief
    assert len(run.passed) == 3


def test_credentials_go_with_every_request_when_the_service_wants_them(tmp_path: Path) -> None:
    def strict(call: Call) -> Reply | None:
        sent = {name: call.headers.get(header) for header, name in HEADERS.items()}
        return None if sent == SECRETS else Reply(401, b'{"message": "who are you?"}')

    tests = ["--test", "*.T1.1 *", "--test", "*.T5.1 *", "--suite", "*.Runtimes"]
    with (
        start_service(["backend", "--port", "0"]) as service,
        FrontDoor(service.url, strict) as door,
    ):
        run = run_watched(
            tmp_path / "results", "-v", f"ENDPOINT:{door.url}", *tests[:4], secrets=SECRETS
        )
    assert run.returncode == 0, run.brief
    assert len(run.passed) == 2
    assert len(door.calls) > 3


# Every credential source that a run may have; each has a part that is plain.
CANARIES = {
    "BACKEND_API_KEY": "k3y-Canary4ApiKey7",
    "AZURE_CLIENT_SECRET": "s3c~Canary4ClientSecret7",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD": "p4s-Canary4Certificate7",
    "AZURE_PASSWORD": "p4s-Canary4Password7",
    "IDENTITY_HEADER": "h3a-Canary4IdentityHeader7",
    "MSI_SECRET": "m5i-Canary4MsiSecret7",
    "HTTP_PROXY": "http://user:Canary4HttpProxy7@127.0.0.1:9",
    "HTTPS_PROXY": "http://user:Canary4HttpsProxy7@127.0.0.1:9",
}
CANARY_CORES = [
    *(re.search(r"Canary4[A-Za-z]+7", value)[0] for value in CANARIES.values()),  # type: ignore[index]
    "Canary4FederatedToken7",
]

LOOKS_AROUND = """\
import os, re

print("began")
MARK = re.compile(b"Canary" + rb"4[A-Za-z]+7")
seen = {" ".join(os.environ.values()).encode()}
for process in filter(str.isdigit, os.listdir("/proc")):
    for kind in ("environ", "cmdline", "maps", "status"):
        try:
            seen.add(open(f"/proc/{process}/{kind}", "rb").read())
        except OSError:
            pass
for top in ("/box", "/tmp", "/dev/shm", "/etc", "/var", "/run", "/home", "/mnt", "/srv", "/opt"):
    for folder, _, names in os.walk(top):
        for name in names:
            try:
                path = os.path.join(folder, name)
                seen.add(open(path, "rb").read(100_000) if os.path.isfile(path) else b"")
            except OSError:
                pass
print("seen", sorted(set(MARK.findall(b"".join(seen)))))
"""

SUITE = """\
*** Settings ***
Resource    {resource}

*** Variables ***
${{CODE}}    %{{LOOKS_AROUND}}

*** Test Cases ***
Looks Around
    Execute Python    ${{CODE}}
    Stdout Should Be    began\\nseen []\\n
"""


def planted(folder: Path, **instead: str) -> dict[str, str]:
    """Return an environment with a canary in every source that nothing else is put into."""
    token = folder / "federated-token"
    token.write_text("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJDYW5hcnkifQ.Canary4FederatedToken7")
    no_proxy = {"NO_PROXY": "127.0.0.1,localhost"}
    return {**CANARIES, "AZURE_FEDERATED_TOKEN_FILE": str(token), **no_proxy, **instead}


def test_programs_see_no_canary_of_any_source(tmp_path: Path) -> None:
    suite = tmp_path / "looks_around.robot"
    suite.write_text(SUITE.format(resource=(PROJECT / "resources/execution.resource").as_posix()))
    run = run_watched(
        tmp_path / "results",
        suites=suite,
        cores=CANARY_CORES,
        secrets=planted(tmp_path, LOOKS_AROUND=LOOKS_AROUND),
    )
    assert run.returncode == 0, run.brief


def test_proxy_that_is_out_of_order(tmp_path: Path) -> None:
    url = "http://backend.invalid:2000"
    run = run_watched(
        tmp_path / "results",
        "-v",
        f"ENDPOINT:{url}",
        "--test",
        "*.T1.1 *",
        cores=CANARY_CORES,
        secrets=planted(tmp_path),
    )
    assert not run.passed
    assert "127.0.0.1:9" in run.tests[0].message


@pytest.mark.parametrize(
    "form",
    [
        "app-service",
        pytest.param("client-secret", marks=pytest.mark.thorough),
        pytest.param("workload", marks=pytest.mark.thorough),
    ],
)
def test_token_that_a_service_tells_back(form: Form, tmp_path: Path) -> None:
    (tmp_path / "identity").mkdir()
    tests = ["--test", "*.T1.*", "--test", "*.T2.*", "--test", "*.T3.*", "--suite", "Arguments"]
    with (
        start_service(["backend", "--port", "0"]) as service,
        running_identity(tmp_path / "identity") as identity,
        FrontDoor(service.url, spread) as door,
    ):
        variables = identity.environment(form)
        secret = variables.get("IDENTITY_HEADER") or variables.get("AZURE_CLIENT_SECRET")
        if form == "workload":
            secret = Path(variables["AZURE_FEDERATED_TOKEN_FILE"]).read_text()
        assert secret
        run = run_watched(
            tmp_path / "results",
            "-v",
            f"ENDPOINT:{door.url}",
            *tests[:6],
            cores=[*CANARY_CORES, secret],
            secrets=planted(tmp_path, BACKEND_SCOPE="api://backend/.default", **variables),
        )
        tokens = {
            call.headers.get("authorization", "").removeprefix("Bearer ") for call in door.calls
        }
    assert len(run.failed) > 5
    assert tokens - {""}
    parts = [part for token in tokens for part in token.split(".")[1:] if part]
    no_traces_below(tmp_path / "results", parts)


def test_worker_of_pabot_that_is_killed(tmp_path: Path) -> None:
    results, temporary = tmp_path / "results", tmp_path / "t"
    temporary.mkdir()
    options = [*EVERYTHING, "--processes", "2", "--pabotlibport", "0", "--outputdir", str(results)]
    suites = [str(SUITES / "1__basic_code_execution"), str(SUITES / "2__input_output")]
    cores = [*CANARY_CORES, CORES[0]]
    environ = environment(
        **planted(
            tmp_path,
            BACKEND_AUTHORIZATION=SECRETS["BACKEND_AUTHORIZATION"],
            TMPDIR=str(temporary),
            # Where pabot looks for robot.
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        )
    )
    with (
        start_service(["backend", "--port", "0"]) as service,
        FrontDoor(service.url, spread) as door,
        (tmp_path / "console.txt").open("wb") as console,
    ):
        pabot = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("pabot")),
                *(*options, "-v", f"ENDPOINT:{door.url}", *suites),
            ],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: len(door.calls) > 8 or pabot.poll() is not None, 90)
            # Another child is pabot's own server.
            workers = [
                child
                for child in psutil.Process(pabot.pid).children()
                if "pabot_results" in " ".join(child.cmdline())
            ]
            assert workers
            workers[0].kill()
            for line in watch(pabot.pid, lambda: pabot.poll() is None):
                assert not traces_of(line.encode(), cores)
        finally:
            pabot.kill()
            pabot.wait()
    assert pabot.returncode != 0
    token = tmp_path / "federated-token"
    token.unlink()
    assert no_traces_below(tmp_path, cores) >= {"output.xml", "console.txt"}


def test_services_get_no_password_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    kept = without_secrets()
    assert not set(CANARIES) & set(kept)
    assert kept["NO_PROXY"] == "127.0.0.1"
