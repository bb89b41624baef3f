"""A workflow run for several values, as a stream, and after its weights were loaded ahead."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from threading import Event as Signal
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

import nodegraph
from nodegraph import Context, Event, RunResult, Settings, node, port_type
from nodegraph.errors import Cancelled, InvalidValue, InvalidWorkflow, NodeFailed
from nodegraph.session.mapped_runs import combinations_of
from tests.messages import raises

MADE: list[int] = []


@node
def Shared(base: int = 3) -> int:
    """What all runs have in common."""
    MADE.append(base)
    return base


@node
def Add(ctx: Context, to: int, a: int, b: int = 0) -> int:
    """A sum; of less than nothing an error."""
    ctx.progress(1, 2)
    if a < 0:
        raise ValueError("less than nothing")
    return to + a + 10 * b


WORKFLOW: dict[str, Any] = {
    "format": "nodegraph/1",
    "parameters": {"a": "add.a", "b": "add.b"},
    "nodes": {
        "shared": {"type": "Shared"},
        "add": {"type": "Add", "inputs": {"to": {"from": "shared"}, "a": 1}},
    },
}


@pytest.fixture
def options(tmp_path: Path, known_specs: Path) -> Iterator[dict[str, Any]]:
    MADE.clear()
    copytree(known_specs, tmp_path / "cache" / "specs")
    settings = Settings(home=tmp_path, outputs=tmp_path / "out", disk_cache=0)
    yield {"targets": ["add"], "nodes": [Shared, Add], "settings": settings}
    nodegraph.close()


def test_values_are_taken_side_by_side_and_shared_parts_once(options: dict[str, Any]) -> None:
    runs = nodegraph.map(WORKFLOW, {"a": [1, 2, 3], "b": [0, 1, 2]}, **options)
    assert [result["add"] for result in runs] == [4, 15, 26]
    assert MADE == [3]
    assert runs[-1]["add"] == 26
    assert repr(runs) == "<MappedRuns: 3 of 3 done>"


def test_a_product_has_every_combination(options: dict[str, Any]) -> None:
    runs = nodegraph.map(WORKFLOW, {"a": [1, 2], "b": range(2)}, product=True, **options)
    assert list(runs.combinations) == [
        {"a": 1, "b": 0}, {"a": 1, "b": 1}, {"a": 2, "b": 0}, {"a": 2, "b": 1},
    ]  # fmt: skip
    assert [result["add"] for result in runs] == [4, 14, 5, 15]


def test_what_is_no_list_holds_for_all() -> None:
    assert combinations_of({"prompt": "a fox", "seed": [1, 2]}, product=False) == [
        {"prompt": "a fox", "seed": 1},
        {"prompt": "a fox", "seed": 2},
    ]


def test_numbers_and_arrays_of_numpy_are_values(options: dict[str, Any]) -> None:
    result = nodegraph.run(WORKFLOW, parameters={"a": np.int64(4), "b": np.int32(1)}, **options)
    assert result["add"] == 17
    runs = nodegraph.map(WORKFLOW, {"a": np.arange(2), "b": np.int64(3)}, **options)
    assert [result["add"] for result in runs] == [33, 34]
    assert [type(value) for value in runs.combinations[0].values()] == [int, int]
    given = {"a": torch.arange(2), "b": (at for at in range(2))}
    assert combinations_of(given, product=True)[1:3] == [{"a": 0, "b": 1}, {"a": 1, "b": 0}]
    with raises(InvalidValue, given="shape (2, 2)"):
        nodegraph.map(WORKFLOW, {"a": np.zeros((2, 2))}, **options)


DONE: Counter[str] = Counter()


def _digest(large: Large) -> str:
    DONE["digest"] += 1
    return f"{large.number}"


@port_type(digest=_digest)
@dataclass
class Large:
    """A value that counts what is done to it."""

    number: int

    def __copy__(self) -> Large:
        DONE["copy"] += 1
        return Large(self.number)


@node
def AddTo(large: Large, a: int) -> int:
    """A sum with what a large value holds."""
    return large.number + a


@pytest.mark.parametrize("door", ["fixed", "parameters", "each"])
def test_a_value_of_many_runs_is_copied_and_digested_once(
    options: dict[str, Any], door: str
) -> None:
    workflow = {
        "format": "nodegraph/1",
        "parameters": {"large": "add.large", "a": "add.a"},
        "nodes": {"add": {"type": "AddTo"}},
    }
    options["nodes"] = [AddTo]
    large, numbers = Large(10), list(range(30))
    over: dict[str, Any] = {"a": numbers}
    if door == "parameters":
        options["parameters"] = {"large": large}
    else:
        over["large"] = [large] * len(numbers) if door == "each" else large
    DONE.clear()
    runs = nodegraph.map(workflow, over, **options)
    assert [result["add"] for result in runs] == [10 + a for a in numbers]
    assert DONE["digest"] == 1
    assert DONE["copy"] - len(numbers) <= 3, "each call is handed one of its own, besides"


def test_lists_of_other_lengths_are_told() -> None:
    with raises(InvalidValue, given="prompt: 2, seed: 3"):
        combinations_of({"prompt": ["a", "b"], "seed": [1, 2, 3]}, product=False)
    with raises(InvalidValue, given="prompt"):
        combinations_of({"prompt": "a fox"}, product=False)
    with raises(InvalidValue, given="list"):
        combinations_of([1, 2], product=False)  # type: ignore[arg-type]


def test_nothing_runs_if_one_is_wrong(options: dict[str, Any]) -> None:
    with raises(InvalidWorkflow):
        nodegraph.map(WORKFLOW, {"aa": [1, 2]}, **options)
    with pytest.raises(InvalidWorkflow):
        nodegraph.map(WORKFLOW, {"a": [1, "two"]}, **options)
    assert MADE == []


def test_a_fault_is_raised_at_its_own_turn(options: dict[str, Any]) -> None:
    runs = nodegraph.map(WORKFLOW, {"a": [1, -1, 2]}, **options)
    assert (runs[0]["add"], runs[2]["add"]) == (4, 5)
    with raises(NodeFailed, node="add"):
        runs[1]
    assert "less than nothing" in runs._repr_html_()
    assert "a=2" in runs._repr_html_()


def test_stopped_runs_are_told_in_words(options: dict[str, Any]) -> None:
    begun = Signal()

    @node
    def Wait(ctx: Context, a: int) -> int:
        """Go on until it is stopped."""
        while True:
            begun.set()
            ctx.progress(1, 2)

    workflow = {
        "format": "nodegraph/1",
        "parameters": {"a": "add.a"},
        "nodes": {"add": {"type": "Wait", "inputs": {"a": 1}}},
    }
    runs = nodegraph.map(workflow, {"a": [1, 2]}, **{**options, "nodes": [Wait]})
    begun.wait()
    runs.stop()
    with raises(Cancelled):
        runs[0]
    assert "stopped before its end" in runs._repr_html_()


def test_stopped_runs_have_all_ended_when_one_is_told_of(options: dict[str, Any]) -> None:
    begun = {1: Signal(), 2: Signal()}
    held = Signal()

    @node
    def Wait(ctx: Context, a: int) -> int:
        """Go on until it is stopped; the second one looks late."""
        begun[a].set()
        while True:
            if a == 2:
                held.wait()
            ctx.progress(1, 2)

    workflow = {
        "format": "nodegraph/1",
        "parameters": {"a": "add.a"},
        "nodes": {"add": {"type": "Wait", "inputs": {"a": 1}}},
    }
    runs = nodegraph.map(workflow, {"a": [1, 2]}, **{**options, "nodes": [Wait]})
    for each in begun.values():
        each.wait()
    runs.stop()
    told: list[type[BaseException]] = []

    def ask() -> None:
        with pytest.raises(Cancelled) as raised:
            runs[0]
        told.append(raised.type)

    asking = Thread(target=ask)
    asking.start()
    asking.join(0.5)  # long enough to be told too early
    assert not told
    held.set()
    asking.join()
    assert told == [Cancelled]


def test_pictures_of_nodes_that_were_mapped_are_on_the_sheet(options: dict[str, Any]) -> None:
    workflow = {
        "format": "nodegraph/1",
        "parameters": {"height": "paint.height"},
        "nodes": {
            "widths": {"type": "Range", "inputs": {"start": 8, "stop": 10}},
            "paint": {"type": "EmptyImage", "inputs": {"width": {"from": "widths"}, "height": 8}},
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "paint"}}},
        },
    }
    runs = nodegraph.map(workflow, {"height": [8, 9]}, **{**options, "targets": ["save"]})
    assert runs._repr_html_().count("<img") == 2
    for file in runs[0].files:
        file.path.unlink()
    with pytest.raises(InvalidValue, match="no longer exists"):
        runs[0].image("save")
    assert runs._repr_html_().count("<img") == 1


def test_a_stream_tells_all_and_ends_with_the_result(options: dict[str, Any]) -> None:
    *events, last = nodegraph.stream(WORKFLOW, **options)
    assert all(isinstance(event, Event) for event in events)
    kinds = [event.kind for event in events if isinstance(event, Event)]
    assert (kinds[0], kinds[-1]) == ("job.started", "job.finished")
    assert "node.progress" in kinds
    assert isinstance(last, RunResult)
    assert last["add"] == 4


def test_a_stream_is_for_event_loops_too(options: dict[str, Any]) -> None:
    async def notebook() -> list[Event | RunResult]:
        return [item async for item in nodegraph.stream(WORKFLOW, **options)]

    *_, last = asyncio.run(notebook())
    assert isinstance(last, RunResult)


def test_an_event_loop_may_be_closed_while_a_stream_ends(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    left = Signal()

    @node
    def Wait(ctx: Context) -> int:
        """Go on until the loop is closed."""
        ctx.progress(1, 2)
        left.wait()
        ctx.progress(2, 2)
        return 1

    workflow = {"format": "nodegraph/1", "nodes": {"add": {"type": "Wait"}}}

    async def notebook() -> None:
        async for event in nodegraph.stream(workflow, **{**options, "nodes": [Wait]}):
            if isinstance(event, Event) and event.kind == "node.progress":
                break

    asyncio.run(notebook())
    left.set()
    nodegraph.close()  # waits for its end
    assert [record.message for record in caplog.records if record.exc_info] == []


def test_a_stream_raises_at_its_end(options: dict[str, Any]) -> None:
    stream = nodegraph.stream(WORKFLOW, parameters={"a": -1}, **options)
    with raises(NodeFailed, node="add"):
        list(stream)


MODEL = Path(__file__).parents[2] / "workflows" / "text_to_image.json"


def test_weights_are_loaded_ahead(tmp_path: Path, known_specs: Path) -> None:
    copytree(known_specs, tmp_path / "cache" / "specs")
    settings = Settings(home=tmp_path, outputs=tmp_path)
    by_name = nodegraph.warm("tiny", settings=settings)
    by_workflow = nodegraph.warm(MODEL, settings=settings)
    assert len(by_name) == 3
    assert sorted(by_workflow) == sorted(by_name)
    with nodegraph.Session(settings) as session:
        workflow = nodegraph.Workflow.load(MODEL)
        assert session.load_ahead(workflow) == by_workflow
        assert set(session.resident()) == set(by_workflow)
    nodegraph.close()


def test_a_model_that_is_not_there_is_told(tmp_path: Path, known_specs: Path) -> None:
    copytree(known_specs, tmp_path / "cache" / "specs")
    with raises(InvalidWorkflow, node="load", port="model", given="tyni"):
        nodegraph.warm("tyni", settings=Settings(home=tmp_path))
