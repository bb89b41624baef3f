"""A call's attempts: one more with less memory, inputs that must stay as they are, deadlines."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from time import sleep
from typing import Any

import pytest
import torch

from nodegraph.api import (
    Context,
    DiffusionModel,
    Estimate,
    InvalidValue,
    NodegraphError,
    Recipe,
    RecipeFile,
    node,
)
from nodegraph.core.context import Footprint
from nodegraph.engine.call_records import LOADING
from nodegraph.engine.engine import Engine
from nodegraph.engine.result import RunResult
from nodegraph.store.costs import Costs
from nodegraph.store.index import Index
from tests.messages import raises

from .conftest import Bench, link

RECIPE = DiffusionModel("sd1", (RecipeFile("", "somewhere", "00" * 32),))


class OutOfMemoryError(Exception):
    """As torch names it."""


@dataclass
class Peak:
    bytes: int | None = 1234


@dataclass
class FakeWeights:
    """Remembers what it is asked for.

    Attributes:
        others: Bytes of weights on the device that nobody asked for.
        lacking: Bytes that couldn't be had.
    """

    asked: list[tuple[str, Footprint]] = field(default_factory=list)
    relieved: list[tuple[str, list[Recipe]]] = field(default_factory=list)
    others: int = 0
    lacking: int = 9 << 30
    prefetched: list[Recipe] = field(default_factory=list)
    loaded: Flag = field(default_factory=Flag)
    seconds: float = 0.0

    @contextmanager
    def use(
        self,
        recipe: Recipe,
        device: str,
        footprint: Footprint = "full",
        *,
        calls_only: bool = False,
        work: int | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> Iterator[Any]:
        self.asked.append((device, footprint))
        sleep(self.seconds)
        yield f"weights with {'an' if footprint == 'offloaded' else 'a'} {footprint} footprint"

    def prefetch(self, recipe: Recipe, device: str) -> bool:
        self.prefetched.append(recipe)
        self.loaded.set()
        return True

    def size(self, recipe: Recipe) -> int:
        return 500

    def relieve(self, device: str, *, keep: Iterable[Recipe] = ()) -> int:
        """Bytes: some of others, and 77 of what is kept."""
        self.relieved.append((device, list(keep)))
        freed = self.others if keep else self.others + 77
        self.others = 0
        return freed

    def capacity(self, device: str) -> int | None:
        return 10 << 30

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, OutOfMemoryError)

    def can_offload(self, device: str) -> bool:
        return True

    def missing(self, error: BaseException) -> int:
        return self.lacking

    def explain(self, error: BaseException, device: str) -> NodegraphError:
        return NodegraphError(f"out of memory on {device}: it needs 9 GiB, there are 8")

    @contextmanager
    def measuring(self, device: str) -> Iterator[Peak]:
        yield Peak()


@pytest.fixture
def weights(bench: Bench) -> FakeWeights:
    found = FakeWeights()
    bench.engine.shared.weights = found  # type: ignore[assignment]
    return found


@node(lane="gpu")
def Hungry(ctx: Context, patience: int) -> str:
    """Run out of memory some times, unless it may take little."""
    WORLD.calls += 1
    with ctx.weights(RECIPE) as found:
        held = Held()
        WORLD.held.append(weakref.ref(held))
        if WORLD.calls <= patience and (ctx.footprint == "full" or patience > 5):
            raise OutOfMemoryError("tried to allocate 9 GiB")
        return str(found)


class Held:
    """Something that lies on the device while a node runs."""


@dataclass
class World:
    calls: int = 0
    held: list[weakref.ref[Held]] = field(default_factory=list)


WORLD = World()


def hungry(bench: Bench, patience: int) -> RunResult:
    """A run of a node that runs out of memory so many times, above 5 at any footprint."""
    WORLD.calls = 0
    bench.add(Hungry)
    return bench.run({"h": {"type": "Hungry", "inputs": {"patience": patience}}}, "h")


def retries(bench: Bench, reason: str = "out of memory") -> list[tuple[str, int]]:
    told = [event.data for event in bench.events if event.kind == "node.retried"]
    assert {data["reason"] for data in told} <= {reason}
    return [(data["measure"].partition(":")[0], data["freed"]) for data in told]


def test_out_of_memory_gets_a_second_try_in_full_once_others_weights_are_gone(
    bench: Bench, weights: FakeWeights
) -> None:
    weights.others = 50
    assert hungry(bench, 1)["h.text"] == "weights with a full footprint"
    assert weights.asked == [("cpu", "full"), ("cpu", "full")]
    assert weights.relieved == [("cpu", [RECIPE])]
    assert retries(bench) == [("run again after unloading the weights of other nodes", 50)]


def test_where_no_others_are_in_the_way_the_second_try_takes_less(
    bench: Bench, weights: FakeWeights
) -> None:
    assert hungry(bench, 1)["h.text"] == "weights with a small footprint"
    assert weights.asked == [("cpu", "full"), ("cpu", "small")]
    assert weights.relieved == [("cpu", [RECIPE]), ("cpu", [])]
    assert retries(bench) == [("smaller footprint", 77)]


def test_where_its_own_weights_took_what_was_missing_they_stay_away(
    bench: Bench, weights: FakeWeights
) -> None:
    weights.lacking = 77
    assert hungry(bench, 1)["h.text"] == "weights with an offloaded footprint"
    assert retries(bench) == [("offloaded weights", 77)]


def test_weights_that_stay_away_to_no_avail_lead_to_less(
    bench: Bench, weights: FakeWeights
) -> None:
    weights.lacking = 77
    assert hungry(bench, 6).errors
    assert [name for name, _ in retries(bench)] == ["offloaded weights", "smaller footprint"]
    assert weights.asked == [("cpu", "full"), ("cpu", "offloaded"), ("cpu", "small")]


def test_what_lacks_memory_in_full_even_alone_takes_less(
    bench: Bench, weights: FakeWeights
) -> None:
    weights.others = 50
    assert hungry(bench, 2)["h.text"] == "weights with a small footprint"
    assert retries(bench) == [
        ("run again after unloading the weights of other nodes", 50),
        ("smaller footprint", 77),
    ]


def test_a_last_failure_says_what_was_needed_and_holds_nothing(
    bench: Bench, weights: FakeWeights
) -> None:
    weights.others = 50
    result = hungry(bench, 9)
    assert "it needs 9 GiB, there are 8" in str(result.errors[0])
    assert WORLD.calls == 3
    gc.collect()
    assert [held() for held in WORLD.held[-3:]] == [None] * 3


@pytest.mark.parametrize(
    ("expected", "least", "asked"),
    [
        (16 << 30, 2 << 30, "small"),
        (14 << 30, 2 << 30, "full"),  # which may be an error of the estimate
        (16 << 30, None, "full"),  # as it can do with no less
    ],
)
def test_what_is_expected_to_take_far_too_much_takes_less_at_once(
    bench: Bench, weights: FakeWeights, expected: int, least: int | None, asked: str
) -> None:
    """Of a device that has 10 GiB."""

    @node(lane="gpu", estimate=lambda inputs: Estimate(memory=expected, least=least))
    def Large(ctx: Context, a: int) -> str:
        """Compute with weights."""
        with ctx.weights(RECIPE) as found:
            return str(found)

    bench.add(Large)
    result = bench.run({"l": {"type": "Large", "inputs": {"a": 1}}}, "l")
    assert result["l.text"] == f"weights with a {asked} footprint"
    assert retries(bench, "too little memory") == (
        [("smaller footprint", 77)] if asked == "small" else []
    )


def test_other_errors_get_no_second_try(bench: Bench, weights: FakeWeights) -> None:
    @node(lane="gpu")
    def Wrong(a: int) -> int:
        """Fail."""
        raise ValueError("no")

    bench.add(Wrong)
    bench.run({"w": {"type": "Wrong", "inputs": {"a": 1}}})
    assert weights.relieved == []


def test_the_peak_of_memory_is_reported(bench: Bench, weights: FakeWeights) -> None:
    @node(lane="gpu")
    def Compute(a: int) -> int:
        """Compute."""
        return a

    bench.add(Compute)
    result = bench.run({"c": {"type": "Compute", "inputs": {"a": 1}}})
    assert result.nodes["c"].memory == 1234


def test_loading_weights_is_told_and_noted_apart(
    bench: Bench, weights: FakeWeights, tmp_path: Path
) -> None:
    @node(lane="gpu")
    def Compute(ctx: Context, a: int) -> int:
        """Compute with weights."""
        with ctx.weights(RECIPE):
            return a

    bench.add(Compute)
    with closing(Index(tmp_path / "index.sqlite")) as index:
        costs = bench.engine.shared.costs = Costs(index)
        weights.seconds = 0.05
        bench.run({"c": {"type": "Compute", "inputs": {"a": 1}}})
        (ended,) = [event.data for event in bench.events if event.kind == "node.finished"]
        own = costs.expected("Compute", "", "cpu")
        (loading,) = costs.costs_by_shape(LOADING, "cpu")
        assert own is not None
        assert 0.05 <= ended["loading"] <= ended["seconds"]
        assert own.seconds == pytest.approx(ended["seconds"] - ended["loading"], abs=1e-5)
        assert loading.seconds == pytest.approx(ended["loading"], abs=1e-5)
        assert (loading.kind, loading.amount) == ("DiffusionModel", 500)


def test_weights_of_what_waits_are_loaded_meanwhile(bench: Bench, weights: FakeWeights) -> None:
    @node
    def Load() -> DiffusionModel:
        """A recipe."""
        return RECIPE

    @node(lane="gpu")
    def Busy(a: int) -> int:
        """Keep the lane busy until the other's weights are there."""
        assert weights.loaded.wait(30)
        return a

    @node(lane="gpu")
    def Next(recipe: DiffusionModel) -> int:
        """Wait for the lane."""
        return 2

    bench.add(Load, Busy, Next)
    nodes = {
        "busy": {"type": "Busy", "inputs": {"a": 1}},
        "load": {"type": "Load"},
        "next": {"type": "Next", "inputs": {"recipe": link("load")}},
    }
    assert bench.run(nodes, "busy", "next").is_ok
    assert weights.prefetched == [RECIPE]


