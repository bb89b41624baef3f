"""The manager against a plain model of its policy: budgets, tiers, pins and shared weights."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nodegraph.core.values import DiffusionModel
from nodegraph.residency.placements import MOVING_RATE
from tests.properties import examples
from tests.residency.support import (
    DERIVING,
    Component,
    Machine,
    adapted,
    manager_of,
    name_of,
    recipe_of,
)

DEVICE, HOST = "cuda:0", "cpu"
BUDGETS = {DEVICE: 25, "host": 20}
SIZES = {"a": (4, 1.0), "b": (9, 0.5), "c": (12, 8.0), "d": (30, 2.0), "e": (7, 0.1)}
ADAPTERS = {"a+x": 2, "a+y": 3, "c+x": 6}
PLACES = st.sampled_from([DEVICE, DEVICE, HOST])
NAMES = st.sampled_from(sorted([*SIZES, *ADAPTERS]))


def recipe(name: str) -> DiffusionModel:
    base, _, adapter = name.partition("+")
    plain = recipe_of(base, *SIZES[base])
    return adapted(plain, adapter, ADAPTERS[name]) if adapter else plain


@dataclass(eq=False)
class Item:
    """Something at a place, as the model sees it."""

    name: str
    size: int
    seconds: float
    pins: int = 0
    score: float = 0.0
    used: int = 0
    arriving: bool = False
    unwanted: bool = False

    @property
    def is_idle(self) -> bool:
        return not self.pins and not self.arriving


@dataclass
class Model:
    """The policy, for one thread: everything happens at once."""

    places: dict[str, dict[str, Item]] = field(default_factory=lambda: {DEVICE: {}, HOST: {}})
    levels: Counter[str] = field(default_factory=Counter)
    known: dict[str, int] = field(default_factory=dict)
    loads: int = 0
    moves: int = 0
    derivations: int = 0
    time: int = 0

    def take(self, name: str, place: str, *, may_evict: bool = True) -> None:
        item = self.places[place].get(name)
        if item is None:
            self._bring(name, place, may_evict)
            return
        item.pins += 1
        if "+" in name and item.pins == 1:
            self._base(name, place).pins += 1

    def let_go(self, name: str, place: str) -> None:
        self._unpin(self.places[place][name], place)
        self._make_room(place, 0)

    def prefetch(self, name: str, place: str) -> bool:
        if "+" in name and not self.prefetch(name.partition("+")[0], place):
            return False
        if name not in self.places[place]:
            if self._expected(name) > self._room(place):
                return False
            self.take(name, place, may_evict=False)
            item = self.places[place][name]
            self._unpin(item, place)
            if self._room(place) < 0:
                self._drop(item, place)
            return name in self.places[place]
        self.take(name, place)
        self._unpin(self.places[place][name], place)
        return True

    def relieve(self, place: str) -> None:
        for item in self._by_worth(place):
            self._evict(item, place)
        self._settle()

    def release_all(self) -> None:
        for place, items in self.places.items():
            for item in list(items.values()):
                item.unwanted = True
                if item.is_idle:
                    self._drop(item, place)

    def _bring(self, name: str, place: str, may_evict: bool) -> None:
        seconds = None
        source = self.places[HOST].get(name)
        if place == DEVICE and "+" not in name and source is not None and source.is_idle:
            self._drop(source, HOST)
            seconds, self.moves = source.seconds, self.moves + 1
        self._make_room(place, self._expected(name))
        item = Item(name, self._expected(name), 0.0, pins=1, arriving=True)
        self.places[place][name] = item
        if "+" in name:
            self.take(name.partition("+")[0], place)
            self.derivations += 1
            item.size, item.seconds = ADAPTERS[name], DERIVING
        else:
            item.size, item.seconds = SIZES[name]
            self.loads += seconds is None
        item.arriving = False
        self.known[name] = item.size
        self._touch(item, place)
        if may_evict:
            self._make_room(place, 0)

    def _expected(self, name: str) -> int:
        # Of plain models the files tell; what adapters add is known after the first time.
        return SIZES[name][0] if name in SIZES else self.known.get(name, 0)

    def _make_room(self, place: str, needed: int) -> None:
        for item in self._by_worth(place):
            if needed <= self._room(place):
                break
            self._evict(item, place)
        self._settle()

    def _evict(self, item: Item, place: str) -> None:
        if self.places[place].get(item.name) is not item:
            return
        self.levels[place] = max(self.levels[place], item.score)
        self._drop(item, place)
        moves_on = place == DEVICE and "+" not in item.name and item.name not in self.places[HOST]
        idle = sum(other.size for other in self.places[HOST].values() if other.is_idle)
        if not moves_on or self._room(HOST) + idle < item.size:
            return
        for other in self._by_worth(HOST):
            if self._room(HOST) < item.size:
                self._evict(other, HOST)
        self.moves += 1
        copy = Item(item.name, item.size, item.seconds, used=item.used, arriving=True)
        self.places[HOST][item.name] = copy

    def _settle(self) -> None:
        for item in self.places[HOST].values():
            if item.arriving and not item.pins:
                item.arriving = False
                self._rate(item, HOST)

    def _drop(self, item: Item, place: str) -> None:
        self.places[place].pop(item.name, None)
        for name in [other for other in self.places[place] if other.startswith(f"{item.name}+")]:
            del self.places[place][name]

    def _unpin(self, item: Item, place: str) -> None:
        item.pins -= 1
        self._touch(item, place)
        if item.pins:
            return
        if item.unwanted:
            self._drop(item, place)
        if "+" in item.name:
            self._unpin(self._base(item.name, place), place)

    def _touch(self, item: Item, place: str) -> None:
        self.time += 1
        item.used = self.time
        self._rate(item, place)

    def _rate(self, item: Item, place: str) -> None:
        moves_on = place == DEVICE and "+" not in item.name and item.size <= BUDGETS["host"]
        seconds = item.size / MOVING_RATE if moves_on else item.seconds
        item.score = self.levels[place] + seconds / item.size

    def _base(self, name: str, place: str) -> Item:
        return self.places[place][name.partition("+")[0]]

    def _room(self, place: str) -> int:
        budget = BUDGETS["host" if place == HOST else place]
        return budget - sum(item.size for item in self.places[place].values())

    def _by_worth(self, place: str) -> list[Item]:
        idle = [item for item in self.places[place].values() if item.is_idle]
        return sorted(idle, key=lambda item: (item.score, item.used))


class Policy(RuleBasedStateMachine):
    """One thread takes, lets go, pre-loads and relieves; both must agree at every moment."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine()
        self.manager = manager_of(
            self.machine, BUDGETS, estimate=lambda recipe: int(recipe.option("size"))
        )
        self.model = Model()
        self.held: list[tuple[str, str, Component, AbstractContextManager[Any]]] = []

    @rule(name=NAMES, place=PLACES)
    def take(self, name: str, place: str) -> None:
        holder = self.manager.use(recipe(name), place)
        component = holder.__enter__()
        self.model.take(name, place)
        self.held.append((name, place, component, holder))

    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        if self.held:
            index = data.draw(st.integers(0, len(self.held) - 1))
            name, place, _, holder = self.held.pop(index)
            holder.__exit__(None, None, None)
            self.model.let_go(name, place)

    @rule(name=NAMES, place=PLACES)
    def use_for_a_moment(self, name: str, place: str) -> None:
        with self.manager.use(recipe(name), place):
            self.model.take(name, place)
        self.model.let_go(name, place)

    @rule(name=NAMES, place=PLACES)
    def prefetch(self, name: str, place: str) -> None:
        assert self.manager.prefetch(recipe(name), place) == self.model.prefetch(name, place)

    @rule(place=PLACES)
    def relieve(self, place: str) -> None:
        before = sum(item.bytes for item in self.manager.resident() if item.device == place)
        freed = self.manager.relieve(place)
        self.model.relieve(place)
        after = sum(item.bytes for item in self.manager.resident() if item.device == place)
        assert freed == before - after

    @rule()
    def release_all(self) -> None:
        self.manager.release_all()
        self.model.release_all()

    @invariant()
    def the_same_is_there(self) -> None:
        found = {
            (item.device, name_of(item.recipe)): (item.bytes, item.pins)
            for item in self.manager.resident()
        }
        expected = {
            (place, item.name): (item.size, item.pins)
            for place, items in self.model.places.items()
            for item in items.values()
        }
        assert found == expected

    @invariant()
    def as_often_loaded_moved_and_derived(self) -> None:
        machine, model = self.machine, self.model
        assert len(machine.loaded) == model.loads
        assert len(machine.moved) == model.moves
        assert len(machine.derived) == model.derivations

    @invariant()
    def within_the_budgets_or_in_use(self) -> None:
        for place, budget in ((DEVICE, BUDGETS[DEVICE]), (HOST, BUDGETS["host"])):
            there = [item for item in self.manager.resident() if item.device == place]
            in_excess = sum(item.bytes for item in there) > budget
            assert not in_excess or all(item.pins for item in there)

    @invariant()
    def what_is_held_stays_where_it_is_and_shares_its_weights(self) -> None:
        resident = {(item.device, name_of(item.recipe)) for item in self.manager.resident()}
        for name, place, component, _ in self.held:
            assert component.place == place
            assert (place, name) in resident
            assert (place, name.partition("+")[0]) in resident
        modules = {(place, name): item.module for name, place, item, _ in self.held}
        for (place, name), module in modules.items():
            base = modules.get((place, name.partition("+")[0]))
            if "+" in name and base is not None:
                assert module.shared is base


TestPolicy = Policy.TestCase
TestPolicy.settings = settings(max_examples=examples(100), stateful_step_count=30, deadline=None)
