from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from codewitness.target import rendezvous_service
from codewitness.target.rendezvous import (
    NotTogether,
    Owner,
    Rendezvous,
    RendezvousLost,
    find_owner,
    folder_of,
)
from tests.robot_runs import PROJECT, wait_until

SOON = 20.0

Process = subprocess.Popen[bytes]

WAITS_FOR_END_OF_STDIN = [sys.executable, "-c", "import sys; sys.stdin.read()"]

# What a process of a run does, as a process: joins, says so, and then does what it is told.
WORKER = """\
import sys
sys.path.insert(0, {libraries!r})
from codewitness.target.rendezvous import Owner, Rendezvous
place = Rendezvous(Owner(*{owner!r}), {index})
print(place.run_id, flush=True)
{action}
"""


@pytest.fixture
def owner_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Process]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen(WAITS_FOR_END_OF_STDIN, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()
        wait_until(lambda: not list(tmp_path.glob("codewitness-*")), SOON, "a folder is left")


@pytest.fixture
def owner(owner_process: Process) -> Owner:
    return owner_of(owner_process)


@pytest.fixture
def join(owner: Owner) -> Iterator[Callable[[], Rendezvous]]:
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(Rendezvous(owner)))


def owner_of(process: Process) -> Owner:
    return Owner(process.pid, psutil.Process(process.pid).create_time())


