"""Reusable blocks: inlined when built, checked where they are used and where they are defined."""

from __future__ import annotations

from typing import Any

from nodegraph.api import Image, node
from nodegraph.core.graph import LinkSource
from nodegraph.core.subgraphs import subgraph_spec
from nodegraph.core.workflow import Workflow
from tests.core.support import DIFFUSION, Functions, SaveImage, build, check, texts, written


@node
def Load(name: str = "x") -> Image: ...


@node
def Blur(image: Image, radius: float = 1.0) -> Image: ...


@node
def Mix(first: Image, second: Image) -> Image: ...


NODES = (Load, Blur, Mix, SaveImage)
TWICE = {
    "inputs": {
        "picture": {"type": "Image", "to": ["one.image"]},
        "radius": {"type": "float", "to": ["one.radius", "two.radius"], "default": 2},
    },
    "outputs": {"soft": "one", "softer": "two.image"},
    "nodes": {
        "one": {"type": "Blur"},
        "two": {"type": "Blur", "inputs": {"image": {"from": "one"}}},
    },
}


def using(inputs: dict[str, Any], **subgraphs: Any) -> Workflow:
    """Load, a block named `twice`, save."""
    nodes = {
        "load": {"type": "Load"},
        "twice": {"type": "Twice", "inputs": inputs},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "twice.softer"}}},
    }
    return written(nodes, subgraphs={"Twice": TWICE, **subgraphs})


def test_a_block_is_inlined() -> None:
    graph = build(using({"picture": {"from": "load"}, "radius": 3}), *NODES)
    assert list(graph.nodes) == ["load", "twice/one", "twice/two", "save"]
    assert graph.nodes["twice/one"].links["image"] == LinkSource("load", "image")
    assert graph.nodes["twice/two"].links["image"] == LinkSource("twice/one", "image")
    assert graph.nodes["save"].links["image"] == LinkSource("twice/two", "image")
    assert repr(graph.nodes["twice/two"].literals["radius"]) == "3.0"


def test_a_blocks_default_stands_where_nothing_is_given() -> None:
    graph = build(using({"picture": {"from": "load"}}), *NODES)
    assert graph.nodes["twice/one"].literals["radius"] == 2.0


def test_without_a_default_the_inner_nodes_own_value_stands() -> None:
    own = {
        **TWICE,
        "inputs": {**TWICE["inputs"], "radius": {"type": "float", "to": ["one.radius"]}},
        "nodes": {**TWICE["nodes"], "one": {"type": "Blur", "inputs": {"radius": 5}}},
    }
    workflow = using({"picture": {"from": "load"}}, Twice=own)
    assert build(workflow, *NODES).nodes["twice/one"].literals["radius"] == 5.0
    given = build(workflow.with_inputs({"twice.radius": 6}), *NODES)
    assert given.nodes["twice/one"].literals["radius"] == 6.0


def test_blocks_in_blocks_are_inlined() -> None:
    outer = {
        "inputs": {"image": {"to": ["inner.picture"]}},
        "outputs": {"image": "inner.softer"},
        "nodes": {"inner": {"type": "Twice"}},
    }
    nodes = {
        "load": {"type": "Load"},
        "outer": {"type": "Outer", "inputs": {"image": {"from": "load"}}},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "outer"}}},
    }
    graph = build(written(nodes, subgraphs={"Outer": outer, "Twice": TWICE}), *NODES)
    assert graph.nodes["outer/inner/one"].links["image"].node == "load"
    assert graph.nodes["save"].links["image"].node == "outer/inner/two"


def test_two_uses_are_two_sets_of_nodes() -> None:
    workflow = using({"picture": {"from": "load"}})
    workflow.nodes["again"] = workflow.nodes["twice"]
    workflow.nodes["save"].inputs["image"] = {"from": "mix"}
    workflow.nodes["mix"] = written(
        {"mix": {"type": "Mix", "inputs": {"first": {"from": "twice.soft"},
                                           "second": {"from": "again.softer"}}}}
    ).nodes["mix"]  # fmt: skip
    graph = build(workflow, *NODES)
    assert set(graph.nodes) == {"load", "twice/one", "again/one", "again/two", "mix", "save"}


