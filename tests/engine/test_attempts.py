"""A call's attempts: one more with less memory, inputs that must stay as they are, deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from time import sleep
from typing import Any

import pytest

from nodegraph.api import Context, DiffusionModel, InvalidValue, NodegraphError, Recipe, node
from nodegraph.core.context import Footprint
from nodegraph.engine.engine import Engine
from nodegraph.engine.work import LOADING
from nodegraph.store.costs import Costs
from nodegraph.store.index import Index

from .conftest import Bench, link

RECIPE = DiffusionModel("sd1", "somewhere", "00" * 32)


class OutOfMemoryError(Exception):
    """As torch names it."""


@dataclass
class Peak:
    bytes: int | None = 1234


@dataclass
class FakeWeights:
    """Remembers what it is asked for."""

    asked: list[tuple[str, Footprint]] = field(default_factory=list)
    relieved: list[str] = field(default_factory=list)
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
    ) -> Iterator[Any]:
        self.asked.append((device, footprint))
        sleep(self.seconds)
        yield f"weights with a {footprint} footprint"

    def prefetch(self, recipe: Recipe, device: str) -> bool:
        self.prefetched.append(recipe)
        self.loaded.set()
        return True

    def size(self, recipe: Recipe) -> int:
        return 500

    def relieve(self, device: str) -> int:
        self.relieved.append(device)
        return 77

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, OutOfMemoryError)

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
    """Run out of memory, unless it may take little and is patient enough."""
    with ctx.weights(RECIPE) as found:
        if ctx.footprint == "full" or not patience:
            raise OutOfMemoryError("tried to allocate 9 GiB")
        return str(found)


def test_out_of_memory_gets_a_second_try_with_less(bench: Bench, weights: FakeWeights) -> None:
    bench.add(Hungry)
    nodes = {"h": {"type": "Hungry", "inputs": {"patience": 1}}}
    assert bench.value(nodes, "h.text") == "weights with a small footprint"
    assert weights.relieved == ["cpu"]
    assert weights.asked == [("cpu", "full"), ("cpu", "small")]
    (told,) = [event for event in bench.events if event.kind == "node.retried"]
    assert told.data["reason"] == "out of memory"
    assert told.data["freed"] == 77


def test_a_second_failure_says_what_was_needed(bench: Bench, weights: FakeWeights) -> None:
    bench.add(Hungry)
    result = bench.run({"h": {"type": "Hungry", "inputs": {"patience": 0}}})
    assert "it needs 9 GiB, there are 8" in str(result.errors[0])
    assert len(weights.relieved) == 1


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
        (loading,) = costs.seen(LOADING, "cpu")
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
    return {"numbers": list(range(count))}


@node
def Spoil(data: dict) -> int:  # type: ignore[type-arg]
    """Change the input."""
    data["numbers"].append(99)
    return len(data["numbers"])


@node
async def SpoilLater(data: dict) -> int:  # type: ignore[type-arg]
    """Change the input on the event loop."""
    await asyncio.sleep(0)
    data["numbers"].append(99)
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
    assert bench.value(nodes, "n.dict") == {"numbers": [0, 1, 2]}


def test_a_node_that_leaves_its_inputs_alone_passes(bench: Bench) -> None:
    @node
    def Count(data: dict) -> int:  # type: ignore[type-arg]
        """Read the input."""
        return len(data["numbers"])

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
    with pytest.raises(InvalidValue, match="deadline"):
        asyncio.run(bench.run_async(nodes, deadline=-1))
