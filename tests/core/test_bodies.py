"""Nodes that run one of the workflow's subgraphs: what they declare, and what they are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, NamedTuple

import pytest

from nodegraph.api import Body, Image, Subgraph, node
from nodegraph.core.declarations import input_spec
from nodegraph.core.digests import digest_value
from nodegraph.core.json_schema import workflow_json_schema
from nodegraph.core.node import definition_of
from nodegraph.core.workflow import Workflow
from nodegraph.errors import PackError
from tests.core.support import Functions, build, check, texts, written
from tests.messages import raises


class Results(NamedTuple):
    results: list[Any]


@node
def Each(
    items: list[Any],
    body: Annotated[Subgraph, Body({"item": "items", "index": ""}, {"result": ("results",)})],
    **inputs: Any,
) -> Results: ...


@node
def Load(name: str = "x") -> Image: ...


@node(numerics=True)
def Blur(image: Image, radius: float = 1.0) -> Image: ...


@node(output=True)
def Save(image: Image, name: str = "x") -> None: ...


NODES = (Each, Load, Blur, Save)
SOFT = {
    "inputs": {"item": {"to": ["blur.image"]}, "radius": {"to": ["blur.radius"]}},
    "outputs": {"result": "blur"},
    "nodes": {"blur": {"type": "Blur"}},
}


def loop(soft: Any = SOFT, **inputs: Any) -> Workflow:
    nodes = {
        "load": {"type": "Load"},
        "each": {"type": "Each", "inputs": {"items": {"from": "load"}, "body": "Soft", **inputs}},
        "save": {"type": "Save", "inputs": {"image": {"from": "each"}}},
    }
    return written(nodes, subgraphs={"Soft": soft})


def given(workflow: Workflow) -> Subgraph:
    found: Subgraph = build(workflow, *NODES).nodes["each"].literals["body"]
    return found


def test_the_node_is_given_the_definition() -> None:
    body = given(loop())
    assert body.name == "Soft"
    assert body.definitions["Soft"]["nodes"] == {"blur": {"type": "Blur", "inputs": {}}}
    assert body.inputs == {"item": "Image", "radius": "float"}
    assert body.outputs == {"result": "Image"}
    assert not body.acts


def test_the_nodes_ports_have_the_subgraphs_types() -> None:
    spec = build(loop(), *NODES).nodes["each"].spec
    assert spec.inputs_by_name["items"].type == "list[Image]"
    assert spec.inputs_by_name["radius"].type == "float"
    assert spec.outputs_by_name["results"].type == "list[Image]"
    assert spec.numerics
    assert not spec.output


def test_the_subgraphs_inputs_are_converted_and_left_alone_like_the_nodes_own() -> None:
    literals = build(loop(radius=2), *NODES).nodes["each"].literals
    assert repr(literals["radius"]) == "2.0"
    assert "radius" not in build(loop(), *NODES).nodes["each"].literals


def test_the_digest_is_of_what_the_subgraph_does() -> None:
    noted = {**SOFT, "nodes": {"blur": {"type": "Blur", "note": "softly", "label": "B"}}}
    other = {**SOFT, "nodes": {"blur": {"type": "Blur", "inputs": {"radius": 3}}}}
    before, same, changed = (digest_value(given(loop(soft))) for soft in (SOFT, noted, other))
    assert before == same
    assert before != changed


def test_what_the_subgraph_uses_comes_along() -> None:
    outer = {**SOFT, "outputs": {"result": "blur.result"}, "nodes": {"blur": {"type": "Inner"}}}
    outer["inputs"] = {"item": {"to": ["blur.item"]}}
    workflow = loop(outer)
    document = workflow.to_dict()
    document["subgraphs"] = {"Soft": outer, "Inner": SOFT, "Unused": SOFT}
    assert list(given(Workflow.from_dict(document)).definitions) == ["Inner", "Soft"]


def test_who_runs_a_sink_is_one() -> None:
    soft = {
        **SOFT,
        "nodes": {**SOFT["nodes"], "s": {"type": "Save", "inputs": {"image": {"from": "blur"}}}},
    }
    graph = build(loop(soft), *NODES)
    assert graph.targets == ("each", "save")
    assert given(loop(soft)).acts


def test_an_input_of_the_subgraph_may_be_a_parameter_and_set() -> None:
    workflow = loop(radius=2)
    port = input_spec(workflow, "each.radius", Functions(*NODES))
    assert port is not None
    assert port.type == "float"
    document = workflow.to_dict() | {"parameters": {"soft": "each.radius", "bad": "each.radus"}}
    assert texts(check(Workflow.from_dict(document), *NODES)) == [
        "parameter `bad` points to `each.radus`, but `each` (Each) has no such input. Did you "
        "mean `radius`?"
    ]


def test_the_schema_lets_a_loop_have_its_subgraphs_inputs() -> None:
    schema = workflow_json_schema(Functions(*NODES))
    assert schema["$defs"]["inputs of Each"]["additionalProperties"] is True
    assert schema["$defs"]["inputs of Blur"]["additionalProperties"] is False


def test_further_inputs_need_a_subgraph() -> None:
    with raises(PackError):

        @node
        def Open(a: int, **more: Any) -> int: ...


@pytest.mark.parametrize(
    "body",
    [
        Body({"item": "item"}, {}),
        Body({"item": "a"}, {"result": ("x",)}),
    ],
)
def test_a_body_that_names_no_port_is_a_fault_of_the_pack(body: Body) -> None:
    with raises(PackError):

        @node
        def Wrong(a: int, sub: Annotated[Subgraph, body]) -> int: ...


def test_a_copied_spec_forgets_what_was_worked_out_of_the_old_one() -> None:
    spec = definition_of(Blur).spec
    assert list(spec.inputs_by_name) == ["image", "radius"]
    assert list(replace(spec, inputs=spec.inputs[:1]).inputs_by_name) == ["image"]


@pytest.mark.parametrize("levels", [20, 40])
def test_loops_within_loops_end_in_a_finding_and_not_in_a_fault(levels: int) -> None:
    blocks: dict[str, Any] = {
        f"L{at}": {
            "inputs": {"item": {"to": ["each.items"]}},
            "outputs": {"result": "each.results"},
            "nodes": {"each": {"type": "Each", "inputs": {"body": f"L{at + 1}"}}},
        }
        for at in range(levels)
    }
    blocks[f"L{levels}"] = SOFT
    nodes = {"load": {"type": "Load"}, "each": {"type": "Each", "inputs": {"body": "L0"}}}
    nodes["each"]["inputs"]["items"] = {"from": "load"}  # type: ignore[index]
    problems = check(written(nodes, subgraphs=blocks), *NODES, targets=["each"])
    assert ("too-deep" in {problem.code for problem in problems}) is (levels > 32)
