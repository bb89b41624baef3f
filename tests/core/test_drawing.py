"""Boxes and arrows, their places, and the images made from them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph import node, port_type
from nodegraph.cli.show import flowchart
from nodegraph.core.drawing.boxes import Arrow, Box, Drawing, Port, drawings
from nodegraph.core.drawing.svg import compute_layout, svg
from nodegraph.core.subgraphs import SpecResolver
from nodegraph.core.workflow import Workflow
from nodegraph.packs.registry import Registry
from tests.properties import examples


@port_type(color="#123456")
class Ball: ...


@node
def Throw() -> Ball:
    return Ball()


@node
def Catch(ball: Ball, hand: str = "left") -> str:
    return hand


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(Throw, Catch)
    return registry


def workflow(nodes: dict[str, Any], **more: Any) -> Workflow:
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes, **more})


def drawn(made: Workflow, title: str, registry: Registry | None = None) -> list[Drawing]:
    if registry is None:
        return drawings(made.nodes, made.subgraphs, title)
    specs = SpecResolver(made, registry)
    return drawings(made.nodes, made.subgraphs, title, specs.resolve, registry.types)


GAME = {
    "throw": {"type": "Throw", "label": 'say "hi" <b>'},
    "catch": {"type": "Catch", "inputs": {"ball": {"from": "throw"}, "hand": "right"}},
    "lost": {"type": "Nonsense", "inputs": {"in": {"from": "gone.out"}}},
}


def test_links_carry_the_colour_of_their_type(registry: Registry) -> None:
    (drawing,) = drawn(workflow(GAME), "game", registry)
    assert drawing.arrows == [Arrow("throw", "ball", "catch", "ball", "#123456")]
    assert drawing.boxes["catch"].literals == {"hand": '"right"'}
    assert [port.name for port in drawing.boxes["catch"].outputs] == ["text"]


def test_without_a_catalog_only_what_the_file_says_is_drawn() -> None:
    (drawing,) = drawn(workflow(GAME), "game")
    assert [port.name for port in drawing.boxes["throw"].outputs] == [""]
    assert drawing.boxes["catch"].outputs == ()


def test_a_subgraph_is_drawn_with_its_inputs_and_outputs(registry: Registry) -> None:
    made = workflow(
        {"use": {"type": "Game"}},
        subgraphs={
            "Game": {
                "inputs": {"hand": {"to": ["catch.hand", "gone.x"]}},
                "outputs": {"which": "catch.text", "wrong": "gone.y"},
                "nodes": {"catch": {"type": "Catch", "inputs": {"hand": "left"}}},
            }
        },
    )
    outer, inner = drawn(made, "x", registry)
    assert outer.boxes["use"].is_block
    assert [(arrow.source, arrow.target) for arrow in inner.arrows] == [
        ("input hand", "catch"),
        ("catch", "output which"),
    ]
    assert inner.boxes["catch"].literals == {}


def test_a_flowchart_escapes_what_mermaid_would_read(registry: Registry) -> None:
    text = flowchart(drawn(workflow(GAME), "game", registry))
    assert "say #34;hi#34; #60;b#62;" in text
    assert '|"ball"|' in text


def test_a_picture_is_valid_and_names_everything(registry: Registry) -> None:
    root = ElementTree.fromstring(svg(drawn(workflow(GAME), 'a & "b"', registry)))
    texts = ["".join(item.itertext()) for item in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {'a & "b"', 'say "hi" <b>', "Throw", "ball", 'hand: "right"'} <= set(texts)


def test_an_empty_workflow_is_a_picture_too() -> None:
    ElementTree.fromstring(svg(drawn(workflow({}), "nothing")))


def test_long_texts_are_cut() -> None:
    nodes = {"n": {"type": "T" * 200, "inputs": {"text": "漢" * 200}}}
    assert "…" in svg(drawn(workflow(nodes), "long"))


Edges = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=24)


@given(Edges)
@settings(max_examples=examples(60), deadline=None)
def test_boxes_never_overlap_and_links_go_right(edges: list[tuple[int, int]]) -> None:
    boxes = {f"n{at}": Box(f"n{at}", "", "", outputs=(Port("o"),)) for at in range(12)}
    arrows = [Arrow(f"n{a}", "o", f"n{b}", "i") for a, b in edges]
    sizes = {name: (100.0 + 10 * at, 40.0 + 20 * at) for at, name in enumerate(boxes)}
    placed = compute_layout(Drawing("", boxes, arrows), sizes)
    for one, other in combinations(boxes, 2):
        (x0, y0), (x1, y1) = placed.boxes[one], placed.boxes[other]
        apart = (
            x0 + sizes[one][0] <= x1
            or x1 + sizes[other][0] <= x0
            or y0 + sizes[one][1] <= y1 + 1e-6
            or y1 + sizes[other][1] <= y0 + 1e-6
        )
        assert apart, (one, other)
    if all(a < b for a, b in edges):
        assert all(
            placed.boxes[f"n{a}"][0] + sizes[f"n{a}"][0] < placed.boxes[f"n{b}"][0]
            for a, b in edges
        )


def test_a_long_link_passes_between_the_boxes() -> None:
    boxes = {name: Box(name, "", "") for name in "abc"}
    arrows = [Arrow("a", "", "b", ""), Arrow("b", "", "c", ""), Arrow("a", "", "c", "")]
    placed = compute_layout(Drawing("", boxes, arrows), dict.fromkeys(boxes, (100.0, 60.0)))
    passage = placed.routing_points["a", "c"]
    top = placed.boxes["b"][1]
    assert all(not top <= y <= top + 60 for _, y in passage)
