"""How much a run measures: the profiles of ``variables/load_profiles.yaml``."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from codewitness.target.settings import SettingsError


@dataclass(frozen=True)
class ContestProfile:
    """The contest that a pool is recommended for.

    Attributes:
        students: How many take part.
        questions: Questions of each.
        over: Seconds that the contest lasts.
        rush_within: Seconds before its end in which many send their first program.
        rush_share: Share of the students who do.
        wait: Seconds that an execution is promised to wait at most.
        share: Share of the executions for which that is promised.
    """

    students: int
    questions: int
    over: float
    rush_within: float
    rush_share: float
    wait: float
    share: float


@dataclass(frozen=True)
class LoadProfile:
    """Sizes of all loads; what each means stands in the file of profiles."""

    load_seconds: float
    sessions: int
    warm_requests: int
    warm_share: float
    levels: tuple[int, ...]
    level_requests: int
    level_seconds: float
    soak_rate: float
    soak_seconds: float
    rest_seconds: float
    allowed_growth: float
    overload_at_once: int
    overload_requests: int
    recovery_requests: int
    contest: ContestProfile
    contest_runs: int

    def requests_of(self, level: int) -> int:
        """Return how many requests a level of throughput has."""
        # The last request of each caller ends after the time that counts.
        return max(self.level_requests, 4 * level) + level


def _check(sizes: ContestProfile | LoadProfile) -> None:
    """Refuse values that no load can be made of.

    Raises:
        ValueError: There is one; the message names it.
    """
    for field in fields(sizes):
        name, value = field.name, getattr(sizes, field.name)
        if field.type == "int":
            right, wanted = _is_count(value), "a whole number above 0"
        elif name.endswith("share"):
            right, wanted = _is_number(value) and 0 < value < 1, "a number between 0 and 1"
        elif field.type == "float":
            right, wanted = _is_number(value) and value >= 0, "a number of at least 0"
            if name in ("load_seconds", "soak_rate", "soak_seconds"):
                right, wanted = right and value > 0, "a number above 0"
        elif name == "levels":
            ascending = all(map(_is_count, value)) and list(value) == sorted(set(value))
            right, wanted = bool(value) and ascending, "whole numbers above 0 that ascend"
        else:
            continue
        if not right:
            raise ValueError(f"{name} is {value!r}, not {wanted}")


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read_profile(path: Path, name: str) -> LoadProfile:
    """Return the profile of a name.

    Raises:
        SettingsError: There is none, or the file can't be read as one of profiles.
    """
    try:
        profiles = yaml.safe_load(path.read_text(encoding="utf-8"))
        told: dict[str, Any] = dict(profiles[name])
        contest = ContestProfile(**told.pop("contest"))
        profile = LoadProfile(**{**told, "levels": tuple(told["levels"]), "contest": contest})
        _check(contest)
        _check(profile)
        return profile
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"The load profiles in {path} can't be read: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(profiles, dict) and name not in profiles:
            known = ", ".join(map(str, profiles))
            raise SettingsError(f"LOAD_PROFILE is '{name}'; {path.name} has {known}.") from None
        names = ", ".join(field.name for field in fields(LoadProfile))
        raise SettingsError(
            f"{path.name}: the profile '{name}' is none ({error}); it needs {names}."
        ) from None
