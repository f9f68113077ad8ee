"""Keywords that walk a deployment's chain and stop at the first broken link."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

import run_context
from codewitness import __version__
from codewitness.embedded.service import (
    RunningService,
    ServiceNotStarted,
    ask_control,
    start_service,
    without_secrets,
)
from codewitness.execution.credentials import BackendCredentials, TokenSource
from codewitness.reporting.card import Mismatch, mismatch_card
from codewitness.reporting.walk import Walk, walk_as_html, walk_as_text
from codewitness.session_pool.assumed_identity import token_source_of
from codewitness.session_pool.credentials import EXECUTOR_ROLE, client_environment
from codewitness.target.deployment_walk import Deployment, walk_deployment
from codewitness.target.settings import SettingsError

NOWHERE = "nowhere"
"""Name of a deployment at whose address nothing listens."""

_GUARDED = "guarded"
_CLAUSE = "the chain of a deployment is whole, link by link"
# Private services are on this machine; two cores may be busy with everything else.
_LINK_WITHIN = 8.0
_WALK_WITHIN = 25.0


@library(scope="SUITE", version=__version__, listener="SELF", auto_keywords=False)
class DeploymentLibrary:
    """Keywords to find the first broken link of a deployment, and why it is broken.

    A walk goes from outside in: host name, connection, TLS, backend up, pool setting, pool
    reachable, token, role, pool request, target port, free session, container, field names, real
    execution, who executed. Each link has passed, is broken, can't be observed from here, or was
    not asked because an earlier one is broken.

    | Walk Deployment

    The other keywords are for rehearsal. They walk deployments of this machine that are broken on
    purpose (``python libraries/codewitness broken-deployments --list``), and expect a link and the
    rows of its likely causes; several rows are causes that a client can't tell apart.

    | Walk Broken Deployment    pool=R1
    | Walk Should Have Stopped At    target port    R1    R2    R3
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self) -> None:
        self._broken: RunningService | None = None
        self._backends: dict[tuple[str, ...], RunningService] = {}
        self._walk: Walk | None = None

    # The deployment under test

    @keyword(tags=["deployment"])
    def walk_deployment(self) -> None:
        """Walks the deployment under test and fails at its first broken link.

        What is walked are ``ENDPOINT`` and ``POOL_MANAGEMENT_ENDPOINT``, whichever is given, else
        the embedded target. The log shows all links as a table.
        """
        walk = walk_deployment(_deployment_under_test())
        _show(walk)
        if walk.broken is not None:
            raise AssertionError(_card(walk))
        BuiltIn().set_test_message(walk.headline)

    # Rehearsal

    @keyword(tags=["private", "deployment"])
    def let_callers_have_tokens(
        self, audience: str | None = None, with_role: bool = True, lifetime: float = 3600.0
    ) -> None:
        """Changes the tokens with which private deployments are walked from now on in this test.

        ``audience`` is that of every token, whatever is asked for; by default the right one.
        ``lifetime`` is in seconds, and negative for tokens that have expired.
        """
        roles = [EXECUTOR_ROLE] if with_role else []
        self._configure_identity(audience=audience, roles=roles, lifetime=lifetime)

    @keyword(tags=["private", "deployment"])
    def walk_broken_deployment(self, backend: str | None = None, pool: str | None = None) -> None:
        """Walks a private deployment, keeps the outcome, and does not fail where it is broken.

        ``backend`` and ``pool`` are names of broken deployments, or ``nowhere`` for an address at
        which nothing listens.
        """
        self._keep(
            Deployment(
                self._url_of(backend) if backend else None,
                self._url_of(pool) if pool else None,
                token_source=self._token_source(),
            )
        )

    @keyword(tags=["private", "deployment"])
    def walk_embedded_backend(self, *options: str, pool: str | None = None) -> None:
        """Walks an embedded backend that was started with ``options``; the outcome is kept.

        Options are those of ``python libraries/codewitness backend --help``. With ``pool`` it
        executes in that private pool, with an identity that has the role.
        """
        arguments = ("backend", *options)
        if pool is not None:
            arguments = (*arguments, "--pool", self._url_of(pool))
        if arguments not in self._backends:
            variables = client_environment(self._identity, without_secrets())
            self._backends[arguments] = _started(arguments, variables if pool else None)
        self._keep(Deployment(self._backends[arguments].url))

    @keyword(tags=["private", "expect"])
    def walk_should_have_stopped_at(self, link: str, *rows: str) -> None:
        """Fails unless the last walk's first broken link is ``link``, with exactly these rows.

        Rows name likely causes, such as ``I3`` for a missing role, the likeliest first.
        """
        broken = self._last.broken
        found = "no broken link" if broken is None else _told(broken.name, broken.rows)
        if found != _told(link, rows):
            _fail("first broken link", _told(link, rows), found, self._last)

    @keyword(tags=["private", "expect"])
    def walk_should_have_found_no_broken_link(self) -> None:
        """Fails if the last walk found a broken link."""
        if self._last.broken is not None:
            _fail("walk", "no broken link", self._last.headline, self._last)

    @keyword(tags=["private", "expect"])
    def walk_should_have_told(self, *words: str) -> None:
        """Fails unless the failure card or the table of the last walk has all of ``words``."""
        told = " ".join(f"{_card(self._last)} {walk_as_text(self._last)}".split())
        for each in words:
            if each not in told:
                _fail("text of the walk", f"a text with: {each}", told, self._last)

    @keyword(tags=["private", "expect"])
    def links_should_have_passed(self, *links: str) -> None:
        """Fails unless all of ``links`` passed in the last walk."""
        states = {link.name: link.state.value for link in self._last.links}
        for link in links:
            state = states.get(link, "no link of the chain")
            if state != "passed":
                _fail(f"link '{link}'", "passed", state, self._last)

    # Listener

    def start_test(self, _data: Any, _result: Any) -> None:
        """Let no test judge the walk of another one, or be walked with its tokens."""
        self._walk = None
        if self._broken is not None:
            self.let_callers_have_tokens()

    def close(self) -> None:
        """End all private services at the end of the suite."""
        for service in (*self._backends.values(), self._broken):
            if service is not None:
                service.stop()
        self._backends.clear()
        self._broken = None

    # Within

    @property
    def _services(self) -> Mapping[str, Any]:
        if self._broken is None:
            self._broken = _started(("broken-deployments",))
        return self._broken.details

    @property
    def _identity(self) -> Mapping[str, str]:
        variables: Mapping[str, str] = self._services["pools"][_GUARDED]["environment"]
        return variables

    def _token_source(self) -> TokenSource:
        # A new one for every walk: credentials keep tokens.
        return token_source_of(self._identity)

    def _configure_identity(self, **changes: Any) -> None:
        control = self._services["pools"][_GUARDED]["control_url"]
        ask_control(f"{control}/identity", changes)

    def _url_of(self, name: str) -> str:
        if name == NOWHERE:
            return f"http://127.0.0.1:{_unused_port()}"
        deployments: Mapping[str, str] = self._services["deployments"]
        if name not in deployments:
            raise ValueError(
                f"There is no deployment '{name}'; there are {', '.join(sorted(deployments))}."
            )
        return deployments[name]

    def _keep(self, deployment: Deployment) -> None:
        self._walk = walk_deployment(deployment, link_within=_LINK_WITHIN, within=_WALK_WITHIN)
        _show(self._walk)

    @property
    def _last(self) -> Walk:
        if self._walk is None:
            raise AssertionError("Nothing was walked yet; begin with `Walk Broken Deployment`.")
        return self._walk


