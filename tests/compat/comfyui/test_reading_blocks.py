"""Sub-graphs are read with what leads in and out, and with the values of their nodes."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.errors import InvalidFile
from nodegraph.interop.comfyui.foreign_workflow import BLOCK, ForeignWorkflow, Rectangle, Source
from nodegraph.interop.comfyui.reading import read_workflow
from tests.compat.comfyui.drawing import block, drawn, linked, node, widget, with_blocks
from tests.messages import raises


def read(document: dict[str, Any]) -> ForeignWorkflow:
    return read_workflow(document, {})


def scaling() -> dict[str, Any]:
    """A block with an image and two widgets as inputs, all of one node."""
    ports = [linked("image", 1), widget("width", 2), widget("height", 3)]
    inner = node(5, "Scale", 64, 32, inputs=ports)
    return block(
        "scaling", [inner], [1, -10, 0, 5, 0], [2, -10, 1, 5, 1], [3, -10, 2, 5, 2],
        [4, 5, 1, -20, 0], inputs=("image", "width", "height"), outputs=("scaled",),
    )  # fmt: skip


def test_links_of_a_block_lead_in_and_out() -> None:
    found = read(with_blocks(drawn([node(1, "scaling")]), scaling())).blocks["scaling"]
    assert found.name == "Scaling"
    assert found.graph.nodes["5"].inputs == {
        "image": Source(BLOCK, 0),
        "width": Source(BLOCK, 1),
        "height": Source(BLOCK, 2),
    }
    assert [(port.name, source) for port, source in found.outputs] == [("scaled", Source("5", 1))]
    assert found.ends == {
        "inputs": Rectangle(-300, 0, 100, 60),
        "outputs": Rectangle(900, 0, 100, 60),
    }
    assert found.defaults == {"width": 64, "height": 32}


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ([640, 480], {}),
        ([], {"widgets_values_named": {"width": 640, "height": 480}}),
        ([640, 480], {"properties": {"proxyWidgets": [["5", "width"], ["-1", "height"]]}}),
    ],
)
def test_a_blocks_node_says_the_values_of_its_inputs(
    values: list[Any], more: dict[str, Any]
) -> None:
    document = drawn([node(1, "scaling", *values, **more)])
    found = read(with_blocks(document, scaling())).graph.nodes["1"]
    assert found.inputs == {"width": 640, "height": 480}


def test_where_a_blocks_node_has_no_values_those_inside_hold() -> None:
    shown = {"proxyWidgets": [["5", "width"], ["5", "height"]]}
    instance = node(1, "scaling", inputs=[widget("height", 1)], properties=shown)
    document = drawn([node(2, "A"), instance], [1, 2, 0, 1, 0])
    found = read(with_blocks(document, scaling())).graph.nodes["1"]
    assert found.inputs == {"width": 64, "height": Source("2", 0)}


def test_values_hold_through_nested_blocks() -> None:
    inner = node(8, "scaling", inputs=[widget("width", 1)], properties={"proxyWidgets": []})
    outer = block("outer", [inner], [1, -10, 0, 8, 0], inputs=("wide",))
    found = read(with_blocks(drawn([node(1, "outer")]), outer, scaling()))
    assert found.graph.nodes["1"].inputs == {"wide": 64}
    assert found.blocks["outer"].graph.nodes["8"].inputs == {
        "width": Source(BLOCK, 0),
        "height": 32,
    }


def test_widgets_that_are_no_inputs_are_exposed() -> None:
    shown = [["5", "seed"], ["5", "control_after_generate"], ["5", "$$picture"], ["9", "gone"]]
    instance = node(1, "b", properties={"proxyWidgets": shown})
    found = read(with_blocks(drawn([instance]), block("b", [node(5, "Seeded", 3)])))
    assert found.blocks["b"].exposed == (("5", "seed"),)


def test_a_block_that_holds_itself_is_refused() -> None:
    blocks = [block("a", [node(1, "b")]), block("b", [node(1, "a")])]
    with raises(InvalidFile):
        read(with_blocks(drawn([node(1, "a")]), *blocks))


def test_nodes_of_a_block_have_their_own_values_for_exposed_widgets() -> None:
    shown = {"proxyWidgets": [["5", "$$picture"], ["5", "seed"]]}
    nodes = [node(at, "b", None, at, properties=shown) for at in (1, 2)]
    found = read(with_blocks(drawn(nodes), block("b", [node(5, "S", widgets_values={"seed": 3})])))
    assert found.blocks["b"].graph.nodes["5"].inputs == {"seed": 3}
    assert found.blocks["b"].exposed == (("5", "seed"),)
    assert [one.inputs for one in found.graph.nodes.values()] == [{"5.seed": 1}, {"5.seed": 2}]


def test_what_is_exposed_of_a_primitive_is_exposed_where_it_leads() -> None:
    inner = [node(4, "PrimitiveNode", 7), node(5, "S", inputs=[widget("seed", 1)])]
    instance = node(1, "b", 9, properties={"proxyWidgets": [["4", "value"]]})
    found = read(with_blocks(drawn([instance]), block("b", inner, [1, 4, 0, 5, 0])))
    assert found.blocks["b"].graph.nodes["5"].inputs == {"seed": 7}
    assert found.blocks["b"].exposed == (("5", "seed"),)
    assert found.graph.nodes["1"].inputs == {"5.seed": 9}


def test_a_sub_graph_that_is_not_in_the_file_is_told() -> None:
    found = read(drawn([node(1, "0f79b7f9-d214-4587-b475-bc429519b976")]))
    assert "not in the file" in found.warnings[0]
