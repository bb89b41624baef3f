"""Versions written down, so that an upgrade changes nothing unnoticed."""

from __future__ import annotations

from typing import Any

from nodegraph.api import node
from nodegraph.core.declarations import to_versioned_dict, with_versions
from nodegraph.core.workflow import Workflow
from tests.core.support import Functions, build, written


@node(output=True)
def Old(txt: str) -> None: ...


def renamed(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"text": inputs["txt"]}


@node(id="Old", version=2, output=True, migrations={1: renamed})
def New(text: str) -> None: ...


def test_a_workflow_with_versions_means_the_same_after_an_upgrade() -> None:
    workflow = written({"say": {"type": "Old", "inputs": {"txt": "a"}}})
    kept = with_versions(workflow, Functions(Old))
    assert workflow.nodes["say"].version is None
    assert kept.nodes["say"].version == 1
    assert build(kept, New).nodes["say"].literals == {"text": "a"}


def test_versions_that_are_there_and_types_that_are_not_stay_as_they_are() -> None:
    nodes = {"a": {"type": "Old", "version": 7}, "b": {"type": "Unknown"}, "c": {"type": "Block"}}
    block = {"nodes": {"inner": {"type": "Old"}}}
    found = with_versions(written(nodes, subgraphs={"Block": block}), Functions(Old))
    assert [entry.version for entry in found.nodes.values()] == [7, None, None]
    assert found.subgraphs["Block"].nodes["inner"].version == 1


def test_what_else_a_file_says_stays_as_it_is() -> None:
    node = {"type": "Old", "version": 1, "inputs": {"txt": "a"}, "always": True, "mine": 3}
    block = {"nodes": {"inner": {"type": "Old", "version": 1}}, "outputs": {}, "other": [1]}
    said = {"format": "nodegraph/1", "title": "T", "nodes": {"say": node}, "more": {"a": 1}}
    whole = Workflow.from_dict({**said, "subgraphs": {"Block": block}})
    bare = Workflow.from_dict(
        {**said, "nodes": {"say": {**node, "version": None}}, "subgraphs": {"Block": block}}
    )
    document = to_versioned_dict(bare, Functions(Old))
    assert list(document["nodes"]["say"]) == list(whole.to_dict()["nodes"]["say"])
    assert document == whole.to_dict()
    assert with_versions(bare, Functions(Old)) == whole
