"""The residency manager loads once, shares, pins, and evicts, on one device."""

from __future__ import annotations

import re
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import nn

from nodegraph.core.context import PROGRESS_CALLBACK, ProgressCallback
from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.values import Adapter, DiffusionModel, Recipe, RecipeFile, Vae
from nodegraph.errors import Cancelled, InvalidFile, InvalidValue, NodegraphError
from nodegraph.residency import ResidencyManager, resident_name
from tests.messages import raises

pytestmark = pytest.mark.usefixtures("little_to_search")

LIMIT = 60.0
"""Seconds until something that should happen counts as never happening."""


@dataclass(frozen=True)
class Component:
    module: nn.Module
    recipe: Recipe


class Loader:
    """Makes components as large as their recipe's option `size` says, and counts."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, str]] = []

    def __call__(self, recipe: Recipe, device: str) -> Component:
        self.loaded.append((recipe.digest, device))
        module = nn.Module()
        weight = torch.zeros(int(recipe.option("size")), dtype=torch.int8)
        module.weight = nn.Parameter(weight, requires_grad=False)
        return Component(module, recipe)


def recipe_of(name: str, size: int = 10) -> DiffusionModel:
    return DiffusionModel(
        "sd1", (RecipeFile("", f"/models/{name}", name),), options=(("size", str(size)),)
    )


def names(manager: ResidencyManager) -> list[str]:
    return [item.recipe.digest for item in manager.resident()]


def test_what_is_in_memory_has_a_name_to_read_that_its_content_decides() -> None:
    """It stands in tables of workers, and is compared across processes."""
    one = resident_name(recipe_of("a"), "cuda:0")
    assert one == resident_name(recipe_of("a"), "cuda:0")
    assert one != resident_name(recipe_of("b"), "cuda:0")
    family = recipe_of("a").family
    assert re.fullmatch(rf"cuda:0 {family} \w+ \w+ [0-9a-f]{{12}}", one)


def test_a_second_use_shares_what_the_first_loaded() -> None:
    loader = Loader()
    manager = ResidencyManager(loader)

    with manager.use(recipe_of("a"), "cpu") as first:
        pass
    with manager.use(recipe_of("a"), "cpu") as second:
        assert second is first

    assert loader.loaded == [("a", "cpu")]


def test_equal_content_is_shared_wherever_the_files_lie() -> None:
    loader = Loader()
    manager = ResidencyManager(loader)
    moved = replace(recipe_of("a"), files=(RecipeFile("", "/elsewhere/a", "a"),))

    with manager.use(recipe_of("a"), "cpu") as first, manager.use(moved, "cpu") as second:
        assert second is first


ADAPTED = replace(recipe_of("a"), adapters=(Adapter("lora", "/l", "0", 1.0, ("unet",), "word"),))


@pytest.mark.parametrize(
    "change",
    [{"strength": 0.5}, {"modules": ("unet_2",)}, {"token": "other"}],
)
def test_adapters_that_apply_otherwise_are_put_on_apart(change: dict[str, Any]) -> None:
    manager = ResidencyManager(Loader(), derive=lambda base, recipe: Component(base.module, recipe))
    other = replace(ADAPTED, adapters=(replace(ADAPTED.adapters[0], **change),))

    with manager.use(ADAPTED, "cpu") as first, manager.use(other, "cpu") as second:
        assert second is not first


def test_what_computes_otherwise_is_derived_from_the_one_that_does_not() -> None:
    loader = Loader()
    manager = ResidencyManager(loader, derive=lambda base, recipe: Component(base.module, recipe))
    fast = replace(recipe_of("a"), options=(("size", "10"), (f"{SPEED_PREFIX}compiled", "on")))

    with manager.use(fast, "cpu") as found:
        assert found.recipe == fast

    assert loader.loaded == [("a", "cpu")]
    assert [(item.recipe, item.bytes) for item in manager.resident()] == [
        (fast, 0),
        (recipe_of("a"), 10),
    ]
    with (
        raises(InvalidValue, given="speed options"),
        ResidencyManager(loader).use(fast, "cpu"),
    ):
        pass


@pytest.mark.parametrize(
    "other",
    [
        replace(recipe_of("a"), dtype="float16"),
        replace(recipe_of("a"), options=(("size", "3"),)),
        Vae("sd1", (RecipeFile("", "/models/a", "a"),), options=(("size", "10"),)),
    ],
)
def test_recipes_that_differ_are_loaded_apart(other: Recipe) -> None:
    manager = ResidencyManager(Loader())

    with manager.use(recipe_of("a"), "cpu") as first, manager.use(other, "cpu") as second:
        assert second is not first


def test_each_device_has_its_own_copy_and_budget() -> None:
    loader = Loader()
    manager = ResidencyManager(loader, {"cuda:0": 10})

    for device in ("cpu", "cuda:0"):
        for name in ("a", "b"):
            with manager.use(recipe_of(name), device):
                pass

    assert len(loader.loaded) == 4
    assert [(item.recipe.digest, item.device) for item in manager.resident()] == [
        ("a", "cpu"),
        ("b", "cpu"),
        ("b", "cuda:0"),
    ]


def test_of_equal_cost_the_least_recently_used_is_evicted_first() -> None:
    manager = ResidencyManager(Loader(), {"cpu": 25}, clock=lambda: 0.0)

    for name in ("a", "b", "a", "c"):
        with manager.use(recipe_of(name), "cpu"):
            pass

    assert names(manager) == ["a", "c"]


def test_what_is_in_use_is_never_evicted_but_goes_when_let_go_of() -> None:
    manager = ResidencyManager(Loader(), {"cpu": 15})

    with manager.use(recipe_of("a"), "cpu"):
        with manager.use(recipe_of("b"), "cpu"):
            assert [item.pins for item in manager.resident()] == [1, 1]
        assert names(manager) == ["a"]

    assert names(manager) == ["a"]


def test_a_component_larger_than_the_budget_is_used_and_not_kept() -> None:
    manager = ResidencyManager(Loader(), {"cpu": 5})

    with manager.use(recipe_of("a"), "cpu"):
        assert manager.resident()[0].bytes == 10

    assert manager.resident() == []


def test_room_is_made_before_loading_by_estimate_then_by_measured_size() -> None:
    before: list[list[str]] = []
    loader = Loader()

    def load(recipe: Recipe, device: str) -> Component:
        before.append(names(manager))
        return loader(recipe, device)

    manager = ResidencyManager(load, {"cpu": 15}, estimate=lambda recipe: 0)
    for name in ("a", "b", "a"):
        with manager.use(recipe_of(name), "cpu"):
            pass

    # The estimate for b was too small, so a goes only after; a's own size is known by then.
    assert before == [[], ["a"], []]


def test_threads_that_ask_together_load_once() -> None:
    loader = Loader()
    started, go_on = threading.Event(), threading.Event()

    def load(recipe: Recipe, device: str) -> Component:
        started.set()
        assert go_on.wait(LIMIT)
        return loader(recipe, device)

    manager = ResidencyManager(load)

    def use(_: int) -> Any:
        with manager.use(recipe_of("a"), "cpu") as component:
            return component

    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(use, index) for index in range(4)]
        assert started.wait(LIMIT)
        go_on.set()
        components = {id(user.result(LIMIT)) for user in users}

    assert len(loader.loaded) == 1
    assert len(components) == 1
    assert manager.resident()[0].pins == 0


def test_different_recipes_load_at_the_same_time() -> None:
    both_loading = threading.Barrier(2, timeout=LIMIT)
    loader = Loader()

    def load(recipe: Recipe, device: str) -> Component:
        both_loading.wait()
        return loader(recipe, device)

    manager = ResidencyManager(load)

    def use(name: str) -> None:
        with manager.use(recipe_of(name), "cpu"):
            pass

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(use, ["a", "b"]))

    assert sorted(names(manager)) == ["a", "b"]


def test_a_failed_load_fails_all_who_waited_and_is_tried_again_later() -> None:
    loader = Loader()
    waiting, attempts = threading.Event(), []

    def load(recipe: Recipe, device: str) -> Component:
        attempts.append(recipe)
        if len(attempts) == 1:
            assert waiting.wait(LIMIT)
            raise InvalidFile("damaged")
        return loader(recipe, device)

    manager = ResidencyManager(load)

    def use(_: int) -> str:
        try:
            with manager.use(recipe_of("a"), "cpu"):
                return "loaded"
        except InvalidFile:
            return "failed"

    with ThreadPoolExecutor(2) as pool:
        users = [pool.submit(use, index) for index in range(2)]
        _wait_until(lambda: _is_awaited(manager))
        waiting.set()
        assert [user.result(LIMIT) for user in users] == ["failed", "failed"]

    assert manager.resident() == []
    assert use(0) == "loaded"


class Halves:
    """Loads that fail halfway, as soon as somebody else waits for them."""

    def __init__(self) -> None:
        self.made: list[weakref.ref[nn.Module]] = []
        self.awaited = threading.Event()

    def __call__(self, recipe: Recipe, device: str) -> Component:
        half = nn.Linear(2, 2)
        self.made.append(weakref.ref(half))
        assert self.awaited.wait(LIMIT)
        raise torch.OutOfMemoryError("CUDA out of memory")

    def there(self) -> int:
        return sum(made() is not None for made in self.made)


def test_who_is_told_of_a_failed_load_finds_nothing_of_it_in_memory() -> None:
    """Also while the thread that loaded holds its own error, as it may for long."""
    load = Halves()
    manager = ResidencyManager(load)
    told = threading.Barrier(2)

    def use(_: int) -> tuple[int, int]:
        try:
            with manager.use(recipe_of("a"), "cuda:0"):
                raise AssertionError("it can't be there")
        except NodegraphError as error:
            told.wait(LIMIT)
            return load.there(), id(error)

    with ThreadPoolExecutor(2) as pool:
        users = [pool.submit(use, index) for index in range(2)]
        _wait_until(lambda: _is_awaited(manager))
        load.awaited.set()
        found = [user.result(LIMIT) for user in users]

    assert [there for there, _ in found] == [0, 0]
    assert len(load.made) == 2  # it was tried once more; the other one didn't try itself
    assert len({error for _, error in found}) == 2, "an error for each"


def test_what_could_not_be_pre_loaded_is_loaded_by_those_who_wait_for_it() -> None:
    """They may evict what is in the way."""
    loader, half = Loader(), Halves()

    def load(recipe: Recipe, device: str) -> Component:
        is_crowded = recipe.digest == "b" and manager.resident()
        return half(recipe, device) if is_crowded else loader(recipe, device)

    manager = ResidencyManager(load)
    with manager.use(recipe_of("a"), "cuda:0"):
        pass

    def use() -> list[str]:
        with manager.use(recipe_of("b"), "cuda:0"):
            return names(manager)

    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(manager.prefetch, recipe_of("b"), "cuda:0")
        _wait_until(lambda: bool(half.made))
        user = pool.submit(use)
        _wait_until(lambda: _is_awaited(manager))
        half.awaited.set()
        assert not early.result(LIMIT)
        assert user.result(LIMIT) == ["b"]


def test_who_waits_for_the_load_of_another_can_be_cancelled() -> None:
    """The other may fetch for an hour."""
    load, cancel = Halves(), threading.Event()
    manager = ResidencyManager(load)

    def stop(step: int, total: int) -> None:
        if cancel.is_set():
            raise Cancelled("enough")

    def use(report: ProgressCallback | None) -> None:
        PROGRESS_CALLBACK.set(report)
        with manager.use(recipe_of("a"), "cuda:0"):
            pass

    with ThreadPoolExecutor(2) as pool:
        try:
            first = pool.submit(use, None)
            _wait_until(lambda: bool(load.made))
            waiting = pool.submit(use, stop)
            _wait_until(lambda: _is_awaited(manager))
            cancel.set()
            with pytest.raises(Cancelled):
                waiting.result(LIMIT)
            assert not first.done()
            assert not _is_awaited(manager)
        finally:
            load.awaited.set()


def test_what_is_not_at_hand_is_not_loaded_ahead() -> None:
    loader = Loader()
    manager = ResidencyManager(loader, is_local=lambda recipe: recipe.digest == "near")

    assert manager.prefetch(recipe_of("near"), "cuda:0")
    assert not manager.prefetch(recipe_of("far"), "cuda:0")
    assert names(manager) == ["near"]
    with manager.use(recipe_of("far"), "cuda:0"):
        assert manager.prefetch(recipe_of("far"), "cuda:0"), "it is there"


def test_an_error_of_the_user_lets_go() -> None:
    manager = ResidencyManager(Loader())

    with pytest.raises(RuntimeError, match="mine"), manager.use(recipe_of("a"), "cpu"):
        raise RuntimeError("mine")

    assert manager.resident()[0].pins == 0


def test_out_of_memory_evicts_what_is_idle_and_tries_once_more() -> None:
    loader = Loader()

    def load(recipe: Recipe, device: str) -> Component:
        if manager.resident() and recipe.digest == "b":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loader(recipe, device)

    manager = ResidencyManager(load)
    with manager.use(recipe_of("a"), "cpu"):
        pass
    with manager.use(recipe_of("b"), "cpu"):
        assert names(manager) == ["b"]


def test_lasting_lack_of_memory_says_what_was_needed() -> None:
    def load(recipe: Recipe, device: str) -> Component:
        raise MemoryError

    manager = ResidencyManager(load, estimate=lambda recipe: 3 * 2**20)

    with (
        pytest.raises(NodegraphError, match=r"out of memory on cpu .*/models/a.*3\.1 MB"),
        manager.use(recipe_of("a"), "cpu"),
    ):
        pass


def test_release_all_frees_what_is_idle_now_and_the_rest_when_let_go_of() -> None:
    manager = ResidencyManager(Loader())
    with manager.use(recipe_of("a"), "cpu"):
        pass

    with manager.use(recipe_of("b", 7), "cpu"):
        assert manager.release_all() == 10
        assert names(manager) == ["b"]

    assert manager.resident() == []


def _is_awaited(manager: ResidencyManager) -> bool:
    """Whether somebody waits for what another loads."""
    return any(entry.pins == 2 for entry in manager._components._shelves.entries())


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)
