from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codewitness.execution.credentials import CREDENTIAL_VARIABLES
from codewitness.target.settings import (
    KNOWN_SETTINGS,
    Settings,
    SettingsError,
    TargetKind,
    resolve,
)

POOL = "https://pool.environment.westeurope.azurecontainerapps.io"


def resolved(robot: Mapping[str, Any] | None = None, **environ: str) -> Settings:
    return resolve((robot or {}).get, environ)


def refusal(robot: Mapping[str, Any] | None = None, **environ: str) -> str:
    with pytest.raises(SettingsError) as told:
        resolved(robot, **environ)
    return str(told.value)


def test_nothing_given_is_all_defaults() -> None:
    settings = resolved()
    assert list(settings.entries) == list(KNOWN_SETTINGS)
    assert {entry.origin for entry in settings.entries.values()} == {"default"}
    assert settings.kind is TargetKind.EMBEDDED
    assert "default" in settings.chosen_by


@given(
    robot=st.none() | st.sampled_from(["", "http://robot"]),
    environ=st.none() | st.sampled_from(["", "http://environment"]),
)
def test_robot_wins_over_the_environment_and_both_over_the_default(
    robot: str | None, environ: str | None
) -> None:
    environment = {} if environ is None else {"CA_BUNDLE": environ}
    entry = resolve({"CA_BUNDLE": robot}.get, environment).entries["CA_BUNDLE"]
    if robot:
        assert (entry.value, entry.origin) == (robot, "Robot variable")
    elif environ:
        assert (entry.value, entry.origin) == (environ, "environment")
    else:
        assert (entry.value, entry.origin) == ("", "default")


@pytest.mark.parametrize(
    ("robot", "environ", "kind", "chosen_by"),
    [
        ({}, {"USE_LOCAL_EXECUTOR": "true"}, TargetKind.LOCAL, "USE_LOCAL_EXECUTOR, environment"),
        ({"USE_LOCAL_EXECUTOR": True}, {}, TargetKind.LOCAL, "USE_LOCAL_EXECUTOR, Robot variable"),
        ({"ENDPOINT": "http://h"}, {}, TargetKind.BACKEND, "ENDPOINT, Robot variable"),
        (
            {"ENDPOINT": "http://h"},
            {"USE_LOCAL_EXECUTOR": "false"},
            TargetKind.BACKEND,
            "ENDPOINT, Robot variable",
        ),
    ],
)
def test_target_is_chosen(
    robot: Mapping[str, Any], environ: Mapping[str, str], kind: TargetKind, chosen_by: str
) -> None:
    settings = resolved(robot, **environ)
    assert settings.kind is kind
    assert settings.chosen_by == chosen_by


@pytest.mark.parametrize("text", ["true", "True", " YES ", "on", "1", True])
def test_flag_is_on(text: str | bool) -> None:
    assert resolved({"VERIFY_TLS": text})["VERIFY_TLS"] is True


@pytest.mark.parametrize("text", ["false", "False", " no ", "OFF", "0", False])
def test_flag_is_off(text: str | bool) -> None:
    assert resolved({"VERIFY_TLS": text})["VERIFY_TLS"] is False


@pytest.mark.parametrize("text", ["2", "truee", "none", "None", "nein", "${EMPTY}"])
def test_flag_that_is_neither_is_refused(text: str) -> None:
    message = refusal({"USE_LOCAL_EXECUTOR": text})
    assert f"USE_LOCAL_EXECUTOR is '{text}'" in message
    assert "true or false" in message


@pytest.mark.parametrize(("given", "seconds"), [("2", 2.0), (0.5, 0.5), ("3600", 3600.0)])
def test_deadline_is_a_number_of_seconds(given: object, seconds: float) -> None:
    assert resolved({"REQUEST_DEADLINE": given})["REQUEST_DEADLINE"] == seconds


