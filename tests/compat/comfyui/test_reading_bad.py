"""Whatever a file holds, it is read or refused clearly, and in time that grows with its size."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.errors import InvalidFile
from nodegraph.interop.comfyui.entries import parse_signature
from nodegraph.interop.comfyui.foreign_workflow import ForeignWorkflow, Source
from nodegraph.interop.comfyui.reading import MAX_NODES, is_foreign, read_workflow
from tests.compat.comfyui.drawing import block, drawn, linked, node, widget, with_blocks
from tests.messages import raises
from tests.properties import examples

KNOWN = {
    "A": parse_signature("A(seed: INT = 0 @control, image: COMBO @upload, x: IMAGE?) -> IMAGE"),
}
WHOLE = with_blocks(
    drawn(
        [
            node(1, "A", 3, "fixed", "a.png", "image", inputs=[linked("x", 2), widget("seed", 5)]),
            node(2, "Reroute", inputs=[linked("", 1)]),
            node(3, "b", 4, properties={"proxyWidgets": [["5", "seed"], ["-1", "seed"]]}),
            node(4, "PrimitiveNode", 4, "fixed"),
            node(6, "SetNode", "name", inputs=[linked("x", 3)]),
            node(7, "GetNode", "name"),
            node(8, "Note", "text", flags={"collapsed": True}),
            node(10, "workflow>g", 8, "fixed", inputs=[linked("x", 1)], outputs=[{"name": "o"}]),
            node(9, "Named", widgets_values={"a": 1}, properties={"models": [{"name": "m"}]}),
        ],
        [1, 3, 0, 2, 0], [2, 2, 0, 1, 0], [3, 1, 0, 6, 0], [5, 4, 0, 1, 1],
        groups=[{"title": "Box", "bounding": [0, 1, 2, 3]}],
        extra={"ue_links": [{"downstream": 9, "downstream_slot": 0, "upstream": "1",
                             "upstream_slot": 0}],
               "groupNodes": {"g": {
                   "nodes": [node(0, "A", 8, "fixed", outputs=[{"name": "o"}]),
                             node(0, "B", inputs=[linked("y", None), linked("x", None)])],
                   "links": [[0, 0, 1, 0, 0, "*"]], "external": [[0, 0, "*"]]}}},
    ),
    block(
        "b", [node(5, "A", 7, "fixed", inputs=[widget("seed", 1)])],
        [1, -10, 0, 5, 0], [2, 5, 0, -20, 0], inputs=("seed",), outputs=("out",),
    ),
)  # fmt: skip
PROMPT = {
    "1": {"class_type": "A", "inputs": {"seed": 3, "x": ["2", 0]}, "_meta": {"title": "T"}},
    "2": {"class_type": "A", "inputs": {"x": {"__value__": [1]}}},
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-30, 30),
    st.sampled_from([10**400, -1, 0.5, 1e308, "", "1", "-10", "b", "A", "__proto__", "a.b/c",
                     "\x00\u202e", "Reroute", "GetNode", "PrimitiveNode", "\ud800", "x" * 5000]),
    st.sampled_from([[], {}, [[]], [None], {"0": 1}, [1, 2, 3, 4, 5, 6], {"id": 1}, [{"id": 1}]]),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each part of a document."""
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, item in pairs for place in places(item, (*path, key)))]


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    found = copy.deepcopy(document)
    holder = found
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return found


@settings(max_examples=examples(400), deadline=None)
@given(st.data())
def test_a_file_with_wrong_parts_is_read_or_refused(data: st.DataObject) -> None:
    document: Any = data.draw(st.sampled_from([WHOLE, PROMPT]))
    for _ in range(data.draw(st.integers(1, 3))):
        document = changed(document, data.draw(st.sampled_from(places(document))), data.draw(ODD))
    is_foreign(document)
    try:
        found = read_workflow(document, KNOWN, name="a.json")
    except InvalidFile as error:
        messages = [str(error)]
    else:
        messages = list(found.warnings)
        _check_sources(found)
    assert all(len(message) < 1000 and message.isprintable() for message in messages)


def _check_sources(found: ForeignWorkflow) -> None:
    """Each leads to something."""
    for graph in (found.graph, *(one.graph for one in found.blocks.values())):
        for one in graph.nodes.values():
            assert one.type is not None
            for value in one.inputs.values():
                if isinstance(value, Source) and value.node != "@block":
                    assert value.node in graph.nodes


@settings(max_examples=examples(60), deadline=None)
@given(
    st.recursive(
        ODD,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.sampled_from(["nodes", "links", "id", "type", "class_type"]), inner),
        ),
        max_leaves=20,
    )
)
def test_any_document_is_read_or_refused(document: Any) -> None:
    try:
        read_workflow(document, {})
    except InvalidFile:
        return
    assert is_foreign(document)


def test_the_parts_of_a_whole_file_are_all_read() -> None:
    found = read_workflow(WHOLE, KNOWN)
    assert found.warnings == ()
    assert list(found.graph.nodes) == ["1", "3", "10", "9"]
    assert list(found.blocks) == ["b", "workflow>g (10)"]


@pytest.mark.parametrize("version", [0.3, 2, "0.4", True, None])
def test_unknown_versions_are_refused(version: object) -> None:
    with raises(InvalidFile):
        read_workflow(drawn([node(1, "A")]) | {"version": version}, {})


@pytest.mark.parametrize("kind", ["ui", "api"])
def test_too_many_nodes_are_refused(kind: str) -> None:
    count = MAX_NODES + 1
    document: dict[str, Any] = (
        drawn([node(1, "A")] * count)
        if kind == "ui"
        else {str(at): {"class_type": "A", "inputs": {}} for at in range(count)}
    )
    with raises(InvalidFile):
        read_workflow(document, {})


def test_a_long_chain_of_reroutes_is_drawn_through_once() -> None:
    nodes = [node(0, "A")]
    nodes += [node(at, "Reroute", inputs=[linked("", at)]) for at in range(1, 5000)]
    nodes += [node(f"b{at}", "B", inputs=[linked("x", at)]) for at in range(1, 5000)]
    found = read_workflow(drawn(nodes, *([at, at - 1, 0, at, 0] for at in range(1, 5000))), {})
    assert {one.inputs["x"] for one in list(found.graph.nodes.values())[1:]} == {Source("0", 0)}


def test_blocks_within_blocks_may_go_deep() -> None:
    depth = 3000
    blocks = [block(f"b{at}", [node(1, f"b{at + 1}")]) for at in range(depth)]
    found = read_workflow(with_blocks(drawn([node(1, "b0")]), *blocks), {})
    assert len(found.blocks) == depth


def test_what_is_told_of_a_broken_file_is_bounded() -> None:
    document = {
        str(at): {"class_type": "A", "inputs": {"x": ["gone\x07", 0]}} for at in range(1000)
    }
    told = read_workflow(document, {}).warnings
    assert len(told) == 101
    assert "900 more" in told[-1]
    assert "\x07" not in json.dumps(told)
