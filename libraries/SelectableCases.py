"""Makes the tests of the test cases before Robot Framework selects, so that it can select them.

Given as ``--prerunmodifier libraries/SelectableCases.py``, which is what ``variables/cases.args``
does. Without it the tests are made when their suite starts, and can be selected by the setting
``CASES`` and by tags only.
"""

from __future__ import annotations

from typing import Any

from robot.api import SuiteVisitor

import generated_tests
from codewitness.target.settings import SettingsError


class SelectableCases(SuiteVisitor):  # type: ignore[misc]
    """Adds a test for every case to the suite that stands for them."""

    def start_suite(self, suite: Any) -> bool | None:
        """Add the tests where they belong."""
        if any(test.name == generated_tests.PLACEHOLDER for test in suite.tests):
            try:
                settings = generated_tests.of_this_process().settings()
            except SettingsError:
                # The run itself says so, in its own place.
                return False
            collection = generated_tests.Collection(settings)
            generated_tests.add_tests(suite, collection.tests, lambda _tags: True)
        return None

    def visit_test(self, _test: Any) -> None:
        """Leave tests as they are."""
