"""Links are drawn through what stands on the canvas for the eye alone."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.errors import InvalidFile
from nodegraph.interop.comfyui.foreign_workflow import Source
from nodegraph.interop.comfyui.reading import read_workflow
from tests.compat.comfyui.drawing import drawn, linked, node, widget
from tests.messages import raises


def graph_of(document: dict[str, Any]) -> Any:
    return read_workflow(document, {}).graph


def test_reroutes_are_drawn_through() -> None:
    nodes = [
        node(1, "A"),
        node(2, "Reroute", inputs=[linked("", 1)]),
        node(3, "Reroute", inputs=[linked("", 2)]),
        node(4, "B", inputs=[linked("x", 3), linked("y", 4)]),
    ]
    graph = graph_of(
        drawn(nodes, [1, 1, 1, 2, 0], [2, 2, 0, 3, 0], [3, 3, 0, 4, 0], [4, 2, 0, 4, 1])
    )
    assert list(graph.nodes) == ["1", "4"]
    assert graph.nodes["4"].inputs == {"x": Source("1", 1), "y": Source("1", 1)}


def test_a_primitive_becomes_the_value_of_the_one_input_that_it_feeds() -> None:
    nodes = [
        node(1, "PrimitiveNode", 7, "increment"),
        node(2, "B", 3, inputs=[widget("seed", 1)]),
    ]
    graph = graph_of(drawn(nodes, [1, 1, 0, 2, 0]))
    assert list(graph.nodes) == ["2"]
    assert graph.nodes["2"].inputs == {"seed": 7}
    assert graph.nodes["2"].control == {"seed": "increment"}


def test_a_primitive_that_feeds_two_inputs_stays_a_node() -> None:
    nodes = [
        node(1, "PrimitiveNode", 7, "fixed", outputs=[{"name": "INT", "type": "INT"}]),
        node(2, "B", inputs=[widget("a", 1), widget("b", 2)]),
    ]
    graph = graph_of(drawn(nodes, [1, 1, 0, 2, 0], [2, 1, 0, 2, 1]))
    assert graph.nodes["1"].inputs == {"value": 7}
    assert graph.nodes["1"].ports[0].type == "INT"
    assert graph.nodes["2"].inputs == {"a": Source("1", 0), "b": Source("1", 0)}


@pytest.mark.parametrize("kind", ["{}Node", "easy {}Node"])
def test_a_getter_gives_what_the_setter_of_its_name_is_given(kind: str) -> None:
    setter, getter = (
        kind.format(part) for part in (("set", "get") if "easy" in kind else ("Set", "Get"))
    )
    nodes = [
        node(1, "A"),
        node(2, setter, "model", inputs=[linked("MODEL", 1)]),
        node(3, getter, "model"),
        node(4, "B", inputs=[linked("x", 2)]),
    ]
    graph = graph_of(drawn(nodes, [1, 1, 0, 2, 0], [2, 3, 0, 4, 0]))
    assert list(graph.nodes) == ["1", "4"]
    assert graph.nodes["4"].inputs == {"x": Source("1", 0)}


def test_unseen_links_are_drawn_where_the_file_tells_them() -> None:
    nodes = [
        node(1, "A"),
        node(2, "Anything Everywhere", inputs=[linked("anything", 1)]),
        node(3, "B", inputs=[linked("x", None), linked("y", None)]),
    ]
    unseen = {"downstream": 3, "downstream_slot": 1, "upstream": "1", "upstream_slot": 0}
    graph = graph_of(drawn(nodes, [1, 1, 0, 2, 0], extra={"ue_links": [unseen]}))
    assert list(graph.nodes) == ["1", "3"]
    assert graph.nodes["3"].inputs == {"y": Source("1", 0)}


def test_what_only_works_on_the_canvas_is_left_out_and_told() -> None:
    nodes = [
        node(1, "Fast Groups Muter (rgthree)"),
        node(2, "Anything Everywhere", inputs=[linked("anything", None)]),
        node(3, "Label (rgthree)", title="Prompts"),
    ]
    found = read_workflow(drawn(nodes), {})
    assert not found.graph.nodes
    assert [one.title for one in found.graph.notes] == ["Prompts"]
    assert ["Fast Groups" in found.warnings[0], "does not say" in found.warnings[1]] == [True, True]


def test_links_to_nothing_are_left_open_and_told() -> None:
    nodes = [node(2, "B", inputs=[linked("x", 1), linked("y", 9)])]
    found = read_workflow(drawn(nodes, [1, 77, 0, 2, 0]), {})
    assert found.graph.nodes["2"].inputs == {}
    assert ["node `2` (B): `x`" in found.warnings[0], "`y`" in found.warnings[1]] == [True, True]


def test_reroutes_in_a_circle_are_refused() -> None:
    nodes = [
        node(1, "Reroute", inputs=[linked("", 2)]),
        node(2, "Reroute", inputs=[linked("", 1)]),
        node(3, "B", inputs=[linked("x", 1)]),
    ]
    with raises(InvalidFile):
        graph_of(drawn(nodes, [1, 1, 0, 2, 0], [2, 2, 0, 1, 0]))


def test_a_circle_of_nodes_is_read() -> None:
    nodes = [node(1, "A", inputs=[linked("x", 2)]), node(2, "A", inputs=[linked("x", 1)])]
    graph = graph_of(drawn(nodes, [1, 1, 0, 2, 0], [2, 2, 0, 1, 0]))
    assert graph.nodes["1"].inputs == {"x": Source("2", 0)}


def test_what_comes_from_a_note_or_from_no_output_is_left_open() -> None:
    nodes = [
        node(1, "A", outputs=[{"name": "IMAGE", "type": "IMAGE"}]),
        node(2, "Note", "text"),
        node(3, "B", inputs=[linked("x", 1), linked("y", 2)]),
    ]
    found = read_workflow(drawn(nodes, [1, 1, 1, 3, 0], [2, 2, 0, 3, 1]), {})
    assert found.graph.nodes["3"].inputs == {}
    assert [
        "node `1` (A) has no output 1" in found.warnings[0],
        "`2` (Note)" in found.warnings[1],
    ] == [
        True,
        True,
    ]