def _deployment_under_test() -> Deployment:
    try:
        settings = run_context.settings()
    except SettingsError as error:
        raise AssertionError(str(error)) from error
    endpoint, pool = settings["ENDPOINT"], settings["POOL_MANAGEMENT_ENDPOINT"]
    shared = {"verify": settings["VERIFY_TLS"], "ca_bundle": settings["CA_BUNDLE"] or None}
    if endpoint or pool:
        # Not opened before: a walk is for deployments that don't answer, too.
        credentials = BackendCredentials.from_environment()
        return Deployment(endpoint or None, pool or None, credentials, **shared)
    target = run_context.service()
    witness = (lambda: target.testify(compare=False)) if target.knows_pool else None
    return Deployment(target.executor.base_url, witness=witness)


def _show(walk: Walk) -> None:
    logger.info(walk_as_html(walk), html=True)
    logger.info(walk_as_text(walk))


def _card(walk: Walk) -> str:
    link = walk.broken
    if link is None:
        return walk.headline
    clauses = filter(None, (run_context.clause_of_test(), _CLAUSE))
    mismatch = Mismatch(
        f"deployment, link '{link.name}'",
        "equals",
        link.wanted,
        link.seen,
        "; ".join(clauses),
        f"asked: {link.asked}" if link.asked else "",
    )
    return mismatch_card(
        mismatch,
        None,
        None,
        diagnosis=link.diagnosis,
        where=f"{walk.where}; {walk.chain}",
        repeat=walk.repeat,
    )


def _told(link: str, rows: tuple[str, ...]) -> str:
    return f"{link}, diagnosed as {', '.join(rows) or 'nothing in particular'}"


def _fail(subject: str, expected: str, received: str, walk: Walk) -> None:
    detail = f"the walk: {walk.headline}"
    mismatch = Mismatch(subject, "equals", expected, received, _CLAUSE, detail)
    raise AssertionError(mismatch_card(mismatch, None, None, diagnosis=None, where=walk.where))


def _started(
    arguments: tuple[str, ...], environment: Mapping[str, str] | None = None
) -> RunningService:
    try:
        return start_service(arguments, environment=environment)
    except ServiceNotStarted as error:
        raise AssertionError(f"A private service could not be started. {error}") from error


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
