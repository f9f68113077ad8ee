"""What Locust runs: the master hands out a planned load, workers carry it out and hand it back.

Locust changes Python's own sockets, threads and sleep when it is imported, so nothing but Locust
ever loads this file, in an environment of its own. It brings three things together: Locust, which
connects master and workers; ``requests``, which Locust has made cooperative; and this package,
which plans, judges and keeps every single request. Locust's own statistics are not used: they
round times.

The master reads what to do from the environment variable ``CODEWITNESS_LOAD``, a JSON object
with a ``plan`` and a ``folder`` for the samples. Workers get everything from the master, except
credentials, which each reads from its own environment.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import requests
from locust import User, events, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from codewitness.distributed.load_requests import requests_of
from codewitness.distributed.plan import LoadPlan
from codewitness.distributed.worker import Worker
from codewitness.execution.causes import fault
from codewitness.execution.core_dumps import forbid_core_dumps
from codewitness.execution.credentials import BackendCredentials
from codewitness.execution.endpoint import parse_endpoint
from codewitness.execution.http_client import (
    HttpAnswer,
    HttpCall,
    find_bundle,
    find_proxy,
)
from codewitness.execution.model import FaultKind, PlatformFault
from codewitness.execution.redaction import redact
from codewitness.measuring.samples import (
    Sample,
    SampleWriter,
    generator_from_json,
    sample_from_json,
    sample_to_json,
)

_PLAN, _BEGIN, _SAMPLES, _DONE, _FAILED = (
    f"load-{name}" for name in ("plan", "begin", "samples", "done", "failed")
)
# By the class that urllib3 names in its message.
_NO_CONNECTION = {
    "NameResolutionError": FaultKind.NAME_NOT_RESOLVED,
    "NewConnectionError": FaultKind.NOTHING_LISTENING,
}
_HAND_ON_EVERY = 0.3
_LOOK_EVERY = 0.5
# As other clients of this project do; servers close connections that are idle for longer.
_IDLE_LIMIT = 1.5


class Connection:
    """One caller's connection, which sends calls and judges nothing.

    Args:
        plan: The load.
        credentials: What the backend wants to see.
    """

    def __init__(self, plan: LoadPlan, credentials: BackendCredentials) -> None:
        self._endpoint = parse_endpoint(plan.endpoint)
        self._credentials = credentials
        self._verify = plan.verify and (find_bundle(plan.ca_bundle) or True)
        self._session = requests.Session()
        # Proxy and authorities are found as by the other clients, and passwords in files by none.
        self._session.trust_env = False
        self._session.headers.clear()
        if proxy := find_proxy(self._endpoint):
            self._session.proxies = {"http": proxy, "https": proxy}
        self._last_used = 0.0

    def send(self, call: HttpCall, deadline: float) -> HttpAnswer:
        """Send a call and return its answer.

        Raises:
            PlatformFault: There was no complete answer.
        """
        if time.perf_counter() - self._last_used > _IDLE_LIMIT:
            self._session.close()
        began = time.perf_counter()
        try:
            with gevent.Timeout(deadline):
                return self._exchange(call, began)
        except PlatformFault:
            raise
        except (gevent.Timeout, Exception) as error:
            elapsed = time.perf_counter() - began
            kind, detail = _classify(error, elapsed)
            detail = f"{redact(detail)} ({self._endpoint.origin})"
            raise fault(kind, detail, elapsed=elapsed) from error
        finally:
            self._last_used = time.perf_counter()
            # Nothing that a service sets is sent back to it.
            self._session.cookies.clear()

    def _exchange(self, call: HttpCall, began: float) -> HttpAnswer:
        response = self._session.request(
            call.method,
            call.url,
            data=call.body,
            headers={**call.headers, **self._headers()},
            allow_redirects=False,
            verify=self._verify,
        )
        elapsed = time.perf_counter() - began
        headers, body = response.headers, response.content
        return HttpAnswer(response.status_code, response.reason, headers, body, elapsed, call)

    def _headers(self) -> dict[str, str]:
        try:
            return self._credentials.fetch_headers()
        except Exception as error:
            detail = f"no token for {self._credentials.scope}: {redact(str(error))[:300]}"
            raise fault(FaultKind.UNAUTHENTICATED, detail) from error


class WorkerSide:
    """Carries out what the master hands to this worker.

    Args:
        runner: Locust's side of the worker.
    """

    def __init__(self, runner: WorkerRunner) -> None:
        self._runner = runner
        self._begun = gevent.event.Event()
        self._worker: Worker | None = None
        runner.register_message(_PLAN, self._prepare)
        runner.register_message(_BEGIN, self._begin)

    def call(self) -> None:
        """Be one of this worker's callers until nothing is left to send."""
        self._begun.wait()
        if self._worker is not None:
            self._worker.call(Connection(self._plan, self._credentials).send)

    def _prepare(self, msg: Any, **_: Any) -> None:
        # Locust only logs what a listener raises, and the master would wait in vain.
        try:
            self._plan = LoadPlan.from_json(msg.data["plan"])
            self._credentials = BackendCredentials.from_environment()
            self._worker = Worker(
                self._plan,
                msg.data["index"],
                requests_of(self._plan),
                credentials=self._credentials.describe(),
                on_sample=self._tell_locust,
            )
        except (ValueError, TypeError, KeyError, OSError) as error:
            self._runner.send_message(_FAILED, {"reason": redact(str(error))})

    def _begin(self, **_: Any) -> None:
        if self._worker is not None:
            self._worker.begin()
            gevent.spawn(self._hand_on, self._worker)
        self._begun.set()

    def _hand_on(self, worker: Worker) -> None:
        done = False
        while not done:
            gevent.sleep(_HAND_ON_EVERY)
            done = worker.done
            if fresh := worker.take_samples():
                self._runner.send_message(_SAMPLES, {"samples": [*map(sample_to_json, fresh)]})
        self._runner.send_message(_DONE, {"generator": vars(worker.generator())})

    def _tell_locust(self, sample: Sample) -> None:
        self._runner.environment.events.request.fire(
            request_type="POST",
            name="execute",
            response_time=1000 * sample.service_time,
            response_length=0,
            exception=None if sample.succeeded else RuntimeError(sample.error),
            context={},
        )


