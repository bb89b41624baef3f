"""From a workflow to the graph that the engine runs."""

from __future__ import annotations

import sys
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.api import Conditioning, Image, Mask, node
from nodegraph.core.graph import CheckedGraph, LinkSource
from nodegraph.core.types import Fit
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow
from tests.core.support import Invert, SaveImage, build, check, text_to_image, written
from tests.properties import examples


@node
def Add(a: int = 0, b: int = 0) -> int: ...


@node(output=True)
def Show(value: float) -> None: ...


@node
def Numbers() -> list[int]: ...


@node
def Total(values: list[float]) -> float: ...


@st.composite
def dags(draw: st.DrawFn) -> Workflow:
    """Sums of earlier sums, written in a random order."""
    count = draw(st.integers(1, 10))
    nodes: dict[str, Any] = {}
    for at in range(count):
        links = draw(st.lists(st.integers(0, at - 1), max_size=2)) if at else []
        inputs = {port: {"from": f"n{link}"} for port, link in zip("ab", links, strict=False)}
        nodes[f"n{at}"] = {"type": "Add", "inputs": inputs}
    names = draw(st.permutations(list(nodes)))
    return written({name: nodes[name] for name in names})


def links(workflow: Workflow) -> dict[str, set[str]]:
    return {
        name: {given["from"] for given in entry.inputs.values()}
        for name, entry in workflow.nodes.items()
    }


@settings(max_examples=examples(80), deadline=None)
@given(dags(), st.data())
def test_the_graph_is_what_the_targets_need_in_order(workflow: Workflow, data: Any) -> None:
    target = data.draw(st.sampled_from(sorted(workflow.nodes)))
    graph = build(workflow, Add, targets=[target])
    needed, needs = {target}, links(workflow)
    while not needed.issuperset(more := set().union(*(needs[name] for name in needed))):
        needed |= more
    assert set(graph.nodes) == needed
    place = {name: at for at, name in enumerate(graph.nodes)}
    assert all(place[other] < place[name] for name in needed for other in needs[name])


@settings(max_examples=examples(80), deadline=None)
@given(dags(), st.data())
def test_a_link_back_is_always_found_and_named(workflow: Workflow, data: Any) -> None:
    target = data.draw(st.sampled_from(sorted(workflow.nodes)))
    above = sorted(build(workflow, Add, targets=[target]).nodes)
    start = data.draw(st.sampled_from(above))
    workflow.nodes[start].inputs["a"] = {"from": target}
    (problem,) = check(workflow, Add, targets=[target])
    path = problem.message.removeprefix("depends on its own result: ").split(" → ")
    needs = links(workflow)
    assert path[0] == path[-1]
    assert all(first in needs[second] for first, second in pairwise(path))


def test_literals_are_filled_in_and_converted() -> None:
    sample = build(text_to_image()).nodes["sample"]
    assert dict(sample.literals) == {
        "seed": 7, "negative": None, "steps": 20, "cfg": 4.0, "sampler": "euler",
    }  # fmt: skip
    assert type(sample.literals["cfg"]) is float
    assert sample.links["model"] == LinkSource("load", "model")
    assert sample.links["latent"] == LinkSource("size", "latent")


def test_paths_and_choices_stay_plain() -> None:
    class Mode(Enum):
        FAST = "fast"
        SLOW = "slow"

    @node(output=True)
    def Write(path: Path, mode: Mode = Mode.SLOW, other: Path = Path("b")) -> None: ...

    graph = build(written({"w": {"type": "Write", "inputs": {"path": "a"}}}), Write)
    assert graph.nodes["w"].literals == {"path": "a", "mode": "slow", "other": "b"}


def test_a_literal_that_looks_like_a_link_is_unwrapped() -> None:
    @node(output=True)
    def Store(data: dict) -> None: ...  # type: ignore[type-arg]

    nodes = {"s": {"type": "Store", "inputs": {"data": {"value": {"from": "a.b"}}}}}
    assert build(written(nodes), Store).nodes["s"].literals["data"] == {"from": "a.b"}


def test_all_sinks_are_the_targets() -> None:
    document = text_to_image().to_dict()
    document["nodes"]["unused"] = {"type": "EmptyLatent"}
    document["nodes"]["second"] = {"type": "SaveImage", "inputs": {"image": {"from": "decode"}}}
    graph = build(Workflow.from_dict(document))
    assert graph.targets == ("save", "second")
    assert "unused" not in graph.nodes


def test_targets_may_name_an_output() -> None:
    graph = build(text_to_image(), targets=["sample.latent", "load"])
    assert graph.targets == ("sample", "load")
    assert set(graph.nodes) == {"load", "positive", "size", "sample"}


def test_a_node_may_always_run() -> None:
    workflow = text_to_image()
    workflow.nodes["size"].always = True
    graph = build(workflow)
    assert graph.nodes["size"].always
    assert not graph.nodes["load"].always