def test_a_block_is_a_target_by_its_outputs_and_sinks() -> None:
    saver = {
        "inputs": {"image": {"to": ["save.image", "blur.image"]}},
        "outputs": {"image": "blur"},
        "nodes": {"save": {"type": "SaveImage"}, "blur": {"type": "Blur"}},
    }
    nodes = {
        "load": {"type": "Load"},
        "saver": {"type": "Saver", "inputs": {"image": {"from": "load"}}},
    }
    workflow = written(nodes, subgraphs={"Saver": saver})
    assert build(workflow, *NODES).targets == ("saver/save",)
    assert build(workflow, *NODES, targets=["saver"]).targets == ("saver/blur", "saver/save")
    assert build(workflow, *NODES, targets=["saver.image"]).targets == ("saver/blur",)


def test_a_fault_of_an_inner_node_is_told_once_for_all_uses() -> None:
    broken = {**TWICE, "nodes": {**TWICE["nodes"], "three": {"type": "Blu"}}}
    workflow = using({"picture": {"from": "load"}}, Twice=broken)
    workflow.nodes["again"] = workflow.nodes["twice"]
    assert texts(check(workflow, *NODES)) == [
        "node `twice/three` (Blu): there is no node type `Blu`. Did you mean `Blur`?"
    ]


def test_a_value_is_checked_against_the_blocks_own_type() -> None:
    whole = {
        **TWICE,
        "inputs": {**TWICE["inputs"], "radius": {"type": "int", "to": ["one.radius"]}},
    }
    workflow = using({"picture": {"from": "load"}, "radius": 1.5}, Twice=whole)
    assert texts(check(workflow, *NODES)) == [
        "node `twice` (Twice), input `radius`: has a value of the wrong type "
        "(given: 1.5; expected: a whole number)"
    ]


def test_two_inputs_cannot_feed_the_same() -> None:
    twin = {**TWICE, "inputs": {**TWICE["inputs"], "other": {"to": ["one.image"]}}}
    workflow = using({"picture": {"from": "load"}}, Twice=twin)
    assert texts(check(workflow, *NODES)) == [
        "subgraph `Twice`, input `other`: is linked to `one.image`, which input `picture` is "
        "already linked to"
    ]


def test_subgraphs_that_contain_each_other_are_named() -> None:
    blocks = {
        "First": {"nodes": {"inner": {"type": "Second"}}},
        "Second": {"nodes": {"inner": {"type": "First"}}},
    }
    workflow = written({"block": {"type": "First"}}, subgraphs=blocks)
    assert texts(check(workflow, *NODES, targets=[])) == [
        "subgraph `First` contains itself: First → Second → First. Remove one of these uses."
    ]


def test_blocks_that_explode_are_refused_quickly() -> None:
    levels = {
        f"L{at}": {"nodes": {"a": {"type": f"L{at + 1}"}, "b": {"type": f"L{at + 1}"}}}
        for at in range(30)
    }
    workflow = written({"x": {"type": "L0"}}, subgraphs=levels)
    assert check(workflow, *NODES, targets=[])[0].code == "too-large"


def test_blocks_in_very_many_blocks_are_refused() -> None:
    levels = {f"L{at}": {"nodes": {"a": {"type": f"L{at + 1}"}}} for at in range(2000)}
    workflow = written({"x": {"type": "L0"}}, subgraphs=levels)
    assert check(workflow, *NODES, targets=[])[0].code == "too-deep"
    assert subgraph_spec("L0", workflow, Functions(*NODES)) is None


def test_a_subgraph_hides_a_node_type_of_its_name() -> None:
    nodes = {
        "load": {"type": "Load"},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "load"}}},
    }
    block = {"outputs": {"picture": "inner"}, "nodes": {"inner": {"type": "Blank"}}}

    @node
    def Blank() -> Image: ...

    graph = build(written(nodes, subgraphs={"Load": block}), *NODES, Blank)
    assert list(graph.nodes) == ["load/inner", "save"]


def test_a_subgraph_looks_like_a_node_type() -> None:
    workflow = using({"picture": {"from": "load"}})
    spec = subgraph_spec("Twice", workflow, Functions(*NODES))
    assert spec is not None
    picture, radius = spec.inputs
    assert (picture.type, picture.required, picture.json_schema) == ("Image", True, None)
    assert (radius.type, radius.required, radius.default) == ("float", False, 2)
    assert [(port.name, port.type) for port in spec.outputs] == [
        ("soft", "Image"),
        ("softer", "Image"),
    ]
    assert subgraph_spec("Other", workflow, DIFFUSION) is None
