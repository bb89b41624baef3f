"""Group nodes, which came before sub-graphs, are read as these."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.errors import InvalidFile
from nodegraph.interop.comfyui.entries import parse_signature
from nodegraph.interop.comfyui.foreign_workflow import BLOCK, ForeignWorkflow, Source
from nodegraph.interop.comfyui.reading import read_workflow
from tests.compat.comfyui.drawing import drawn, linked, node
from tests.messages import raises

KNOWN = {
    "Load": parse_signature("Load(name: COMBO) -> MODEL, CLIP"),
    "Encode": parse_signature("Encode(text: STRING, clip: CLIP) -> CONDITIONING"),
    "Sample": parse_signature(
        "Sample(model: MODEL, p: CONDITIONING, seed: INT @control) -> LATENT"
    ),
}
OUTPUTS = [{"name": "MODEL", "type": "MODEL"}, {"name": "CLIP", "type": "CLIP"}]
LATENT = {"name": "LATENT", "type": "LATENT"}


def group() -> dict[str, Any]:
    """A loader, whose CLIP is shown outside, and a sampler with an open prompt."""
    return {
        "nodes": [
            {"type": "Load", "widgets_values": ["a"], "inputs": [], "outputs": OUTPUTS},
            {"type": "Sample", "widgets_values": [1, "fixed"], "outputs": [LATENT],
             "inputs": [linked("model", None, "MODEL"), linked("p", None, "CONDITIONING")]},
        ],
        "links": [[0, 0, 1, 0, 0, "MODEL"]],
        "external": [[0, 1, "CLIP"]],
    }  # fmt: skip


def read(*values: Any, kind: str = "workflow>Both", **groups: Any) -> ForeignWorkflow:
    outputs = [OUTPUTS[1], LATENT]
    used = node(9, kind, *values, inputs=[linked("p", 2, "CONDITIONING")], outputs=outputs)
    nodes = [
        used,
        node(8, "Encode", "cat", inputs=[linked("clip", 1, "CLIP")]),
        node(7, "Save", inputs=[linked("samples", 3, "LATENT")]),
    ]
    links = ([1, 9, 0, 8, 0], [2, 8, 0, 9, 0], [3, 9, 1, 7, 0])
    extra = {"groupNodes": {"Both": group(), **groups}}
    return read_workflow(drawn(nodes, *links, extra=extra), KNOWN)


@pytest.mark.parametrize("kind", ["workflow>Both", "workflow/Both"])
def test_a_group_node_becomes_a_block_with_its_own_values(kind: str) -> None:
    found = read("b", 5, "randomize", kind=kind)
    (block,) = found.blocks.values()
    assert block.name == "Both"
    assert block.graph.nodes["0"].inputs == {"name": "b"}
    assert block.graph.nodes["1"].inputs == {
        "seed": 5,
        "model": Source("0", 0),
        "p": Source(BLOCK, 0),
    }
    assert block.graph.nodes["1"].control == {"seed": "randomize"}
    assert [source for _, source in block.outputs] == [Source("0", 1), Source("1", 0)]
    assert found.graph.nodes["9"].type == block.id
    assert found.graph.nodes["9"].inputs == {"p": Source("8", 0)}
    assert found.graph.nodes["7"].inputs == {"samples": Source("9", 1)}
    assert found.warnings == ()


def test_values_that_do_not_fit_are_no_values_of_the_nodes_inside() -> None:
    found = read("b")
    (block,) = found.blocks.values()
    nodes = block.graph.nodes
    assert [(nodes[name].unreadable_from, "name" in nodes[name].inputs) for name in ("0", "1")] == [
        ("name", False),
        ("seed", False),
    ]


def test_values_that_do_not_fit_are_none_of_a_group_within_the_group() -> None:
    outer = {"nodes": [{"type": "workflow>Both", "widgets_values": ["c", 6, "fixed"]}]}
    found = read("d", kind="workflow>Outer", Outer=outer)
    inner = found.blocks["workflow>Both (9:0)"]
    assert inner.graph.nodes["0"].unreadable_from == "name"


def test_a_group_within_a_group_is_read() -> None:
    outer = {"nodes": [{"type": "workflow>Both", "widgets_values": ["c", 6, "fixed"]}]}
    found = read("d", 7, "fixed", kind="workflow>Outer", Outer=outer)
    inner = found.blocks["workflow>Both (9:0)"]
    assert inner.graph.nodes["0"].inputs == {"name": "d"}
    assert found.blocks["workflow>Outer (9)"].graph.nodes["0"].type == inner.id


def test_a_group_that_holds_itself_is_refused() -> None:
    with raises(InvalidFile):
        read(kind="workflow>Ring", Ring={"nodes": [{"type": "workflow>Ring"}]})


def test_groups_that_grow_without_end_are_refused() -> None:
    groups = {f"g{at}": {"nodes": [{"type": f"workflow>g{at + 1}"}] * 10} for at in range(9)}
    with raises(InvalidFile):
        read(kind="workflow>g0", **groups)


def test_links_from_outside_lead_through_a_reroute_at_the_border() -> None:
    wire = {"type": "Reroute", "outputs": [{"name": "", "type": "*"}]}
    inner = {
        "nodes": [
            {**wire, "inputs": [linked("", None)]},
            {"type": "Sample", "widgets_values": [1, "fixed"], "outputs": [LATENT],
             "inputs": [linked("model", None, "MODEL"), linked("p", None, "CONDITIONING")]},
            {**wire, "inputs": [linked("", None)]},
        ],
        "links": [[0, 0, 1, 0, 0, "MODEL"], [1, 0, 2, 0, 0, "LATENT"]],
        "external": [[1, 0, "LATENT"], [2, 0, "LATENT"]],
    }  # fmt: skip
    used = node(
        9, "workflow>Wired", 5, "fixed",
        inputs=[linked("MODEL", 1, "MODEL"), linked("p", 2, "CONDITIONING")],
        outputs=[LATENT, {"name": "Reroute LATENT", "type": "LATENT"}],
    )  # fmt: skip
    nodes = [
        used,
        node(8, "Load", "a", outputs=OUTPUTS),
        node(6, "Encode", "cat", outputs=[{"name": "c", "type": "CONDITIONING"}]),
        node(7, "Save", inputs=[linked("samples", 3, "LATENT")]),
    ]
    links = ([1, 8, 0, 9, 0], [2, 6, 0, 9, 1], [3, 9, 1, 7, 0])
    extra = {"groupNodes": {"Wired": inner}}
    found = read_workflow(drawn(nodes, *links, extra=extra), KNOWN)
    (block,) = found.blocks.values()
    assert found.graph.nodes["9"].inputs == {"MODEL": Source("8", 0), "p": Source("6", 0)}
    assert block.graph.nodes["1"].inputs == {
        "seed": 5,
        "model": Source(BLOCK, 0),
        "p": Source(BLOCK, 1),
    }
    assert [source for _, source in block.outputs] == [Source("1", 0), Source("1", 0)]
    assert found.warnings == ()
