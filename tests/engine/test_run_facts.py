"""What a node asks of the run around it: its name, the workflow, and the workflow's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph import Session, Settings, Workflow
from nodegraph.api import Context, Expand, NodeId, WorkflowDocument, WorkflowMetadata, node
from nodegraph.core.node import definition_of
from tests.engine.conftest import Bench, link

ran: list[str] = []


@node
def Plain(a: int) -> int:
    """Ask nothing."""
    ran.append("Plain")
    return a + 1


@node
def Named(a: int, name: NodeId) -> str:
    """Ask for the name."""
    ran.append("Named")
    return f"{name} {a}"


@node
def Titled(a: int, workflow: WorkflowDocument) -> int:
    """Ask for the workflow."""
    ran.append("Titled")
    return len(workflow["nodes"]) + a


@node
def Noted(a: int, metadata: WorkflowMetadata) -> str:
    """Ask for the metadata."""
    ran.append("Noted")
    return str(metadata.get("author", "nobody"))


@node
def Everything(ctx: Context, a: int, b: NodeId, c: WorkflowMetadata, d: int = 2) -> str:
    """Ask for more, beside a context."""
    assert ctx.node == b
    return f"{a} {b} {c} {d}"


@node
def Outer(a: int) -> str:
    """Expand into one that asks for its name."""
    nodes = {"inner": {"type": "Named", "inputs": {"a": a}}}
    return Expand(nodes, {"text": "inner"})


@node
def Numbers(count: int) -> list[int]:
    """The numbers below."""
    return list(range(count))


ASKING = (Plain, Named, Titled, Noted, Everything, Outer, Numbers)


@pytest.fixture(autouse=True)
def nodes(bench: Bench) -> None:
    ran.clear()
    bench.add(*ASKING)


def one(kind: str, name: str = "n") -> dict[str, Any]:
    return {name: {"type": kind, "inputs": {"a": 1}}}


def test_they_are_no_inputs() -> None:
    spec = definition_of(Everything).spec
    assert [port.name for port in spec.inputs] == ["a", "d"]
    assert spec.hidden == {"b": "node", "c": "metadata"}


def test_a_node_gets_what_it_asks_for(bench: Bench) -> None:
    metadata = {"author": "me", "workflow": {"nodes": []}}
    text = bench.run(one("Everything"), metadata=metadata)["n"]
    assert text == f"1 n {metadata} 2"
    assert bench.run(one("Titled"))["n"] == 2
    assert bench.run(one("Outer"))["n"] == "n/inner 1"


def test_another_name_is_another_result(bench: Bench) -> None:
    for kind in ("Named", "Outer"):
        inner = "/inner" if kind == "Outer" else ""
        for name in ("x", "y", "x"):
            assert bench.run(one(kind, name))[name] == f"{name}{inner} 1"
    assert ran.count("Named") == 4


def test_items_of_a_list_have_the_name_of_their_node(bench: Bench) -> None:
    graph = {
        "n": {"type": "Numbers", "inputs": {"count": 2}},
        "x": {"type": "Named", "inputs": {"a": link("n")}},
    }
    assert bench.run(graph)["x"] == ["x 0", "x 1"]


def test_equal_nodes_at_the_same_time_get_their_own_names(bench: Bench) -> None:
    graph = {name: one("Named", name)[name] for name in "abcdef"}
    result = bench.run(graph, *graph)
    assert [result[name] for name in graph] == [f"{name} 1" for name in graph]


def test_what_a_node_does_to_them_stays_with_it(bench: Bench) -> None:
    @node
    def Change(a: int, metadata: WorkflowMetadata) -> int:
        """Write into what it was given."""
        metadata["list"].append(a)
        return len(metadata["list"])

    bench.add(Change)
    graph = {**one("Change", "x"), "y": {"type": "Change", "inputs": {"a": 2}}}
    result = bench.run(graph, "x", "y", metadata={"list": [0]})
    assert (result["x"], result["y"]) == (2, 2)


def keys(bench: Bench, graph: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, str]:
    result = bench.run(graph, *graph, metadata=metadata)
    return {name: report.key for name, report in result.nodes.items()}


KINDS = {"Plain": set(), "Named": {"node"}, "Titled": {"workflow"}, "Noted": {"metadata"}}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=6),
    author=st.sampled_from(["me", "you"]),
    renamed=st.integers(0, 5),
)
def test_they_count_in_the_keys_of_those_who_ask_and_of_no_others(
    bench: Bench, kinds: list[str], author: str, renamed: int
) -> None:
    graph = {f"n{at}": one(kind)["n"] for at, kind in enumerate(kinds)}
    before = keys(bench, graph, {"author": "me"})
    new = {f"m{at}" if at == renamed else name: graph[name] for at, name in enumerate(graph)}
    after = keys(bench, new, {"author": author})
    is_renamed, is_other = new.keys() != graph.keys(), author != "me"
    for name, now in zip(graph, new, strict=True):
        asks = KINDS[graph[name]["type"]]
        changed = {"node"} if name != now else set()
        changed |= {"metadata"} if is_other else set()
        changed |= {"workflow"} if is_other or is_renamed else set()
        assert (before[name] != after[now]) == bool(asks & changed), (name, now)


def test_a_plan_knows_the_same_keys(tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "format": "nodegraph/1",
        "nodes": {
            kind: {"type": kind, "inputs": {"a": 1}} for kind in ("Plain", *KINDS, "Everything")
        },
        "metadata": {"author": "me"},
    }
    with Session(Settings(home=tmp_path), nodes=ASKING) as session:
        workflow = Workflow.from_dict(document)
        targets = list(document["nodes"])
        session.run(workflow, targets=targets)
        plan = session.plan(workflow, targets=targets)
        assert {item.status for item in plan.nodes.values()} == {"hit"}
        other = Workflow.from_dict({**document, "metadata": {"author": "you"}})
        plan = session.plan(other, targets=targets)
        assert {name for name, item in plan.nodes.items() if item.status == "run"} == {
            "Noted",
            "Titled",
            "Everything",
        }
        (reason,) = session.why(Workflow.from_dict({**other.to_dict()}), node="Noted")
        assert "the metadata of the workflow" in str(reason.reasons)