class MasterSide:
    """Hands out the shares of a plan and writes down what comes back.

    Args:
        runner: Locust's side of the master.
        plan: The load.
        folder: Folder for one file of samples of every worker.
    """

    def __init__(self, runner: MasterRunner, plan: LoadPlan, folder: Path) -> None:
        self._runner = runner
        self._plan = plan
        self._folder = folder
        self._writers: dict[str, SampleWriter] = {}
        self._done: set[str] = set()
        runner.register_message(_SAMPLES, self._keep)
        runner.register_message(_DONE, self._finish)
        runner.register_message(_FAILED, self._fail)
        events.test_start.add_listener(self._hand_out)
        events.spawning_complete.add_listener(self._begin)

    def _hand_out(self, **_: Any) -> None:
        ready = [client.id for client in self._runner.clients.ready][: self._plan.workers]
        for index, client in enumerate(ready):
            header = {
                "worker": index + 1,
                "host": client.rpartition("_")[0],
                "schedule": dict(self._plan.schedule.description),
                "target": self._plan.endpoint,
            }
            file = self._folder / f"worker-{index + 1}.jsonl"
            self._writers[client] = SampleWriter(file, header)
            told = {"plan": self._plan.to_json(), "index": index}
            self._runner.send_message(_PLAN, told, client)

    def _begin(self, **_: Any) -> None:
        for client in self._writers:
            self._runner.send_message(_BEGIN, None, client)
        gevent.spawn(self._watch)

    def _keep(self, msg: Any, **_: Any) -> None:
        for told in msg.data["samples"]:
            self._writers[msg.node_id].add(sample_from_json(told))

    def _finish(self, msg: Any, **_: Any) -> None:
        with self._writers[msg.node_id] as writer:
            writer.finish(generator_from_json(msg.data["generator"]))
        self._done.add(msg.node_id)

    def _fail(self, msg: Any, **_: Any) -> None:
        self._end(f"a worker could not begin: {msg.data['reason']}")

    def _watch(self) -> None:
        while self._done < self._writers.keys():
            gevent.sleep(_LOOK_EVERY)
            gone = self._writers.keys() - self._done - {each.id for each in self._there()}
            if gone:
                names = ", ".join(sorted(client.rpartition("_")[0] for client in gone))
                self._end(f"{len(gone)} of {self._plan.workers} workers were lost, on {names}")
                return
        self._runner.quit()

    def _there(self) -> list[Any]:
        return [each for each in self._runner.clients.all if each.state != "missing"]

    def _end(self, reason: str) -> None:
        print(f"error: {reason}", file=sys.stderr, flush=True)
        self._runner.environment.process_exit_code = 1
        gevent.spawn(self._runner.quit)


class Caller(User):  # type: ignore[misc]
    """One caller of a worker."""

    side: WorkerSide | None = None

    @task  # type: ignore[untyped-decorator]
    def call(self) -> None:
        """Send this caller's requests."""
        if self.side is not None:
            self.side.call()
        raise StopUser


@events.init.add_listener  # type: ignore[untyped-decorator]
def _take_sides(runner: Any, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        Caller.side = WorkerSide(runner)
    elif isinstance(runner, MasterRunner) and "CODEWITNESS_LOAD" in os.environ:
        told = json.loads(os.environ["CODEWITNESS_LOAD"])
        MasterSide(runner, LoadPlan.from_json(told["plan"]), Path(told["folder"]))
    else:
        sys.exit("error: start a worker, or the master by `python libraries/codewitness load`")


def _classify(error: BaseException, elapsed: float) -> tuple[FaultKind, str]:
    """Tell what an exception of the transport means."""
    said = str(error)[:300] or type(error).__name__
    if isinstance(error, (gevent.Timeout, requests.Timeout)):
        return FaultKind.TIMEOUT, f"no whole answer within {elapsed:.1f} s"
    if isinstance(error, requests.exceptions.SSLError):
        return FaultKind.TLS, said
    if isinstance(error, requests.exceptions.ProxyError):
        return FaultKind.NOTHING_LISTENING, f"the proxy can't be reached: {said}"
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return FaultKind.BAD_ANSWER, said
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return FaultKind.CONNECTION_CUT, said
    if isinstance(error, requests.ConnectionError):
        for name, kind in _NO_CONNECTION.items():
            if name in said:
                return kind, said
        return FaultKind.CONNECTION_CUT, said
    return FaultKind.NOT_THE_API, f"{type(error).__name__}: {said}"


def _end_with_owner() -> None:
    """End this process when its standard input closes, as it does when its owner is gone."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(0)

    # In a real thread: reading blocks.
    gevent.get_hub().threadpool.spawn(watch)


forbid_core_dumps()
if os.environ.get("CODEWITNESS_UNTIL_STDIN_CLOSES"):
    _end_with_owner()
