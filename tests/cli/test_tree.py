"""Workflows as trees, the odd ones."""

from __future__ import annotations

from typing import Any

from nodegraph.cli.show import ASCII, tree
from nodegraph.core.workflow import Workflow


def lines(nodes: dict[str, Any]) -> list[str]:
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    return [
        "".join(part if isinstance(part, str) else part[0] for part in line)
        for line in tree(workflow.nodes, ASCII)
    ]


def link(output: str) -> dict[str, str]:
    return {"from": output}


def test_a_node_with_several_users_is_shown_in_full_once() -> None:
    nodes = {
        "load": {"type": "Load", "inputs": {"name": "x"}},
        "one": {"type": "One", "inputs": {"a": link("load.vae"), "b": link("load.model")}},
    }
    assert lines(nodes) == [
        "one (One)",
        "|- a <- vae of load (Load)",
        '|  `- name = "x"',
        "`- b <- model of load (Load)  (above)",
    ]


def test_a_cycle_is_shown_and_ends() -> None:
    nodes = {
        "a": {"type": "A", "inputs": {"in": link("b")}},
        "b": {"type": "B", "inputs": {"in": link("a")}},
    }
    assert lines(nodes) == ["a (A)", "`- in <- b (B)", "   `- in <- a (A)  (a cycle)"]


def test_a_broken_link_is_shown_as_it_is_written() -> None:
    assert lines({"a": {"type": "A", "inputs": {"in": {"from": 3}}}}) == [
        "a (A)",
        '`- in = {"from": 3}',
    ]


def test_a_long_chain_is_no_problem() -> None:
    nodes: dict[str, Any] = {"n0": {"type": "N"}}
    nodes.update(
        {f"n{at}": {"type": "N", "inputs": {"in": link(f"n{at - 1}")}} for at in range(1, 3000)}
    )
    assert len(lines(nodes)) == 3000


def test_nothing_has_no_lines() -> None:
    assert lines({}) == []
