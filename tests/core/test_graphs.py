"""A graph that was built before is used again only where it would come out the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.api import Facts, File, Finding, HookInputs, node
from nodegraph.core.context import Environment
from nodegraph.core.digests import digest_bytes
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.graph_builder import GraphCache, build_graph
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow
from nodegraph.packs.registry import Registry
from tests.messages import raises


@node
def Start(value: int = 1) -> int:
    """A number."""
    return value


@node
def Next(a: int, by: int = 1) -> int:
    """A later number."""
    return a + by


@node
def Listed(items: list[int]) -> int:
    """Of a list."""
    return len(items)


def width_of(inputs: HookInputs) -> dict[str, Facts]:
    return {"number": {"width": len((inputs.environment.inputs / "file").read_text())}}


def is_there(inputs: HookInputs) -> Iterator[Finding]:
    if not (inputs.environment.inputs / "file").exists():
        yield Finding("path", "there is no such file")


@node(infer=width_of, validate=is_there)
def Read(path: Annotated[str, File()] = "file") -> int:
    """What a file says."""
    raise NotImplementedError


CHAIN: Mapping[str, Any] = {
    "a": {"type": "Start", "inputs": {"value": 1}},
    "b": {"type": "Next", "inputs": {"a": {"from": "a"}}},
    "c": {"type": "Next", "inputs": {"a": {"from": "b"}, "by": 2}},
}


def catalog() -> Registry:
    registry = Registry()
    registry.add(Start, Next, Listed, Read)
    return registry


class Place:
    """A folder, the node types, and what is remembered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = Environment((), folder, folder, folder)
        self.catalog = catalog()
        self.graphs = GraphCache()

    def built(self, nodes: Mapping[str, Any], *targets: str, **more: Any) -> CheckedGraph:
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes), **more})
        digest = digest_bytes(workflow.to_json().encode())
        named = targets or [list(nodes)[-1]]
        return self.graphs.get_or_build(
            digest, workflow, self.catalog, self.environment, targets=named
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_same_workflow_has_the_same_graph(place: Place) -> None:
    assert place.built(CHAIN) is place.built(CHAIN)


def test_other_targets_have_another_graph(place: Place) -> None:
    place.built(CHAIN, "c")
    assert list(place.built(CHAIN, "b").nodes) == ["a", "b"]


def test_what_is_wrong_is_told_each_time(place: Place) -> None:
    nodes = {**CHAIN, "b": {"type": "Next", "inputs": {"a": "text"}}}
    for _ in range(2):
        with pytest.raises(InvalidWorkflow):
            place.built(nodes)


def test_a_type_that_was_declared_anew_is_looked_at_anew(place: Place) -> None:
    before = place.built(CHAIN)
    place.catalog = catalog()

    @node
    def Next(a: int, by: int = 7) -> int:
        """A much later number."""
        return a + by

    place.catalog = Registry()
    place.catalog.add(Start, Next)
    after = place.built(CHAIN)
    assert (before.nodes["b"].literals, after.nodes["b"].literals) == ({"by": 1}, {"by": 7})


def test_a_file_that_says_something_else_is_noticed(place: Place) -> None:
    nodes = {"read": {"type": "Read"}, "end": {"type": "Next", "inputs": {"a": {"from": "read"}}}}
    (place.folder / "file").write_text("1234")
    before = place.built(nodes)
    assert place.built(nodes) is before
    (place.folder / "file").write_text("12345678")
    assert place.built(nodes).nodes["read"].facts == {"number": {"width": 8}}
    (place.folder / "file").unlink()
    with raises(InvalidWorkflow):
        place.built(nodes)


def test_a_pack_that_is_required_and_gone_is_noticed(place: Place) -> None:
    place.catalog.pack_versions = lambda: {"shapes": "1.0"}  # type: ignore[method-assign]
    place.built(CHAIN, requires={"shapes": "*"})
    place.catalog.pack_versions = dict  # type: ignore[method-assign]
    with raises(InvalidWorkflow):
        place.built(CHAIN, requires={"shapes": "*"})


def test_a_graph_with_a_list_that_its_node_may_change_is_built_anew(place: Place) -> None:
    nodes = {"listed": {"type": "Listed", "inputs": {"items": [1, 2]}}}
    place.built(nodes).nodes["listed"].literals["items"].append(3)
    assert place.built(nodes).nodes["listed"].literals["items"] == [1, 2]


@pytest.mark.parametrize("bound", [{"most_nodes": 7}, {"most": 2}])
def test_so_many_are_remembered_and_no_more(place: Place, bound: dict[str, int]) -> None:
    place.graphs = GraphCache(**bound)
    chains = [{**CHAIN, "a": {"type": "Start", "inputs": {"value": at}}} for at in range(3)]
    first, second, third = (place.built(nodes) for nodes in chains)
    assert place.built(chains[2]) is third
    assert place.built(chains[1]) is second
    assert place.built(chains[0]) is not first


numbers = st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans())


@given(st.lists(numbers, min_size=1, max_size=12))
def test_whatever_came_before_a_graph_is_as_if_built_alone(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, bool]]
) -> None:
    place = Place(tmp_path_factory.getbasetemp())
    for value, by, is_short in drawn:
        nodes = {
            "a": {"type": "Start", "inputs": {"value": value}},
            "b": {"type": "Next", "inputs": {"a": {"from": "a"}, "by": by}},
            "c": {"type": "Next", "inputs": {"a": {"from": "a" if is_short else "b"}}},
        }
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        alone = build_graph(workflow, place.catalog, place.environment, targets=["c"])
        found = place.built(nodes)
        assert list(found.nodes) == list(alone.nodes)
        for name, each in alone.nodes.items():
            known = found.nodes[name]
            assert (known.spec, known.literals, known.links) == (
                each.spec,
                each.literals,
                each.links,
            )
