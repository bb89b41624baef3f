"""What has no room on a device, though it were alone there, is brought in parts and counted so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nodegraph.core.values import Recipe
from nodegraph.residency import PartialComponent, ResidencyManager

from .support import Component, Machine, adapted, lying, manager_of, recipe_of, used

A, B = recipe_of("a", 10), recipe_of("b", 6)
WORK = 5
"""Bytes that work takes where nothing is said."""


class Device:
    """One with some bytes of memory, of which the manager's weights take theirs.

    Attributes:
        asked: Footprint and room, at each use in parts.
    """

    def __init__(self, total: int, budgets: dict[str, int] | None = None) -> None:
        self.total = total
        self.machine = Machine()
        self.asked: list[tuple[str, int | None]] = []
        self.manager: ResidencyManager = manager_of(
            self.machine,
            budgets or {},
            estimate=lambda recipe: int(recipe.option("size")),
            lean=self.lean,
            free_beside=self.free_beside,
        )

    @contextmanager
    def lean(
        self, component: Component, device: str, footprint: str, room: int | None
    ) -> Iterator[PartialComponent]:
        self.asked.append((footprint, room))
        yield PartialComponent(component, 3, "in parts")

    def free_beside(self, device: str, work: int | None) -> int | None:
        if device == "cuda:1":
            return None
        there = [item.bytes for item in self.manager.resident() if item.device == device]
        return self.total - sum(there) - (WORK if work is None else work)

    def places(self, recipe: Recipe, **options: Any) -> list[tuple[str, int, bool]]:
        """Where the weights are, and how many, while a recipe is in use."""
        with self.manager.use(recipe, options.pop("device", "cuda:0"), **options):
            there = self.manager.resident()
            return sorted((item.device, item.bytes, item.is_whole) for item in there)


WHOLE = [("cuda:0", 10, True)]
IN_PARTS = [("cpu", 10, True), ("cuda:0", 3, False)]


@pytest.mark.parametrize(
    ("total", "work", "found"),
    [(15, None, WHOLE), (14, None, IN_PARTS), (11, 1, WHOLE), (30, 21, IN_PARTS)],
)
def test_weights_are_whole_where_there_is_room_beside_the_work(
    total: int, work: int | None, found: list[tuple[str, int, bool]]
) -> None:
    device = Device(total)
    assert device.places(A, calls_only=True, work=work) == found
    left = [item.device for item in device.manager.resident()]
    assert left == [found[0][0]]


def test_who_looks_into_weights_gets_them_whole() -> None:
    assert Device(2).places(A) == WHOLE


def test_a_device_that_tells_no_memory_and_the_host_get_them_whole() -> None:
    device = Device(2)
    assert device.places(A, calls_only=True, device="cuda:1") == [("cuda:1", 10, True)]
    assert Device(2).places(A, calls_only=True, device="mps") == [("mps", 10, True)]
    assert Device(2).places(A, calls_only=True, device="cpu") == [("cpu", 10, True)]


def test_others_go_rather_than_let_weights_come_in_parts() -> None:
    device = Device(16)
    used(device.manager, B)
    assert device.places(A, calls_only=True, work=6) == [("cpu", 6, True), *WHOLE]
    assert device.asked == []


def test_others_in_use_are_in_the_way() -> None:
    device = Device(20)
    with device.manager.use(B, "cuda:0"):
        there = device.places(A, calls_only=True)
    assert there == [*IN_PARTS, ("cuda:0", 6, True)]
    assert device.asked == [("offloaded", 9)]


def test_a_budget_that_was_given_counts_too() -> None:
    assert Device(100, {"cuda:0": 9}).places(A, calls_only=True) == IN_PARTS
    assert Device(100, {"cuda:0": 10}).places(A, calls_only=True) == WHOLE


def test_what_lies_there_goes_to_the_host_and_comes_back() -> None:
    """Once work leaves room again, it is whole; it is read from its file once."""
    device, said = Device(20), list[str]()
    assert device.places(A, calls_only=True) == WHOLE
    assert device.places(A, calls_only=True, work=11, tell=said.append) == IN_PARTS
    assert device.places(A, calls_only=True) == WHOLE
    assert device.machine.loaded == [("a", "cuda:0")]
    assert device.machine.moved == [("a", "cpu"), ("a", "cuda:0")]
    assert said == [
        "The DiffusionModel is loaded on cuda:0 in parts, because there is room for 9 B of "
        "weights in addition to the computation."
    ]


def test_with_adapters_all_of_it_counts() -> None:
    device = Device(16)
    changed = adapted(A, "x", 2)
    assert device.places(changed, calls_only=True) == [("cuda:0", 2, True), *WHOLE]
    there = device.places(changed, calls_only=True)
    assert there == [("cpu", 2, True), *IN_PARTS]
    assert lying(device.manager, "cuda:0") == []


def test_a_use_that_fails_counts_no_longer() -> None:
    device = Device(2)
    with pytest.raises(ZeroDivisionError), device.manager.use(A, "cuda:0", "offloaded"):
        raise ZeroDivisionError
    assert lying(device.manager, "cuda:0") == []