@pytest.mark.parametrize("given", ["0", "-1", "soon", "nan", "inf", "3601", [], "1,5", "5 s"])
def test_unusable_deadline_is_refused(given: object) -> None:
    message = refusal({"REQUEST_DEADLINE": given})
    assert f"REQUEST_DEADLINE is '{given}'" in message
    assert "seconds" in message


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("args", ("args",)),
        (" args , hex,, ", ("args", "hex")),
        (["args", "hex"], ("args", "hex")),
        ([], ()),
        ("", ()),
    ],
)
def test_deviations_are_a_list_or_names_with_commas(given: object, names: tuple[str, ...]) -> None:
    assert resolved({"DEVIATIONS": given})["DEVIATIONS"] == names


@pytest.mark.parametrize("given", [{"args": True}, 3, True])
def test_deviations_of_another_kind_are_refused(given: object) -> None:
    message = refusal({"DEVIATIONS": given})
    assert f"DEVIATIONS is '{given}'" in message
    assert "commas" in message


@pytest.mark.parametrize("url", ["http://h:1", "http://[::1", "nonsense"])
def test_local_executor_contradicts_any_url(url: str) -> None:
    message = refusal({"ENDPOINT": url}, USE_LOCAL_EXECUTOR="true")
    assert "USE_LOCAL_EXECUTOR=true (environment)" in message
    assert f"ENDPOINT={url} (Robot variable)" in message
    assert "Drop" in message


def test_pool_with_a_fault_stays_in_the_flow() -> None:
    settings = resolved(FAULT="pool-list-empty", REQUIRE_POOL="true")
    assert settings.through_pool
    assert settings.pool_fault == "pool-list-empty"
    assert not resolved(FAULT="stdout-dropped").pool_fault
    assert not resolved(FAULT="pool-list-empty", USE_LOCAL_EXECUTOR="true").through_pool


@pytest.mark.parametrize(
    ("name", "fault"), [("FAULT", "stdout-dropped"), ("TRANSPORT_FAULT", "drip")]
)
def test_fault_is_for_the_embedded_backend_alone(name: str, fault: str) -> None:
    message = refusal({name: fault, "ENDPOINT": "http://h"})
    assert f"{name}={fault}" in message
    assert "http://h" in message
    settings = resolved({name: fault})
    assert settings[name] == fault
    assert not settings.through_pool


def test_pool_alone_is_the_target_and_is_required() -> None:
    settings = resolved(POOL_MANAGEMENT_ENDPOINT=POOL)
    assert settings.kind is TargetKind.POOL
    assert settings.chosen_by == "POOL_MANAGEMENT_ENDPOINT, environment"
    assert settings["REQUIRE_POOL"] is True
    assert settings.entries["REQUIRE_POOL"].origin == "POOL_MANAGEMENT_ENDPOINT is given"
    assert not settings.through_pool


def test_pool_behind_a_backend_is_required_and_named() -> None:
    settings = resolved({"ENDPOINT": "http://h"}, POOL_MANAGEMENT_ENDPOINT=POOL)
    assert settings.kind is TargetKind.BACKEND
    assert settings["REQUIRE_POOL"] is True
    assert settings.chosen_by == (
        "ENDPOINT, Robot variable; its pool by POOL_MANAGEMENT_ENDPOINT, environment"
    )


def test_pool_may_be_required_without_its_address() -> None:
    settings = resolved({"ENDPOINT": "http://h"}, REQUIRE_POOL="true")
    assert settings.kind is TargetKind.BACKEND
    assert settings["REQUIRE_POOL"] is True
    assert resolved(REQUIRE_POOL="true").through_pool
    assert resolved()["REQUIRE_POOL"] is False


def test_pool_that_is_given_is_not_optional() -> None:
    message = refusal({"REQUIRE_POOL": False}, POOL_MANAGEMENT_ENDPOINT=POOL)
    assert "REQUIRE_POOL=false (Robot variable)" in message
    assert f"POOL_MANAGEMENT_ENDPOINT={POOL} (environment)" in message


