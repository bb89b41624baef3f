"""What entries link to are outputs that native nodes have."""

from __future__ import annotations

import pytest

from nodegraph import Session
from nodegraph.core.links import is_link, read_link
from nodegraph.interop.comfyui.entries import TableEntry
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignGraph,
    ForeignNode,
    ForeignWorkflow,
    Source,
)
from nodegraph.interop.comfyui.importer import translate
from tests.cases import case
from tests.compat.comfyui.supplied import TABLE, supplied

ENTRIES = [one for one in TABLE.values() if one.signature.outputs and not one.type.startswith("@")]


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


@pytest.mark.slow
def test_links_name_outputs_of_the_nodes_that_are_made(session: Session) -> None:
    for one in ENTRIES:
        with case(one.type):
            assert _wrong_links(one, session) == []


@pytest.mark.slow
def test_what_saves_or_shows_is_run_for_itself(session: Session) -> None:
    for one in ENTRIES:
        with case(one.type):
            assert one.is_end or not _sinks(one, session)


def _sinks(one: TableEntry, session: Session) -> list[str]:
    """Native nodes that an entry makes which write or show something."""
    found = translate(ForeignWorkflow(supplied(one)), TABLE).workflow
    origins = found.ui["comfyui"].get("nodes", {})
    own = next((name for name, origin in origins.items() if origin["id"] == "node"), None)
    made = [] if own is None else [own, *origins[own].get("with", ())]
    specs = {name: session.registry.spec(found.nodes[name].type) for name in made}
    return [name for name, spec in specs.items() if spec is not None and spec.output]


def _wrong_links(one: TableEntry, session: Session) -> list[tuple[str, str, list[str]]]:
    """The native node type, the port that is named, and those that there are."""
    graph = supplied(one)
    asked = {f"to{at}": Source("node", at) for at in range(len(one.signature.outputs))}
    taker = ForeignNode("taker", "NobodyKnowsIt", inputs=asked)
    found = translate(ForeignWorkflow(ForeignGraph({**graph.nodes, "taker": taker})), TABLE)

    nodes = found.workflow.nodes
    links = [
        read_link(value)
        for node in nodes.values()
        for value in node.inputs.values()
        if is_link(value)
    ]
    wrong = []
    for link in links:
        spec = session.registry.spec(nodes[link.node].type) if link.node in nodes else None
        if spec is None:
            continue
        names = list(spec.outputs_by_name)
        if link.port not in names and (link.port or len(names) != 1):
            wrong.append((spec.type, link.port, names))
    return wrong
