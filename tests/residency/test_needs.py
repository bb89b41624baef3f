"""Where room is scarce on the host, components are held compactly, and only there."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.values import Recipe
from nodegraph.residency import Compact, ResidencyManager
from tests.residency.support import Component, Machine, lying, manager_of, recipe_of, used

A, B, C = (recipe_of(name) for name in "abc")
HALF = 5


class Narrow(Machine):
    """Makes components of half the bytes, too, and counts them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.compact: list[str] = []

    def load_compact(self, recipe: Recipe) -> Component:
        self.compact.append(recipe.digest)
        component = Machine().load(recipe_of(recipe.digest, HALF), "cpu")
        return Component(component.module, recipe, "cpu")

    def manager(self, budget: int, size: int | None = HALF, **options: Any) -> ResidencyManager:
        compact = Compact(self.load_compact, lambda _: size)
        given = {"estimate": lambda recipe: int(recipe.option("size")), "compact": compact}
        return manager_of(self, {"host": budget}, **given | options)


def bytes_of(manager: ResidencyManager) -> dict[str, int]:
    return {item.recipe.digest: item.bytes for item in manager.resident()}


def test_two_by_turns_that_fit_only_compactly_are_loaded_so_once() -> None:
    machine = Narrow()
    manager = machine.manager(14)

    for _ in range(10):
        used(manager, A, "cpu")
        used(manager, B, "cpu")

    assert machine.loaded == [("a", "cpu"), ("b", "cpu")]
    assert machine.compact == ["a", "b"]
    assert bytes_of(manager) == {"a": HALF, "b": HALF}


def test_what_fits_is_never_compact() -> None:
    machine = Narrow()
    manager = machine.manager(20)

    for _ in range(3):
        used(manager, A, "cpu")
        used(manager, B, "cpu")

    assert machine.compact == []
    assert bytes_of(manager) == {"a": 10, "b": 10}


def test_who_changes_for_good_keeps_what_is_quick() -> None:
    machine = Narrow()
    manager = machine.manager(14)

    for recipe in (A, B, B, C, C):
        used(manager, recipe, "cpu")

    assert machine.compact == []
    assert bytes_of(manager) == {"c": 10}


def test_only_as_much_goes_as_a_compact_one_needs() -> None:
    machine = Narrow()
    manager = machine.manager(20)
    for recipe in (A, B, C):  # a had to go
        used(manager, recipe, "cpu")

    used(manager, A, "cpu")

    assert lying(manager, "cpu") == ["c", "a"]
    used(manager, B, "cpu")
    assert bytes_of(manager) == {"c": 10, "a": HALF, "b": HALF}


def test_what_memory_has_no_room_for_at_all_comes_compact_at_once() -> None:
    machine = Narrow()
    manager = machine.manager(100, free=lambda device: 7)

    used(manager, A, "cpu")

    assert (machine.loaded, machine.compact) == ([], ["a"])


def test_what_would_fit_if_others_went_comes_in_full() -> None:
    machine = Narrow()
    free = 10
    manager = machine.manager(100, free=lambda device: free)
    used(manager, A, "cpu")

    free = 0
    used(manager, B, "cpu")

    assert bytes_of(manager) == {"b": 10}


def test_a_budget_too_small_for_either_changes_nothing() -> None:
    machine = Narrow()
    manager = machine.manager(4)

    for _ in range(3):
        used(manager, A, "cpu")

    assert (len(machine.loaded), machine.compact) == (3, [])


def test_what_cannot_be_compact_is_loaded_again() -> None:
    machine = Narrow()
    manager = machine.manager(14, size=None)

    for recipe in (A, B, A, B):
        used(manager, recipe, "cpu")

    assert len(machine.loaded) == 4


def test_pre_loading_takes_the_form_that_a_use_takes() -> None:
    machine = Narrow()
    manager = machine.manager(14)
    for recipe in (A, B, A):  # b had to go
        used(manager, recipe, "cpu")

    assert manager.prefetch(B, "cpu")

    assert machine.compact == ["a", "b"]
    assert bytes_of(manager) == {"a": HALF, "b": HALF}


def test_who_looks_into_it_is_given_the_usual_one() -> None:
    machine = Narrow()
    manager = machine.manager(14)
    for recipe in (A, B, A):
        used(manager, recipe, "cpu")
    used(manager, B, "cpu")
    assert bytes_of(manager)["b"] == HALF

    used(manager, B, "cpu", calls_only=False)

    assert machine.loaded.count(("b", "cpu")) == 2
    assert bytes_of(manager)["b"] == 10


def test_who_looks_into_it_while_another_is_at_work_has_one_for_itself() -> None:
    machine = Narrow()
    manager = machine.manager(100, free=lambda device: 7)
    with manager.use(A, "cpu", calls_only=True) as at_work:
        whole = used(manager, A, "cpu", calls_only=False)

        assert whole is not at_work
        assert machine.loaded == [("a", "cpu")]
        assert bytes_of(manager) == {"a": HALF}
        assert used(manager, A, "cpu") is at_work


def test_an_accelerators_components_are_in_full() -> None:
    machine = Narrow()
    compact = Compact(machine.load_compact, lambda _: HALF)
    manager = manager_of(machine, {"cuda:0": 10, "host": 0}, compact=compact)

    for recipe in (A, B, A, B):
        used(manager, recipe, "cuda:0")

    assert machine.compact == []


def test_letting_go_of_all_begins_anew() -> None:
    machine = Narrow()
    manager = machine.manager(14)
    for recipe in (A, B, A):
        used(manager, recipe, "cpu")

    manager.release_all()
    used(manager, A, "cpu")

    assert bytes_of(manager) == {"a": 10}


@given(st.integers(0, 60), st.lists(st.sampled_from("abcdef"), max_size=40))
def test_budgets_hold_and_nothing_is_loaded_in_vain(budget: int, names: list[str]) -> None:
    machine = Narrow()
    manager = machine.manager(budget)

    for name in names:
        there = bytes_of(manager)
        before = len(machine.loaded) + len(machine.compact)
        assert used(manager, recipe_of(name), "cpu").recipe.digest == name
        after = len(machine.loaded) + len(machine.compact)
        assert after == before + (name not in there)
        assert sum(bytes_of(manager).values()) <= budget
    # Once each came in full, and compact ones only after they had to go.
    full = [name for name, _ in machine.loaded]
    assert set(machine.compact) <= set(full)
    assert budget < HALF or len(full) == len(set(full))
