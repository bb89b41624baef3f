"""Whatever nodes are linked to what, a workflow comes of it that can be written and read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.links import is_link, read_link
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow
from nodegraph.interop.comfyui.foreign_workflow import (
    BLOCK,
    ForeignBlock,
    ForeignGraph,
    ForeignNode,
    ForeignPort,
    ForeignWorkflow,
    Rectangle,
    Source,
)
from nodegraph.interop.comfyui.importer import ImportedWorkflow, translate
from tests.compat.comfyui.making import TABLE
from tests.properties import examples

TYPES = [entry.type for entry in TABLE] + ["B0", "B1", "Odd/..:x", "", "comfyui:y"]
NAMES = ["model", "samples", "image", "value", "width", "on", "seed", "name", "images.a", "from"]
TEXTS = st.text(max_size=6)
VALUES = st.one_of(
    TEXTS, st.integers(-(2**64), 2**64), st.booleans(), st.none(), st.floats(-1e9, 1e9),
    st.just({"from": "a"}), st.lists(st.integers(), max_size=2),
)  # fmt: skip
SOURCES = st.builds(Source, st.sampled_from(["0", "1", "2", "3", "9", BLOCK]), st.integers(0, 2))
SPOTS = st.builds(Rectangle, *[st.floats() for _ in range(4)])
PORTS = tuple(ForeignPort(name, kind) for name, kind in (("a b", "MODEL"), ("", ""), ("a.b", "*")))


@st.composite
def graphs(draw: st.DrawFn) -> ForeignGraph:
    names = [str(at) for at in range(draw(st.integers(0, 4)))]
    return ForeignGraph({name: draw(nodes(name)) for name in names})


@st.composite
def nodes(draw: st.DrawFn, name: str) -> ForeignNode:
    return ForeignNode(
        name,
        draw(st.sampled_from(TYPES)),
        draw(st.dictionaries(st.sampled_from(NAMES), st.one_of(VALUES, SOURCES), max_size=4)),
        PORTS[: draw(st.integers(0, 3))],
        draw(TEXTS),
        draw(st.sampled_from([None, None, "mute", "bypass"])),
        control=draw(st.sampled_from([{}, {"seed": "randomize"}])),
        bounds=draw(st.none() | SPOTS),
        raw=draw(st.dictionaries(TEXTS, VALUES, max_size=2)),
    )


@st.composite
def blocks(draw: st.DrawFn, name: str) -> ForeignBlock:
    inputs = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
    ends = draw(st.lists(st.none() | SOURCES, max_size=2))
    return ForeignBlock(
        name,
        draw(TEXTS),
        draw(graphs()),
        tuple(ForeignPort(each) for each in inputs),
        tuple((ForeignPort("out", "MODEL"), end) for end in ends),
        tuple(draw(st.lists(st.tuples(st.sampled_from("012"), st.sampled_from(NAMES))))),
    )


def imported(workflow: ForeignWorkflow) -> ImportedWorkflow | None:
    try:
        return translate(workflow, TABLE)
    except InvalidWorkflow as error:
        codes = {problem.code for problem in error.problems}
        return None if codes <= {"cycle", "recursive-subgraph"} else translate(workflow, TABLE)


def dangling(nodes: dict[str, NodeEntry]) -> list[str]:
    links = [
        read_link(value).node
        for entry in nodes.values()
        for value in entry.inputs.values()
        if is_link(value)
    ]
    return [name for name in links if name not in nodes]


@settings(max_examples=examples(60), deadline=None)
@given(graphs(), blocks("B0"), blocks("B1"))
def test_any_graph_becomes_a_workflow(
    graph: ForeignGraph, first: ForeignBlock, second: ForeignBlock
) -> None:
    found = imported(ForeignWorkflow(graph, blocks={"B0": first, "B1": second}))
    if found is None:
        return
    workflow = found.workflow
    assert Workflow.from_json(workflow.to_json()).to_dict() == workflow.to_dict()
    scopes = [workflow.nodes, *(block.nodes for block in workflow.subgraphs.values())]
    assert [name for scope in scopes for name in dangling(scope)] == []
    for block in workflow.subgraphs.values():
        targets = [target for port in block.inputs.values() for target in port.to]
        named = {text.partition(".")[0] for text in (*targets, *block.outputs.values())}
        assert named <= set(block.nodes)
        assert len(targets) == len(set(targets))
