"""Test tools for nodes: run a node or a workflow in a temporary home, and check it.

Fixtures for pytest are in `nodegraph.python.testing.fixtures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.workflow import Workflow
from nodegraph.engine.options import RunKeywords
from nodegraph.python.testing.trials import NodeVerdicts, PackVerdicts, Verdict
from nodegraph.python.testing.workbench import NodeLike, Workbench, check_pack

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "NodeVerdicts",
    "PackVerdicts",
    "Verdict",
    "Workbench",
    "check_node",
    "check_pack",
    "run_node",
    "run_workflow",
]


def run_node(node: NodeLike, /, *, packs: Sequence[str | Path] = (), **inputs: Any) -> Any:
    """Run one node with a fresh cache; see `Workbench.run_node`."""
    with Workbench(packs) as bench:
        return bench.run_node(node, **inputs)


def run_workflow(
    workflow: Workflow | Mapping[str, Any] | str | Path,
    *,
    packs: Sequence[str | Path] = (),
    **options: Unpack[RunKeywords],
) -> dict[str, Any]:
    """Run a workflow with a fresh cache and return its outputs; see `Workbench.run`."""
    with Workbench(packs) as bench:
        return dict(bench.run(workflow, **options).outputs)


def check_node(
    node: NodeLike, /, *, packs: Sequence[str | Path] = (), **inputs: Any
) -> NodeVerdicts:
    """Run all checks on one node: ``assert check_node(Blend).faults == []``; see `Workbench`."""
    with Workbench(packs) as bench:
        return bench.check_node(node, **inputs)