def test_weights_of_the_next_node_are_loaded_while_this_one_runs(
    bench: Bench, weights: FakeWeights
) -> None:
    @node
    def Load() -> DiffusionModel:
        """A recipe."""
        return RECIPE

    @node(lane="gpu")
    def Encode(said: int) -> int:
        """Run until the weights of what follows are there."""
        assert weights.loaded.wait(30)
        return said

    @node(lane="gpu")
    def Sample(recipe: DiffusionModel, prompt: int) -> int:
        """Use what was encoded."""
        return prompt + 1

    @node
    def Said(recipe: DiffusionModel) -> int:
        """Let nothing begin before the recipe is known."""
        return 1

    bench.add(Load, Encode, Sample, Said)
    nodes = {
        "load": {"type": "Load"},
        "said": {"type": "Said", "inputs": {"recipe": link("load")}},
        "encode": {"type": "Encode", "inputs": {"said": link("said")}},
        "sample": {"type": "Sample", "inputs": {"recipe": link("load"), "prompt": link("encode")}},
    }
    assert bench.value(nodes, "sample.number") == 2
    assert set(weights.prefetched) == {RECIPE}


# Nodes that change their inputs


@node
def Numbers(count: int) -> dict:  # type: ignore[type-arg]
    """Something that can be changed."""
    return {"numbers": torch.arange(count)}