def test_a_list_maps_the_nodes_that_take_single_values() -> None:
    workflow = written(
        {
            "numbers": {"type": "Numbers"},
            "add": {"type": "Add", "inputs": {"a": {"from": "numbers"}, "b": 1}},
            "again": {"type": "Add", "inputs": {"a": {"from": "add"}, "b": {"from": "numbers"}}},
            "total": {"type": "Total", "inputs": {"values": {"from": "again"}}},
            "show": {"type": "Show", "inputs": {"value": {"from": "total"}}},
        }
    )
    graph = build(workflow, Numbers, Add, Total, Show)
    assert [node.map_depth for node in graph.nodes.values()] == [0, 1, 1, 0, 0]
    assert graph.nodes["add"].links["a"].fit == Fit((), 1)
    assert graph.nodes["total"].links["values"].fit == Fit(("each:int_to_float",))


def test_conversions_are_written_on_the_link() -> None:
    @node
    def Shape() -> Mask: ...

    nodes = {
        "shape": {"type": "Shape"},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "shape"}}},
    }
    graph = build(written(nodes), Shape, SaveImage)
    assert graph.nodes["save"].links["image"].fit == Fit(("mask_to_image",))


def test_an_older_nodes_inputs_are_led_on() -> None:
    @node(version=3, output=True, migrations={
        1: lambda inputs: {"text": inputs["txt"]},
        2: lambda inputs: {**inputs, "times": inputs.get("times", 1) * 2},
    })  # fmt: skip
    def Say(text: str, times: int = 1) -> None: ...

    def literals(**entry: Any) -> Any:
        workflow = written({"say": {"type": "Say", **entry}}, parameters={"p": "say.text"})
        return build(workflow, Say).nodes["say"].literals

    assert literals(version=1, inputs={"txt": "a"}) == {"text": "a", "times": 2}
    assert literals(version=2, inputs={"text": "a", "times": 3}) == {"text": "a", "times": 6}
    assert literals(inputs={"text": "a", "times": 3}) == {"text": "a", "times": 3}


def test_a_failing_migration_is_the_packs_fault() -> None:
    @node(version=2, output=True, migrations={1: lambda inputs: {"text": inputs["txt"]}})
    def Say(text: str) -> None: ...

    workflow = written({"say": {"type": "Say", "version": 1}})
    (problem,) = check(workflow, Say)
    assert problem.code == "hook-failed"
    assert "migration function failed: KeyError: 'txt'" in problem.message


def test_an_invalid_workflow_raises_all_its_problems() -> None:
    workflow = text_to_image().with_inputs({"sample.steps": 0, "size.width": 3})
    with pytest.raises(InvalidWorkflow) as caught:
        build(workflow)
    assert [problem.node for problem in caught.value.problems] == ["size", "sample"]


def test_what_the_targets_do_not_need_may_be_unfinished() -> None:
    workflow = text_to_image().with_inputs({"sample.steps": 0, "size.width": 3})
    assert set(build(workflow, targets=["load"]).nodes) == {"load"}
    with pytest.raises(InvalidWorkflow) as caught:
        build(workflow, targets=["size"])
    assert [problem.node for problem in caught.value.problems] == ["size"]
    del workflow.nodes["save"].inputs["image"]
    with pytest.raises(InvalidWorkflow) as caught:
        build(workflow, targets=["decode"])
    assert [problem.node for problem in caught.value.problems] == ["size", "sample"]


def test_the_graph_is_also_a_networkx_graph() -> None:
    graph = build(text_to_image())
    assert set(graph.dag.nodes) == set(graph.nodes)
    assert ("sample", "decode") in graph.dag.edges
    assert graph.dag is graph.dag


def chain(length: int) -> Workflow:
    nodes: dict[str, Any] = {"n0": {"type": "Add"}}
    for at in range(1, length):
        nodes[f"n{at}"] = {"type": "Add", "inputs": {"a": {"from": f"n{at - 1}"}, "b": at}}
    nodes["show"] = {"type": "Show", "inputs": {"value": {"from": f"n{length - 1}"}}}
    return written(nodes)


def test_ten_times_the_nodes_take_ten_times_the_work() -> None:
    def calls(length: int) -> int:
        """Function calls it takes: work that depends on no clock."""
        workflow = chain(length)
        counted = 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count)
        graph: CheckedGraph = build(workflow, Add, Show)
        sys.setprofile(None)
        assert len(graph.nodes) == length + 1
        return counted

    assert calls(3000) < 11 * calls(300)


def test_a_nullable_link_may_be_left_out_or_null() -> None:
    @node(output=True)
    def Use(positive: Conditioning | None, image: Image | None = None) -> None: ...

    graph = build(written({"use": {"type": "Use", "inputs": {"image": None}}}), Use, Invert)
    assert graph.nodes["use"].literals == {"positive": None, "image": None}
