"""How nodes have room on their devices."""

from __future__ import annotations

import pytest

from nodegraph.engine.planning.device_memory import DeviceMemory, Fit, MemoryNeed, fit_of

NEED = MemoryNeed(weights=100, parts=20, work=30, least=5)


@pytest.mark.parametrize(
    ("free", "found"),
    [(130, "whole"), (129, "parts"), (50, "parts"), (49, "small"), (25, "small"), (24, "none")],
)
def test_with_less_room_weights_come_in_parts_and_then_work_is_done_so(
    free: int, found: Fit
) -> None:
    assert fit_of(NEED, DeviceMemory(200, free, rate=1.0)) == found


@pytest.mark.parametrize(("free", "found"), [(130, "whole"), (129, "small"), (104, "none")])
def test_where_memory_is_one_weights_dont_come_in_parts(free: int, found: Fit) -> None:
    assert fit_of(NEED, DeviceMemory(200, free)) == found


@pytest.mark.parametrize(("budget", "found"), [(100, "whole"), (99, "parts")])
def test_a_budget_bounds_weights(budget: int, found: Fit) -> None:
    assert fit_of(NEED, DeviceMemory(200, 200, budget, rate=1.0)) == found
