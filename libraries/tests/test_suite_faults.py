"""The suite notices faults of the catalogues, and says what is wrong.

For each fault one test of the suite claims to find it: run against a service with this fault, that
test fails, and its message has the words that the catalogue asks for. Here a fault of every other
group is tried, with ``--thorough`` one of each; the command ``kill-matrix`` tries all of them.
"""

from __future__ import annotations

import pytest

from codewitness.kill_matrix.catalogues import TriedFault, some_of_each_group
from codewitness.kill_matrix.runs import try_fault

_ONE_IN = 20
"""Of this many faults of a group, one is tried."""

# What happens on the wire is tried in test_suite_transport.
_TRIED = [it for it in some_of_each_group(_ONE_IN) if it.catalogue != "transport"]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=fault.name, marks=[pytest.mark.thorough] if number % 2 else [])
        for number, fault in enumerate(_TRIED)
    ],
)
def test_fault_is_noticed_and_named(fault: TriedFault) -> None:
    tried = try_fault(fault, "claims")
    assert not tried.complaint(fault), tried
