from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Examples that start processes take as long as a busy machine lets them.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-submission",
        action="store_true",
        help="judge every submission of test_cases on all cases, not one per problem on samples",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run the tests marked as thorough, too: what they show, quicker ones show in part",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thorough: takes long; left out without --thorough")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--thorough"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: whoever waits for a process leaves its own to others."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder that holds suites, resources, libraries and the rest."""
    return Path(__file__).resolve().parents[2]
