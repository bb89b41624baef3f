"""Devices and the host: moving, cost, adapters, pre-loading, small uses, lack of memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from nodegraph.core.values import Recipe
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.residency import OutOfMemory, PartialComponent, ResidencyManager
from tests.messages import raises
from tests.residency.support import (
    Component,
    Machine,
    adapted,
    lying,
    manager_of,
    recipe_of,
    used,
)

LIMIT = 60.0
"""Seconds until something that should happen counts as never happening."""
A, B, C = (recipe_of(name) for name in "abc")


def size_of(recipe: Recipe) -> int:
    return int(recipe.option("size"))


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_what_has_no_room_on_the_device_goes_to_the_host_then_away(machine: Machine) -> None:
    manager = manager_of(machine, {"cuda:0": 10, "host": 10})

    used(manager, A)
    used(manager, B)
    assert (lying(manager, "cuda:0"), lying(manager, "cpu")) == (["b"], ["a"])
    used(manager, C)
    assert (lying(manager, "cuda:0"), lying(manager, "cpu")) == (["c"], ["b"])


def test_what_lies_at_the_host_is_moved_not_loaded(machine: Machine) -> None:
    manager = manager_of(machine, {"cuda:0": 10, "host": 10})

    first = used(manager, A)
    used(manager, B)
    assert used(manager, A) is first

    assert machine.loaded == [("a", "cuda:0"), ("b", "cuda:0")]
    assert machine.moved == [("a", "cpu"), ("b", "cpu"), ("a", "cuda:0")]
    assert (lying(manager, "cuda:0"), lying(manager, "cpu")) == (["a"], ["b"])


def test_without_a_way_to_move_what_leaves_a_device_is_gone(machine: Machine) -> None:
    manager = manager_of(machine, {"cuda:0": 10}, move=None)

    used(manager, A)
    used(manager, B)

    assert [item.recipe for item in manager.resident()] == [B]


def test_what_is_in_use_at_the_host_is_not_moved_away_from_there(machine: Machine) -> None:
    manager = manager_of(machine, {})

    with manager.use(A, "cpu") as here:
        assert used(manager, A) is not here
        assert here.place == "cpu"


def test_a_component_that_fails_to_move_away_is_gone_and_comes_back(machine: Machine) -> None:
    def move(component: Component, device: str) -> Component:
        raise MemoryError("the host is full")

    manager = manager_of(machine, {"cuda:0": 10}, move=move)
    used(manager, A)
    used(manager, B)

    assert lying(manager, "cpu") == []
    assert lying(manager, "cuda:0") == ["b"]
    used(manager, A)


@pytest.mark.parametrize(("known", "left"), [(True, []), (False, ["d"])])
def test_an_interrupt_while_moving_leaves_nobody_waiting(
    machine: Machine, known: bool, left: list[str]
) -> None:
    """Room is made before a load if its size is known, else after it."""

    def move(component: Component, device: str) -> Component:
        raise KeyboardInterrupt

    estimate = size_of if known else None
    manager = manager_of(machine, {"cuda:0": 20}, move=move, estimate=estimate)
    used(manager, A)
    used(manager, B)
    with pytest.raises(KeyboardInterrupt):
        used(manager, recipe_of("d", 20))

    assert lying(manager, "cuda:0") == left
    assert all(item.pins == 0 for item in manager.resident())
    manager.release_all()
    assert used(manager, A).place == "cuda:0"


def test_what_is_costly_to_load_is_kept_over_what_was_used_later(machine: Machine) -> None:
    manager = manager_of(machine, {"cpu": 20})

    for recipe in (recipe_of("dear", 10, 9.0), recipe_of("cheap", 10, 0.1), A):
        used(manager, recipe, "cpu")

    assert lying(manager, "cpu") == ["dear", "a"]


def test_what_is_costly_and_never_used_again_goes_in_the_end(machine: Machine) -> None:
    manager = manager_of(machine, {"cpu": 20})
    used(manager, recipe_of("dear", 10, 5.0), "cpu")

    for index in range(12):
        used(manager, recipe_of(f"cheap{index}", 10, 1.0), "cpu")

    assert "dear" not in lying(manager, "cpu")


def test_recipes_that_differ_in_adapters_share_the_weights_below(machine: Machine) -> None:
    manager = manager_of(machine, {})

    with (
        manager.use(adapted(A, "x", 2), "cpu") as x,
        manager.use(adapted(A, "y", 3), "cpu") as y,
        manager.use(A, "cpu") as base,
    ):
        assert x.module.shared is y.module.shared is base.module
        assert [item.bytes for item in manager.resident()] == [10, 2, 3]

    assert machine.loaded == [("a", "cpu")]
    assert machine.derived == ["a+x", "a+y"]


def test_the_weights_below_are_pinned_while_adapters_are_in_use(machine: Machine) -> None:
    manager = manager_of(machine, {"cpu": 12})

    with manager.use(adapted(A, "x"), "cpu"):
        used(manager, B, "cpu")
        assert lying(manager, "cpu") == ["a", "a+x"]
    used(manager, B, "cpu")
    assert lying(manager, "cpu") == ["b"]


def test_the_strength_makes_another_component(machine: Machine) -> None:
    manager = manager_of(machine, {})

    weak, strong = (used(manager, adapted(A, "x", size), "cpu") for size in (1, 2))

    assert weak is not strong
    assert machine.loaded == [("a", "cpu")]


def test_adapters_without_a_way_to_put_them_on_are_refused(machine: Machine) -> None:
    manager = manager_of(machine, {}, derive=None)

    with raises(InvalidValue, given="lora /loras/x"):
        used(manager, adapted(A, "x"))
    assert machine.loaded == []


def test_failing_adapters_let_go_of_the_weights_below(machine: Machine) -> None:
    def derive(base: Component, recipe: Recipe) -> Component:
        raise InvalidFile("damaged")

    manager = manager_of(machine, {}, derive=derive)
    with pytest.raises(InvalidFile):
        used(manager, adapted(A, "x"), "cpu")

    assert [(item.recipe, item.pins) for item in manager.resident()] == [(A, 0)]


def test_pre_loading_fills_what_is_free_and_evicts_nothing(machine: Machine) -> None:
    manager = manager_of(machine, {"cuda:0": 25}, estimate=size_of)
    used(manager, A)

    assert manager.prefetch(B, "cuda:0")
    assert not manager.prefetch(C, "cuda:0")
    assert lying(manager, "cuda:0") == ["a", "b"]
    used(manager, B)
    assert machine.loaded == [("a", "cuda:0"), ("b", "cuda:0")]


def test_pre_loading_what_takes_more_than_was_said_evicts_itself(machine: Machine) -> None:
    manager = manager_of(machine, {"cuda:0": 15}, estimate=lambda recipe: 1)
    used(manager, A)

    assert not manager.prefetch(B, "cuda:0")
    assert lying(manager, "cuda:0") == ["a"]


def test_pre_loading_leaves_half_of_the_free_memory(machine: Machine) -> None:
    free = {"cpu": 19}
    manager = manager_of(machine, {}, estimate=size_of, free=free.get)

    assert not manager.prefetch(A, "cpu")
    free["cpu"] = 20
    assert manager.prefetch(A, "cpu")


def test_what_is_idle_goes_before_a_load_that_too_little_memory_is_free_for(
    machine: Machine,
) -> None:
    free = {"cpu": 100}
    manager = manager_of(machine, {"host": 1000}, estimate=size_of, free=free.get)
    used(manager, A, "cpu")
    used(manager, B, "cpu")
    assert machine.emptied == []
    # As much as one of them would have to leave.
    free["cpu"] = 1
    used(manager, C, "cpu")
    assert lying(manager, "cpu") == ["b", "c"]
    assert machine.emptied == ["cpu"]  # and what the libraries hold back


def test_what_is_in_use_stays_however_little_memory_is_free(machine: Machine) -> None:
    manager = manager_of(machine, {}, estimate=size_of, free=lambda device: 0)
    with manager.use(A, "cpu"):
        used(manager, B, "cpu")
        assert lying(manager, "cpu") == ["a", "b"]


@pytest.mark.parametrize("error", [InvalidFile("missing"), MemoryError(), OSError("gone")])
def test_what_fails_to_pre_load_is_told_by_its_use(machine: Machine, error: Exception) -> None:
    def load(recipe: Recipe, device: str) -> Any:
        raise error

    manager = ResidencyManager(load, empty_reserves=machine.emptied.append)
    assert not manager.prefetch(A, "cpu")
    assert machine.emptied == []  # nothing was evicted for it either
    with pytest.raises((NodegraphError, OSError)):
        used(manager, A, "cpu")


def test_relieving_a_device_moves_what_is_idle_to_the_host(machine: Machine) -> None:
    manager = manager_of(machine, {})
    used(manager, A)
    with manager.use(B, "cuda:0"):
        assert manager.relieve("cuda:0") == 10
        assert (lying(manager, "cuda:0"), lying(manager, "cpu")) == (["b"], ["a"])

    assert machine.emptied == ["cuda:0"]


def test_relieving_the_host_lets_go_for_good(machine: Machine) -> None:
    manager = manager_of(machine, {})
    used(manager, A, "cpu")

    assert manager.relieve("cpu") == 10
    assert manager.resident() == []


@contextmanager
def shrunk(
    component: Component, device: str, footprint: str, room: int | None
) -> Iterator[PartialComponent]:
    yield PartialComponent((footprint, component, device), 3, "in parts")


def test_a_small_use_leaves_the_weights_at_the_host(machine: Machine) -> None:
    manager = manager_of(machine, {}, lean=shrunk)
    first = used(manager, A)
    manager.relieve("cuda:0")

    with manager.use(A, "cuda:0", "small") as found:
        assert found == ("small", first, "cuda:0")
        there = [(item.device, item.bytes, item.is_whole) for item in manager.resident()]
        assert there == [("cpu", 10, True), ("cuda:0", 3, False)]
    assert machine.loaded == [("a", "cuda:0")]
    assert [(item.device, item.pins) for item in manager.resident()] == [("cpu", 0)]


def test_where_nothing_makes_it_smaller_a_small_use_is_an_ordinary_one(machine: Machine) -> None:
    manager = manager_of(machine, {})

    with manager.use(A, "cuda:0", "small") as component:
        assert component.place == "cuda:0"


def test_a_move_that_runs_out_of_memory_makes_room_and_loads_anew(machine: Machine) -> None:
    def move(component: Component, device: str) -> Component:
        if device == "cuda:0":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return machine.move(component, device)

    manager = manager_of(machine, {}, move=move)
    used(manager, A, "cpu")
    used(manager, B)

    assert used(manager, A).place == "cuda:0"
    assert machine.loaded == [("a", "cpu"), ("b", "cuda:0"), ("a", "cuda:0")]
    assert machine.emptied == ["cuda:0"]
    assert (lying(manager, "cuda:0"), lying(manager, "cpu")) == (["a"], ["b"])


def test_weights_that_never_fit_are_out_of_memory(machine: Machine) -> None:
    def load(recipe: Recipe, device: str) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    manager = manager_of(machine, {})
    manager = ResidencyManager(load, empty_reserves=machine.emptied.append)
    with raises(OutOfMemory) as raised:
        used(manager, A)

    assert manager.is_out_of_memory(raised.value)
    assert manager.explain(raised.value, "cuda:0") is raised.value
    assert raised.value.code == "out-of-memory"


def test_who_asks_for_what_is_moving_away_waits_and_gets_it_back(machine: Machine) -> None:
    moving, go_on = threading.Event(), threading.Event()

    def move(component: Component, device: str) -> Component:
        if device == "cpu" and component.recipe == A:
            moving.set()
            assert go_on.wait(LIMIT)
        return machine.move(component, device)

    manager = manager_of(machine, {"cuda:0": 10, "host": 10}, move=move)
    first = used(manager, A)
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(used, manager, B)
        assert moving.wait(LIMIT)
        again = pool.submit(used, manager, A)
        assert not again.done()
        go_on.set()
        assert again.result(LIMIT) is first
        other.result(LIMIT)

    assert [item.pins for item in manager.resident()] == [0] * len(manager.resident())
    assert machine.loaded == [("a", "cuda:0"), ("b", "cuda:0")]


def test_many_threads_keep_what_they_hold_and_the_budgets(machine: Machine) -> None:
    """Under a lot of moving, nobody's component moves, and at the end all is in order."""
    manager = manager_of(machine, {"cuda:0": 22, "host": 22}, estimate=size_of)
    plain = [recipe_of(name, 5 + index) for index, name in enumerate("abcde")]
    recipes = [*plain, adapted(plain[0], "x"), adapted(plain[0], "y"), adapted(plain[3], "z")]
    start = threading.Barrier(4, timeout=LIMIT)

    def work(seed: int) -> None:
        start.wait()
        for step in range(150):
            at = (seed * 7 + step * (seed + 3)) % len(recipes)
            device = "cpu" if (seed + step) % 4 == 0 else "cuda:0"
            if step % 11 == 0:
                manager.relieve(device)
            if step % 5 == 0:
                manager.prefetch(recipes[at], device)
            with manager.use(recipes[at], device) as component:
                assert component.place == device
                assert component.recipe == recipes[at]
                with manager.use(recipes[(at + step) % len(recipes)], device) as second:
                    assert second.place == component.place == device

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, seed) for seed in range(4)]:
            done.result(LIMIT)

    resident = manager.resident()
    assert all(item.pins == 0 for item in resident)
    for device in ("cuda:0", "cpu"):
        assert sum(item.bytes for item in resident if item.device == device) <= 22
    manager.release_all()
    assert manager.resident() == []
