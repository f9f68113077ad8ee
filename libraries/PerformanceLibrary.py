"""Keywords about how fast a service is, how much it does at once, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import psutil
from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

import run_context
from codewitness import __version__
from codewitness.embedded.service import ServiceNotStarted
from codewitness.execution.model import ExecutionError
from codewitness.measuring.charts import (
    latency_distribution,
    latency_over_time,
    throughput_against_concurrency,
)
from codewitness.measuring.samples import Sample, Warmth, count_outcomes, select
from codewitness.measuring.statistics import Estimate, estimate_quantile
from codewitness.measuring.verdict import (
    Judgement,
    Verdict,
    judge_drift,
    judge_each,
    judge_figure,
    judge_largest,
    judge_latency,
)
from codewitness.reporting.capacity import plan_as_markdown, recommendation
from codewitness.reporting.card import Mismatch
from codewitness.reporting.metrics import MetricsFiles, judged_metric, measured_metric
from codewitness.session_pool.client import SessionPoolExecutor
from codewitness.session_pool.planner_samples import measured_times
from codewitness.target.load_profile import read_profile
from codewitness.target.load_runs import LoadRuns, all_samples, answered_properly
from codewitness.target.load_target import SAMPLES, LoadTarget
from codewitness.target.own_resources import Held
from codewitness.target.pool_plan import plan_pool
from codewitness.target.settings import SettingsError
from codewitness.target.soak import Footprint, growth, left

T = TypeVar("T")

PROFILES = run_context.PROJECT / "variables" / "load_profiles.yaml"
"""File of the profiles."""

_CLIENT = "this client"


@library(scope="GLOBAL", version=__version__, auto_keywords=False, listener="SELF")
class PerformanceLibrary:
    """Keywords that measure under load and judge what was measured.

    Each load is driven once in a run, when a keyword first asks for its figures, and is judged
    by all keywords that do. How large it is says the profile (``LOAD_PROFILE``, in
    ``variables/load_profiles.yaml``). Its raw samples are kept beside the log, in ``samples``.

    = What is loaded =

    On the embedded and the local target a flow of the same kind is started that nothing else
    uses. Everywhere else it is the service under test itself.

    = Three answers =

    A keyword passes or fails when the whole interval of a figure lies on one side of the bar.
    Where it lies on both, where there are too few samples, or where the load generator was the
    bottleneck, the load is repeated once, and the second one counts; if that does not decide,
    either, the test is skipped as INCONCLUSIVE.

    = Cold and warm =

    Each sample is labelled by evidence: a *ready instance* or a *new instance* was allocated, it
    was *cold* and nobody knows which of the two, it was *warm*, or *unknown*, where the answer
    does not tell its session. Labels are never judged together.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self._loads: LoadRuns | None = None
        self._files: MetricsFiles | None = None
        self._repeated: set[str] = set()

    @keyword(tags=["performance"])
    def open_load_target(self, most_lag: float) -> None:
        """Starts or finds what the loads of the section go to; a second call does nothing.

        Starts of the load generator may be late by ``most_lag`` seconds at the 99th percentile.
        """
        if self._loads is not None:
            return
        service = run_context.service()
        folder = Path(BuiltIn().get_variable_value("${OUTPUT DIR}"))
        try:
            profile = read_profile(PROFILES, service.settings["LOAD_PROFILE"])
            executor = service.executor
            pool = executor if isinstance(executor, SessionPoolExecutor) else None
            target = LoadTarget(service.settings, profile, folder, pool)
        except (SettingsError, ServiceNotStarted) as error:
            raise AssertionError(str(error)) from error
        self._loads = LoadRuns(target, profile, most_lag)
        self._files = MetricsFiles(folder)
        logger.info(f"Loads go to {target.name}.")

    @keyword(tags=["performance"])
    def close_load_target(self) -> None:
        """Ends what was started for the loads."""
        self.close()

    def close(self) -> None:
        """End what was started for the loads, at the latest at the end of the run."""
        if self._loads is not None:
            self._loads.target.close()
            self._loads = None

    @keyword(tags=["performance"])
    def overload_should_be_allowed(self) -> None:
        """Skips the test where a service that is given was not explicitly allowed to be overloaded.

        ``LOAD_PROFILE`` or ``COSTLY=true`` allows it. The embedded flow may always be.
        """
        settings = run_context.service().settings
        chosen = settings.entries["LOAD_PROFILE"].origin != "default"
        if not (self._runs.target.is_ours or chosen or settings["COSTLY"]):
            run_context.skip(
                "Costly: others may use the service that is given, and it is not overloaded unless "
                "that is asked for. LOAD_PROFILE:short or COSTLY=true runs it."
            )

    # Cold and warm

    @keyword(tags=["performance"])
    def new_sessions_should_answer_within(self, seconds: float) -> None:
        """Fails unless the first request of each of several new callers is answered in time.

        They come at once, so that more instances are asked for than are ready. Those that met a
        ready instance and those for which one was started are judged apart.
        """
        run = self._measure(lambda: self._runs.new_sessions)
        met_new = [it for it in run.samples if it.warmth is not Warmth.WARM]
        title = "First requests of new callers, all at once"
        self._show(_latency_in_order, run.samples, {"P1": seconds}, title)
        if not met_new:
            run_context.skip(
                "INCONCLUSIVE: no request opened a session; all that this run may open "
                "(MAX_SESSIONS_USED) are in use already."
            )
        objection = run.objection(seconds, self._runs.most_lag)
        for warmth, group in _by_warmth(met_new).items():
            judgement = judge_largest(group, seconds, objection=objection)
            name = f"first request, {warmth.value}"
            self._tell(f"P1 First request, {warmth.value}", f"{_spread(group)}; {judgement.found}")
            self._conclude(name, "P1", judgement, bar=seconds)

    @keyword(tags=["performance"])
    def warm_executions_should_be_answered_within(self, seconds: float) -> None:
        """Fails unless requests in a session in use are answered in time, as far as can be told.

        They come in turn; how large a share of all is claimed to be in time, says the profile.
        A request of which is not known what it met counts as well, where it is known of none.
        """
        self._repeatable("warm", "warm execution", "P2", seconds, lambda: self._warm(seconds))
        samples = _warm_of(self._runs.warm.samples)
        bars = {"P2": seconds}
        self._show(latency_distribution, [*self._runs.new_sessions.samples, *samples], bars)
        all_of_them = all_samples([self._runs.new_sessions, self._runs.warm])
        title = "First requests of new callers, then requests in turn"
        self._show(_latency_in_order, all_of_them, bars, title)

    def _warm(self, seconds: float) -> Judgement:
        run = self._measure(lambda: self._runs.warm)
        samples = _warm_of(run.samples)
        median = estimate_quantile([it.response_time for it in samples])
        self._metric("sequential latency, median", "P2", median)
        objection = run.objection(seconds, self._runs.most_lag)
        share = self._runs.profile.warm_share
        judgement = judge_latency(samples, seconds, q=share, objection=objection)
        self._tell("P2 Warm execution", f"{_spread(samples)}; {judgement.claim}: {judgement.found}")
        return judgement

    @keyword(tags=["performance"])
    def reused_sessions_should_save_time(self) -> None:
        """Fails unless requests in sessions in use are faster than those that open one.

        Each first request is compared with one in a session in use, as many of which come at
        once. Skipped where answers don't tell whether a session is new.
        """
        first = self._measure(lambda: self._runs.new_sessions).samples
        opened = [
            it for it in first if it.succeeded and it.warmth not in (Warmth.WARM, Warmth.UNKNOWN)
        ]
        if not opened:
            run_context.skip(
                "Needs answers that tell whether their session is new: this target's don't, or "
                "none of its sessions could be new."
            )
        self._repeatable("warm at once", "", "P2", 0.0, lambda: self._saving(opened))

    def _saving(self, opened: Sequence[Sample]) -> Judgement:
        warm = self._measure(lambda: self._runs.warm_at_once)
        met = [it.response_time for it in _warm_of(warm.samples) if it.succeeded]
        times = [it.response_time for it in opened]
        saved = estimate_quantile([one - other for one, other in zip(times, met, strict=False)])
        told = (
            f"a session in use saves {saved.format()} s, the median of {saved.count} pairs at once"
        )
        added = run_context.service().added_cold_start
        told += f"; the embedded pool adds {added:g} s to every new one" if added else ""
        self._tell("P2 Session reuse", told)
        claim = "a session in use answers earlier than a new one, by more than 0 s"
        return judge_figure(claim, saved, 0.0, at_least=True)

    # Throughput

    @keyword(tags=["performance"])
    def throughput_should_be_known(self) -> None:
        """Measures the throughput of several numbers of requests at once, and finds the knee.

        The figures stand at the top of the report, the picture in the log. Fails if no request
        was answered rightly; the test is skipped where the load generator was the bottleneck.
        """
        found = self._measure(lambda: self._runs.throughput)
        at_best = found.knee.level or found.knee.best
        self._tell("P4 Throughput", f"knee {found.knee.reason}")
        ran = ", ".join(f"{it.overlap} of {it.at_once}" for it in found.runs)
        logger.info(f"The knee: {found.knee.reason}. Greatest overlap of programs: {ran}.")
        self._log_html(throughput_against_concurrency(found.levels, found.knee))
        rate = at_best.throughput
        if not rate.value > 0:
            self._fail("P4", "a throughput above 0", found.knee.reason)
        if at_best.objection:
            run_context.skip(f"INCONCLUSIVE: {at_best.objection}")
        # The smaller, the better: time, not rate.
        low, high = (None if not end else 1 / end for end in (rate.high, rate.low))
        time_each = Estimate(1 / rate.value, low, high, rate.count)
        self._metric("time per execution at the knee", "P4", time_each)

    @keyword(tags=["performance"])
    def programs_should_run_at_once(self, at_least: int) -> None:
        """Fails unless ``at_least`` programs ran at one moment, by their own clocks.

        Of the levels of throughput the best counts; where the greatest of them has fewer requests
        at once, all of those must have run. A service that queues never gets there, however
        busy this machine is.
        """
        found = self._measure(lambda: self._runs.throughput)
        wanted = min(at_least, found.levels[-1].at_once)
        greatest = max(it.overlap for it in found.runs)
        ran = ", ".join(f"{it.overlap} of {it.at_once}" for it in found.runs)
        told = f"at most {greatest} (of those at once: {ran})"
        logger.info(f"Programs running at one moment: {told}")
        if greatest < wanted:
            expected = f"at least {wanted} programs running at one moment"
            self._fail("P4", expected, told, "overlap of programs")

    @keyword(tags=["performance"])
    def every_request_should_succeed(self, load: str) -> None:
        """Fails unless every request of a load got its own, right answer.

        Loads are ``in turn`` (with the first requests of new callers), ``at once`` (where a
        refusal for want of capacity is no failure) and ``soak``.
        """
        samples = self._measure(lambda: self._samples(load))
        if load == "at once":
            claim = "every request gets its own, right answer, or is told that it is not served"
            judgement = judge_each(samples, claim=claim, right=answered_properly)
        else:
            judgement = judge_each(samples)
        self._conclude(f"failed requests, {load}", "P5", judgement, bar=0, unit="%", factor=100)

    def _samples(self, load: str) -> Sequence[Sample]:
        runs = self._runs
        if load == "soak":
            return runs.soak.samples
        if load == "at once":
            return all_samples([it.run for it in runs.throughput.runs])
        return all_samples([runs.new_sessions, runs.warm])

    # Overload

    @keyword(tags=["performance"])
    def overload_should_be_answered_properly(self) -> None:
        """Sends more at once than is meant to be served; fails unless each gets a proper answer.

        That is its result, or a refusal for want of capacity or of time: HTTP 429, 503 or 504. How
        often each came stands at the top of the report. On the embedded flow all requests are
        one user's, for whom only so many wait.
        """
        samples = self._measure(lambda: self._runs.overload).load.samples
        outcomes = count_outcomes(samples)
        self._tell("R3 Overload", ", ".join(f"{name}: {count}" for name, count in outcomes.items()))
        self._show(_latency_in_order, samples, {}, "Response times under overload")
        claim = "every request of an overload is served, or told in time that it is not"
        judgement = judge_each(samples, claim=claim, right=answered_properly)
        self._conclude("overload", "R3", judgement, bar=0, unit="%", factor=100)

    @keyword(tags=["performance"])
    def service_should_recover_from_overload(self, seconds: float) -> None:
        """Fails unless, after an overload and a rest, requests in turn are answered in time."""
        self._repeatable(
            "overload",
            "latency after overload, median",
            "R3",
            seconds,
            lambda: self._recovery(seconds),
        )
        recovery = self._runs.overload.recovery
        self._conclude("", "R3", judge_each(recovery.samples), bar=0)

    def _recovery(self, seconds: float) -> Judgement:
        recovery = self._measure(lambda: self._runs.overload).recovery
        objection = recovery.objection(seconds, self._runs.most_lag)
        return judge_latency(_warm_of(recovery.samples), seconds, q=0.5, objection=objection)

    # Soak

    @keyword(tags=["performance"])
    def latency_should_not_grow_during_the_soak(self) -> None:
        """Fails if the service time grew during the soak by more than the profile allows.

        The growth over both cycles is told by Theil and Sen's slope, which outliers don't move.
        """
        allowed = self._runs.profile.allowed_growth
        judge = lambda: self._drift(allowed)  # noqa: E731
        self._repeatable("soak", "growth of latency", "P5", allowed, judge, unit="%", factor=100)
        self._show(latency_over_time, self._runs.soak.samples, {}, "Response times during the soak")

    def _drift(self, allowed: float) -> Judgement:
        soak = self._measure(lambda: self._runs.soak)
        samples = _warm_of(soak.samples)
        judgement = judge_drift(samples, allowed, objection=soak.objection(self._runs.most_lag))
        self._tell("P5 Soak", f"{_spread(samples)}; {judgement.found}")
        return judgement

    @keyword(tags=["performance"])
    def latency_should_be_as_before_the_soak(self) -> None:
        """Fails if probes after the soak take longer than before, by more than the profile allows.

        The probes of each caller are compared in pairs.
        """
        allowed = self._runs.profile.allowed_growth
        bar = 1 + allowed
        name = "latency after the soak"
        self._repeatable("soak", name, "P5", bar, lambda: self._return(bar), unit="times")

    def _return(self, bar: float) -> Judgement:
        soak = self._measure(lambda: self._runs.soak)
        pairs = zip(soak.before, soak.after, strict=True)
        ratio = estimate_quantile([after.seconds / before.seconds for before, after in pairs])
        claim = f"a probe after the soak takes less than {bar:g} times as long as before it"
        return judge_figure(claim, ratio, bar)

    @keyword(tags=["performance"])
    def sessions_should_keep_nothing(self, leftovers: int, memory: float) -> None:
        """Fails if programs find more in a session after the soak than before it.

        More than ``leftovers`` files and processes in all, or more than ``memory`` MiB, in every
        later look at it. What programs can't see is reported as not observable.
        """
        soak = self._measure(lambda: self._runs.soak)
        more = left(soak, _traces)
        told = f"{more:+.0f} files and processes"
        sizes = [it.memory for it in (*soak.before, *soak.after) if it.memory is not None]
        seen = len(sizes) == len(soak.before) + len(soak.after)
        grown = 0.0
        if seen:
            grown = left(soak, _memory)
        told += f", memory {grown:+.1f} MiB" if seen else ", memory not observable"
        told += f" (n = {len(soak.after)} probes before and after)"
        self._tell("P5 Left in sessions", told)
        logger.info(told)
        self._count("left in sessions", "files and processes", more, leftovers)
        if more > leftovers or grown > memory:
            expected = f"at most {leftovers} files and processes and {memory:g} MiB more"
            self._fail("P5", expected, told, "what sessions keep of a soak")

    @keyword(tags=["performance"])
    def services_should_keep_nothing(self, memory: float, handles: int) -> None:
        """Fails if the services' processes hold more after the soak's last cycle than before it.

        More than ``memory`` MiB, or more than ``handles`` descriptors, threads and children.
        Skipped as not observable where they don't run on this machine for this run.
        """
        held = self._measure(lambda: self._runs.soak).services
        if not held:
            self._tell("P5 Kept by services", "not observable: they are not this machine's own")
            run_context.skip(
                "Not observable: memory, descriptors, threads and processes of a service that is "
                "given can't be seen from outside."
            )
        self._judge_held("services", held, memory, handles)

    @keyword(tags=["performance"])
    def client_should_keep_nothing(self, memory: float, handles: int) -> None:
        """Fails if this process holds more after the soak's last cycle than before it.

        A client that keeps something looks like a service that gets slow.
        """
        held = self._measure(lambda: self._runs.soak).client
        self._judge_held(_CLIENT, held, memory, handles)

    def _judge_held(self, who: str, held: Sequence[Held], memory: float, handles: int) -> None:
        grown, more = growth(held)
        told = f"{grown:+.1f} MiB, {more:+d} descriptors, threads and children in the last cycle"
        course = "; then ".join(map(str, held))
        logger.info(f"{who}: {course}")
        self._tell(f"P5 Kept by {who}", told)
        self._count(f"memory kept by {who}", "MiB", grown, memory)
        self._count(f"handles kept by {who}", "handles", more, handles)
        if grown > memory or more > handles:
            expected = f"at most {memory:g} MiB of memory and {handles} handles more after a cycle"
            self._fail("P5", expected, f"{told}: {course}", f"what the processes of {who} hold")

    # Capacity

    @keyword(tags=["performance"])
    def pool_should_be_recommended(self) -> None:
        """Finds the smallest pool that keeps the profile's promise, from the times measured.

        The recommendation stands at the top of the report, what it stands on in the log. That no
        pool keeps the promise, since new sessions take too long, is a finding, too. Fails if no
        request is known to have been served.
        """
        warm = self._measure(lambda: self._runs.warm)
        samples = [*self._runs.new_sessions.samples, *warm.samples]
        try:
            times = measured_times(samples)
        except ValueError as error:
            self._fail("P4", "service times to plan with", str(error), "recommended pool")
        plan = plan_pool(times, self._runs.profile)
        self._tell("Recommended pool", recommendation(plan))
        logger.info(plan_as_markdown(plan))
        if times.assumption:
            logger.info(f"Taken for granted: {times.assumption}.")

    # What all keywords share

    @property
    def _runs(self) -> LoadRuns:
        assert self._loads is not None, "Open Load Target comes first"
        return self._loads

    def _measure(self, load: Callable[[], T]) -> T:
        try:
            if not self._runs.target.is_ours:
                run_context.service().require()
            return load()
        except (ExecutionError, psutil.Error) as error:
            if (ended := self._runs.target.ended) is not None:
                raise AssertionError(
                    f"PLATFORM FAULT, not the program's: {_told_end(ended)}"
                ) from error
            if not isinstance(error, ExecutionError):
                raise
            run_context.fail_with(error, None, "answers to a load", where=self._where)

    def _repeatable(
        self,
        load: str,
        name: str,
        plan: str,
        bar: float,
        judge: Callable[[], Judgement],
        *,
        unit: str = "s",
        factor: float = 1,
    ) -> None:
        """Judge a load; one that does not decide is repeated, once in a run."""
        judgement = judge()
        if judgement.verdict is Verdict.INCONCLUSIVE and load not in self._repeated:
            logger.info(f"{judgement}. The load is repeated, and the second one counts.")
            self._repeated.add(load)
            self._runs.forget(load)
            judgement = judge()
        self._conclude(name, plan, judgement, bar=bar, unit=unit, factor=factor)

    def _conclude(
        self,
        name: str,
        plan: str,
        judgement: Judgement,
        *,
        bar: float,
        unit: str = "s",
        factor: float = 1,
    ) -> None:
        logger.info(str(judgement))
        metric = judged_metric(name, plan, judgement, bar=bar, unit=unit, factor=factor)
        if name and metric is not None and self._files is not None:
            self._files.add(metric)
        if judgement.verdict is Verdict.FAIL:
            self._fail(plan, judgement.claim, judgement.found, name)
        if judgement.verdict is Verdict.INCONCLUSIVE:
            run_context.skip(f"INCONCLUSIVE: {str(judgement).partition(' ')[2]}.")

    def _fail(self, plan: str, expected: str, received: str, subject: str = "") -> NoReturn:
        clause = f"test plan, {plan}" if plan else ""
        told = f"raw samples are in {SAMPLES}/"
        if (ended := self._runs.target.ended) is not None:
            told = f"{_told_end(ended)}; {told}"
        run_context.fail(
            Mismatch(
                subject or "what the load shows",
                "meets its bar",
                expected,
                received,
                "" if clause == run_context.clause_of_test() else clause,
                told,
            ),
            None,
            None,
            where=self._where,
        )

    @property
    def _where(self) -> str:
        """Where loads ran; empty for the service under test."""
        target = self._runs.target
        return target.name if target.is_ours else ""

    def _tell(self, name: str, value: str) -> None:
        run_context.set_metadata({name: value})

    def _metric(self, name: str, plan: str, estimate: Estimate) -> None:
        if self._files is not None:
            self._files.add(measured_metric(name, plan, estimate, "s"))

    def _count(self, name: str, unit: str, value: float, bar: float) -> None:
        verdict = Verdict.FAIL if value > bar else Verdict.PASS
        figure = Estimate(value, value, value, 1)
        if self._files is not None:
            self._files.add(measured_metric(name, "P5", figure, unit, bar, verdict.value))

    def _show(
        self,
        draw: Callable[..., str],
        samples: Sequence[Sample],
        bars: dict[str, float],
        title: str = "",
    ) -> None:
        if any(it.succeeded for it in samples):
            self._log_html(draw(samples, bars=bars, **({"title": title} if title else {})))

    def _log_html(self, picture: str) -> None:
        logger.info(picture, html=True)


def _latency_in_order(samples: Sequence[Sample], **told: Any) -> str:
    return latency_over_time(samples, in_order=True, **told)


def _told_end(ended: str) -> str:
    return f"{ended}, to which the loads go; if nobody has killed it, see what the load did to it"


def _by_warmth(samples: Sequence[Sample]) -> dict[Warmth, list[Sample]]:
    groups = {it: select(samples, it) for it in Warmth}
    return {warmth: group for warmth, group in groups.items() if group}


def _warm_of(samples: Sequence[Sample]) -> list[Sample]:
    """Return what was warm, else what may have been, and all that failed."""
    known = any(it.warmth is Warmth.WARM for it in samples)
    warmth = Warmth.WARM if known else Warmth.UNKNOWN
    return [it for it in samples if it.warmth is warmth or not it.succeeded]


def _spread(samples: Sequence[Sample]) -> str:
    times = [it.response_time for it in samples]
    median = estimate_quantile(times).format(3)
    return f"median {median} s, longest {max(times):.3f} s, n = {len(times)}"


def _traces(probe: Footprint) -> float:
    return probe.files + (probe.processes or 0)


def _memory(probe: Footprint) -> float:
    return probe.memory or 0.0
