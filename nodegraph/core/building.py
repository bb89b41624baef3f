"""From a workflow to the graph that the engine runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nodegraph.core.analysis import Analysis, analyse
from nodegraph.core.catalog import Catalog
from nodegraph.core.collecting import PausedGC
from nodegraph.core.context import Environment
from nodegraph.core.flat import FlatWorkflow, Output
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.links import Link
from nodegraph.core.targets import needed_by
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow


def build_graph(
    workflow: Workflow,
    catalog: Catalog,
    environment: Environment,
    *,
    targets: Sequence[str] | None = None,
) -> CheckedGraph:
    """The nodes that the targets need, checked, in an order in which they can run.

    Subgraphs are inlined (``block/inner``), older nodes led on, defaults filled in.

    Args:
        environment: Handed to the packs' own checks.
        targets: What is to be computed, as ``node`` or ``node.port``; all sinks if not given.
    Raises:
        InvalidWorkflow: Something is wrong with what is to be computed, or, where no targets are
            given, anywhere in the workflow; carries all of it.
    """
    with PausedGC():
        return graph_of(analyse(workflow, catalog, environment, targets=targets))


def graph_of(analysis: Analysis) -> CheckedGraph:
    """The nodes that an analysed workflow's targets need.

    Raises:
        InvalidWorkflow: Something is wrong with it; carries all of it.
    """
    if analysis.problems:
        raise InvalidWorkflow(analysis.problems)
    needed = needed_by(analysis.nodes, analysis.targets)
    nodes = {name: node for name, node in analysis.nodes.items() if name in needed}
    return CheckedGraph(nodes, analysis.targets, _output_aliases(analysis.flat, nodes))


def _output_aliases(flat: FlatWorkflow, nodes: Collection[str]) -> dict[str, str]:
    """What stands for outputs of nodes that don't run, as others do in their place."""
    stand_ins = {}
    for name in (*flat.blocks, *flat.bypassed):
        for port in flat.outputs_of(name):
            output = flat.output(Link(name, port))
            if isinstance(output, Output) and output.port is not None and output.node in nodes:
                stand_ins[f"{name}.{port}"] = f"{output.node}.{output.port.name}"
    return stand_ins