@pytest.mark.parametrize("url", [POOL, "http://[::1", "nonsense"])
def test_local_executor_contradicts_a_pool(url: str) -> None:
    message = refusal({"USE_LOCAL_EXECUTOR": True}, POOL_MANAGEMENT_ENDPOINT=url)
    assert "USE_LOCAL_EXECUTOR=true (Robot variable)" in message
    assert f"POOL_MANAGEMENT_ENDPOINT={url} (environment)" in message
    assert "Drop" in message


def test_fault_contradicts_a_pool() -> None:
    message = refusal({"FAULT": "stdout-dropped"}, POOL_MANAGEMENT_ENDPOINT=POOL)
    assert "FAULT=stdout-dropped" in message
    assert f"POOL_MANAGEMENT_ENDPOINT is {POOL}" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [("USE_LOCAL_EXECUTOR", "true"), ("FAULT", "stdout"), ("TRANSPORT_FAULT", "drip")],
)
def test_target_without_a_pool_contradicts_requiring_one(name: str, value: str) -> None:
    message = refusal({"REQUIRE_POOL": "true"}, **{name: value})
    assert "REQUIRE_POOL=true (Robot variable)" in message
    assert f"{name}={value} (environment)" in message
    assert "no session pool" in message


@pytest.mark.parametrize(
    "url",
    [
        "https://westeurope.dynamicsessions.io/subscriptions/s/resourceGroups/g/sessionPools/p",
        "https://northeurope.acasessions.io/subscriptions/s/resourceGroups/g/sessionPools/p",
        "http://127.0.0.1:8080/subscriptions/s/resourceGroups/g/sessionPools/p",
    ],
)
@pytest.mark.parametrize("others", [{}, {"ENDPOINT": "http://h"}])
def test_built_in_pool_is_refused(url: str, others: Mapping[str, str]) -> None:
    message = refusal(others, POOL_MANAGEMENT_ENDPOINT=url)
    assert f"POOL_MANAGEMENT_ENDPOINT={url} (environment)" in message
    assert "does not speak the Piston v2 API" in message
    assert "custom-container pool" in message


@pytest.mark.parametrize(("given", "count"), [("1", 1), (20, 20), (" 600 ", 600), (None, 12)])
def test_sessions_are_a_whole_number(given: object, count: int) -> None:
    assert resolved({"MAX_SESSIONS_USED": given})["MAX_SESSIONS_USED"] == count


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "many", "²", True, [], "10001"])
def test_unusable_number_of_sessions_is_refused(given: object) -> None:
    message = refusal({"MAX_SESSIONS_USED": given})
    assert f"MAX_SESSIONS_USED is '{given}'" in message
    assert "whole number" in message


@pytest.mark.parametrize("name", CREDENTIAL_VARIABLES)
def test_credential_as_a_robot_variable_is_refused_without_repeating_it(name: str) -> None:
    message = refusal({name: "canary"})
    assert name in message
    assert f"export {name}=" in message
    assert "canary" not in message
    resolved({}, **{name: "canary"})


@pytest.mark.parametrize("name", ["ENDPOINT", "POOL_MANAGEMENT_ENDPOINT"])
@pytest.mark.parametrize("other", [{"USE_LOCAL_EXECUTOR": True}, {"FAULT": "stdout-dropped"}])
def test_password_in_a_url_is_not_repeated(name: str, other: Mapping[str, Any]) -> None:
    message = refusal({name: "http://user:canary@host/path", **other})
    assert "canary" not in message
    assert "user" not in message
    assert "host" in message


@pytest.mark.parametrize("name", ["ENDPOINT", "POOL_MANAGEMENT_ENDPOINT"])
def test_empty_url_on_the_command_line_is_told(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} was given as a Robot variable, and is empty"):
        resolve({name: ""}.get, {name: "http://elsewhere:2000"})