def start_worker(owner: Owner, action: str, index: int = 0) -> subprocess.Popen[str]:
    program = WORKER.format(
        libraries=str(PROJECT / "libraries"),
        owner=(owner.pid, owner.created),
        index=index,
        action=action,
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def services_of(owner: Owner) -> list[psutil.Process]:
    folder = str(folder_of(owner))
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if folder in process.cmdline():
                found.append(process)
    return found


def at_once(actions: Sequence[Callable[[], object]]) -> list[object]:
    with ThreadPoolExecutor(len(actions)) as pool:
        return [it.result() for it in [pool.submit(action) for action in actions]]


def test_all_who_come_at_once_meet_in_one_place(
    owner: Owner, join: Callable[[], Rendezvous]
) -> None:
    places = at_once([join] * 8)
    assert len({place.run_id for place in places if isinstance(place, Rendezvous)}) == 1
    assert len(services_of(owner)) == 1


def test_two_runs_do_not_meet(join: Callable[[], Rendezvous]) -> None:
    with subprocess.Popen(WAITS_FOR_END_OF_STDIN, stdin=subprocess.PIPE) as other:
        another = Rendezvous(owner_of(other))
        assert another.run_id != join().run_id
        another.close()
        other.kill()


def test_folder_is_for_its_owner_alone(owner: Owner, join: Callable[[], Rendezvous]) -> None:
    join()
    assert folder_of(owner).stat().st_mode & 0o777 == 0o700


def test_folder_that_others_may_read_is_not_used(owner: Owner) -> None:
    folder_of(owner).mkdir()
    folder_of(owner).chmod(0o755)
    with pytest.raises(RendezvousLost, match="belongs to somebody else"):
        Rendezvous(owner)
    folder_of(owner).rmdir()


def test_whoever_does_not_know_the_nonce_is_told_nothing(
    owner: Owner, join: Callable[[], Rendezvous]
) -> None:
    join()
    address = json.loads((folder_of(owner) / rendezvous_service.ADDRESS).read_text())
    with socket.create_connection(("127.0.0.1", address["port"]), timeout=SOON) as connection:
        connection.sendall(b'{"nonce": "guessed", "pid": 1, "index": 0}\n{"do": "decide"}\n')
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_all_get_the_values_of_all(join: Callable[[], Rendezvous]) -> None:
    places = [join() for _ in range(3)]

    def give(number: int) -> dict[int, object]:
        return places[number - 1].exchange("clients", "start", number, 3, f"of {number}", SOON)

    got = at_once([lambda number=it: give(number) for it in (1, 2, 3)])  # type: ignore[misc]
    assert got == [{1: "of 1", 2: "of 2", 3: "of 3"}] * 3


def test_nobody_leaves_before_the_last_has_come(join: Callable[[], Rendezvous]) -> None:
    first, second = join(), join()
    left: list[float] = []

    def wait() -> None:
        first.exchange("clients", "start", 1, 2, None, SOON)
        left.append(time.monotonic())

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    came = time.monotonic()
    second.exchange("clients", "start", 2, 2, None, SOON)
    waiting.join(SOON)
    assert left[0] >= came


def test_who_does_not_come_is_named_when_time_is_up(join: Callable[[], Rendezvous]) -> None:
    places = [join() for _ in range(3)]
    with pytest.raises(NotTogether) as missed:
        places[0].exchange("clients", "start", 2, 3, None, 0.3)
    assert missed.value.missing == (1, 3)
    assert missed.value.gone == ()
    # Who comes later does not wait for others who have given up.
    with pytest.raises(NotTogether) as late:
        places[1].exchange("clients", "start", 1, 3, None, 600)
    assert late.value.missing == (1, 3)


def test_death_of_a_member_is_noticed_at_once(owner: Owner, join: Callable[[], Rendezvous]) -> None:
    place = join()
    action = 'place.exchange("clients", "start", 2, 3, None, 600)'
    with start_worker(owner, action) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().strip() == place.run_id
        threading.Timer(0.5, worker.kill).start()
        with pytest.raises(NotTogether) as missed:
            place.exchange("clients", "start", 1, 3, None, 600)
    assert missed.value.gone == (2,)
    with pytest.raises(NotTogether):
        place.exchange("clients", "reports", 1, 3, None, 600)


def test_place_outlives_whoever_started_it_with_all_its_children(
    owner: Owner, join: Callable[[], Rendezvous]
) -> None:
    with start_worker(owner, "sys.stdin.read()") as worker:
        assert worker.stdout is not None
        run_id = worker.stdout.readline().strip()
        starter = psutil.Process(worker.pid)
        for process in [*starter.children(recursive=True), starter]:
            process.kill()
    assert join().run_id == run_id


def test_flow_is_started_once_and_ends_with_the_owner(
    owner: Owner, owner_process: Process, join: Callable[[], Rendezvous]
) -> None:
    places = [join(), join()]
    flows = at_once([lambda it=it: it.flow(through_pool=True) for it in places])  # type: ignore[misc]
    first, second = flows
    assert first == second
    assert first.ended is None  # type: ignore[attr-defined]
    pids = [it.pid for it in first.services]  # type: ignore[attr-defined]
    assert len(pids) == 2
    (service,) = services_of(owner)
    # Whoever is still connected to it would be ended, too.
    for place in places:
        place.close()
    owner_process.kill()
    owner_process.wait(SOON)
    gone = [service.pid, *pids]
    wait_until(lambda: not any(map(psutil.pid_exists, gone)), SOON, "services are left")
    assert not folder_of(owner).exists()
    assert first.ended is not None  # type: ignore[attr-defined]


def test_processes_that_a_killed_owner_leaves_are_ended(
    owner_process: Process,
) -> None:
    owner = owner_of(owner_process)
    with start_worker(owner, "import time; time.sleep(600)") as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline()
        owner_process.kill()
        owner_process.wait(SOON)
        assert worker.wait(SOON) == -signal.SIGKILL


def test_flow_that_does_not_start_is_told_to_all(join: Callable[[], Rendezvous]) -> None:
    for place in (join(), join()):
        with pytest.raises(RuntimeError, match="no-such-fault"):
            place.flow(through_pool=False, fault="no-such-fault")


def test_end_of_the_place_is_one_clear_error(owner: Owner, join: Callable[[], Rendezvous]) -> None:
    place = join()
    (service,) = services_of(owner)
    service.kill()
    service.wait(SOON)
    with pytest.raises(RendezvousLost, match="has ended"):
        place.note_decided()
    with pytest.raises(RendezvousLost, match="can't be reached"):
        join()
    for file in folder_of(owner).iterdir():
        file.unlink()
    folder_of(owner).rmdir()


def test_last_process_knows_whether_anything_was_decided(owner: Owner) -> None:
    first, last = Rendezvous(owner, 0), Rendezvous(owner, 1)
    # The first one still runs.
    assert not last.nothing_is_decided(2, 0.3)
    first.close()
    assert last.nothing_is_decided(2, SOON)
    # Another one, which has been started earlier, has not come yet.
    assert not last.nothing_is_decided(3, 0.3)
    last.note_decided()
    assert not last.nothing_is_decided(2, SOON)
    last.close()


PABOT = """\
import os, subprocess, sys
print(os.getpid(), flush=True)
subprocess.run(["sh", "-c", '"$@"; true', "sh", sys.executable, "-c", sys.argv[1]])
"""

TELLS_ITS_OWNER = """\
import sys
sys.path.insert(0, {libraries!r})
from codewitness.target.rendezvous import find_owner
print(find_owner("pabot").pid)
"""


def test_owner_is_the_nearest_process_of_that_name(tmp_path: Path) -> None:
    script = tmp_path / "pabot"
    script.write_text(PABOT)
    program = TELLS_ITS_OWNER.format(libraries=str(PROJECT / "libraries"))
    output = subprocess.run(
        [sys.executable, str(script), program],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    expected, found = output.split()
    assert found == expected


def test_owner_is_the_parent_where_none_has_that_name() -> None:
    assert find_owner("no-such-program").pid == os.getppid()
