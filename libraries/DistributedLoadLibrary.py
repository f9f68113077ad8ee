"""Keywords that load the service from several processes, with Locust."""

from __future__ import annotations

import shutil
from pathlib import Path

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

import run_context
from codewitness import __version__
from codewitness.distributed.plan import LoadPlan
from codewitness.measuring.charts import latency_over_time
from codewitness.measuring.samples import Run
from codewitness.measuring.verdict import Judgement, Verdict, judge_each
from codewitness.reporting.card import Mismatch
from codewitness.target.locust_run import INSTALL, LoadBroken, find_locust, judge_warm, run_load
from codewitness.target.settings import TargetKind

SAMPLES = Path("samples") / "distributed"
"""Folder of the samples in the output folder."""

_MOST_SHOWN = 3


@library(scope="SUITE", version=__version__, auto_keywords=False)
class DistributedLoadLibrary:
    """Keywords that send a planned load from several worker processes and judge it.

    Locust connects the workers; it runs in processes and in an environment of its own. Requests
    are this project's: every one has its own answer to expect, is planned for a moment, and is
    kept as a sample with that moment. They are judged by the rules of the performance section.

    A load is sent once in a suite, by the first test that needs it.
    """

    def __init__(self) -> None:
        self._plan: LoadPlan | None = None
        self._run: Run | None = None

    @keyword(tags=["performance"])
    def load_from_workers(
        self, workers: int, rate: float, seconds: float, cases: list[str] | None = None
    ) -> None:
        """Sends ``rate`` requests a second for ``seconds``, shared evenly by ``workers``.

        Every other request runs a test case that one of the patterns ``cases`` names, where some
        are given; the others print a token of their own. Before that every caller of a worker
        sends one request, which may have to wait for a session.

        Skips the test where Locust is not installed or ``LOCUST`` is ``none``, and where a session
        pool is the target, whose sessions have to be named. A load that this suite has sent is not
        sent again.
        """
        if self._run is not None:
            return
        service = run_context.service()
        settings = service.settings
        if settings.kind is TargetKind.POOL:
            run_context.skip("Needs a backend: a session pool alone is loaded from one process.")
        plan = LoadPlan(
            endpoint=service.executor.base_url,
            rate=rate,
            seconds=seconds,
            workers=workers,
            deadline=settings["REQUEST_DEADLINE"],
            verify=settings["VERIFY_TLS"],
            ca_bundle=settings["CA_BUNDLE"] and str(Path(settings["CA_BUNDLE"]).resolve()),
            cases=tuple(cases or ()),
        )
        self._plan, self._run = plan, self._send(plan)

    @keyword(tags=["performance"])
    def every_worker_should_have_done_its_share(self) -> None:
        """Fails unless each worker sent exactly the requests that were planned for it."""
        plan, run = self._sent()
        told = [f"worker {each['worker']} on {each['host']}" for each in run.header["workers"]]
        numbers = {sample.number for sample in run.samples}
        shares = [len(numbers & dict(plan.share(index)).keys()) for index in range(plan.workers)]
        shown = ", ".join(f"{who}: {count}" for who, count in zip(told, shares, strict=True))
        logger.info(shown)
        expected = [len(plan.share(index)) for index in range(plan.workers)]
        if shares != expected:
            self._fail("each worker sends its share", shown)

    @keyword(tags=["performance"])
    def every_answer_should_be_right(self) -> None:
        """Fails unless every request got its own, right answer, those of the warm-up as well."""
        _, run = self._sent()
        judgement = judge_each(run.samples)
        wrong = [f"{it.error}: {it.detail}" for it in run.samples if not it.succeeded]
        self._conclude(judgement, "\n".join(wrong[:_MOST_SHOWN]))

    @keyword(tags=["performance"])
    def warm_executions_of_the_load_should_take(
        self, seconds: float, most_lag: float, share: float = 0.5
    ) -> None:
        """Fails unless ``share`` of the requests in a session in use are answered in ``seconds``.

        A load that does not decide is repeated once; if that does not, either, or if starts were
        late by more than ``most_lag`` seconds at the 99th percentile, the test is skipped as
        INCONCLUSIVE.
        """
        plan, run = self._sent()
        judgement = judge_warm(run, seconds, q=share, most_lag=most_lag)
        if judgement.verdict is Verdict.INCONCLUSIVE:
            logger.info(f"{judgement}. The load is repeated, and the second one counts.")
            run = self._run = self._send(plan)
            judgement = judge_warm(run, seconds, q=share, most_lag=most_lag)
        run_context.set_metadata({"P2 Load from several workers": judgement.found})
        if any(sample.succeeded for sample in run.samples):
            picture = latency_over_time(
                run.samples, bars={"P2": seconds}, title="Load from several workers"
            )
            logger.info(picture, html=True)
        self._conclude(judgement)

    def _sent(self) -> tuple[LoadPlan, Run]:
        if self._plan is None or self._run is None:
            raise RuntimeError("'Load From Workers' comes first.")
        return self._plan, self._run

    def _send(self, plan: LoadPlan) -> Run:
        service = run_context.service()
        folder = Path(BuiltIn().get_variable_value("${OUTPUT DIR}")) / SAMPLES
        try:
            locust = find_locust(service.settings["LOCUST"])
            if locust is None:
                run_context.skip(
                    f"Locust is not installed, or LOCUST is none. Install it by {INSTALL}"
                )
            shutil.rmtree(folder, ignore_errors=True)
            # Credentials and proxies are for the service that the environment names, not for ours.
            given = service.settings.kind is TargetKind.BACKEND
            run = run_load(plan, locust, folder, with_credentials=given)
        except LoadBroken as error:
            raise AssertionError(f"The load of several workers: {error}") from error
        if run.generator is not None:
            logger.info(f"{run.generator.format()}; samples are in {SAMPLES.as_posix()}/")
        return run

    def _conclude(self, judgement: Judgement, detail: str = "") -> None:
        logger.info(str(judgement))
        if judgement.verdict is Verdict.FAIL:
            self._fail(judgement.claim, judgement.found, detail)
        if judgement.verdict is Verdict.INCONCLUSIVE:
            run_context.skip(f"INCONCLUSIVE: {str(judgement).partition(' ')[2]}.")

    def _fail(self, expected: str, received: str, detail: str = "") -> None:
        subject = "what the load of several workers shows"
        kept = f"raw samples are in {SAMPLES.as_posix()}/"
        told = f"{detail}\n{kept}" if detail else kept
        run_context.fail(
            Mismatch(subject, "is as claimed", expected, received, detail=told), None, None
        )
