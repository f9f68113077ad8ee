from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Examples that start processes take as long as a busy machine lets them.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder that holds suites, resources, libraries and the rest."""
    return Path(__file__).resolve().parents[2]