@node
def Spoil(data: dict) -> int:  # type: ignore[type-arg]
    """Change the input."""
    data["numbers"].add_(1)
    return len(data["numbers"])


@node
async def SpoilLater(data: dict) -> int:  # type: ignore[type-arg]
    """Change the input on the event loop."""
    await asyncio.sleep(0)
    data["numbers"].add_(1)
    return len(data["numbers"])


@pytest.mark.parametrize("kind", ["Spoil", "SpoilLater"])
def test_a_node_that_changes_its_input_is_named(bench: Bench, kind: str) -> None:
    bench.add(Numbers, Spoil, SpoilLater)
    nodes = {
        "n": {"type": "Numbers", "inputs": {"count": 3}},
        "s": {"type": kind, "inputs": {"data": link("n")}},
    }
    engine: Engine = bench.engine
    result = asyncio.run(bench.run_async(nodes, engine=engine, check_mutation=True))
    (error,) = result.errors
    assert (error.problem.node, error.problem.port) == ("s", "data")
    assert "changed this input" in error.problem.message
    assert error.problem.hint is not None
    assert "clone()" in error.problem.hint


def test_what_was_spoiled_is_computed_anew(bench: Bench) -> None:
    bench.add(Numbers, Spoil)
    nodes = {
        "n": {"type": "Numbers", "inputs": {"count": 3}},
        "s": {"type": "Spoil", "inputs": {"data": link("n")}},
    }
    asyncio.run(bench.run_async(nodes, check_mutation=True))
    assert bench.value(nodes, "n.dict")["numbers"].tolist() == [0, 1, 2]


def test_a_node_that_changes_only_what_is_its_own_passes(bench: Bench) -> None:
    @node
    def Count(data: dict) -> int:  # type: ignore[type-arg]
        """Take something out of the mapping, which is a copy."""
        return len(data.pop("numbers"))

    bench.add(Numbers, Count)
    nodes = {
        "n": {"type": "Numbers", "inputs": {"count": 3}},
        "c": {"type": "Count", "inputs": {"data": link("n")}},
    }
    assert asyncio.run(bench.run_async(nodes, check_mutation=True)).is_ok


# Deadlines


def test_a_deadline_cancels_the_run_and_says_so(bench: Bench) -> None:
    @node
    def Forever(ctx: Context) -> int:
        """Work until somebody says stop."""
        step = 0
        while True:
            step += 1
            ctx.progress(step, step + 1)

    bench.add(Forever)
    result = asyncio.run(bench.run_async({"f": {"type": "Forever"}}, deadline=0.01))
    assert result.status == "cancelled"
    assert result.reason == "deadline of 0.01 s passed"
    assert bench.events[-1].data["reason"] == result.reason


def test_a_run_within_its_deadline_is_fine(bench: Bench) -> None:
    bench.add(Numbers)
    nodes = {"n": {"type": "Numbers", "inputs": {"count": 3}}}
    assert asyncio.run(bench.run_async(nodes, deadline=1000)).is_ok


def test_a_deadline_must_be_in_the_future(bench: Bench) -> None:
    bench.add(Numbers)
    nodes = {"n": {"type": "Numbers", "inputs": {"count": 3}}}
    with raises(InvalidValue, given="-1"):
        asyncio.run(bench.run_async(nodes, deadline=-1))
