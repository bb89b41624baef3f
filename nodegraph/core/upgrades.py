"""Bring a workflow up to date: inputs of older node versions, and what names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.migrations import migrate_inputs, migrate_unread
from nodegraph.core.parts import NodeEntry, Subgraph
from nodegraph.core.spec import NodeSpec
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem


@dataclass(frozen=True)
class NodeUpgrade:
    """A node whose inputs were migrated.

    Attributes:
        node: Its name; ``subgraph/node`` inside of a subgraph.
        first, second: Its versions before and after.
    """

    node: str
    type: str
    first: int
    second: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON output."""
        return {"node": self.node, "type": self.type, "from": self.first, "to": self.second}


@dataclass(frozen=True)
class UpgradedWorkflow:
    """A workflow whose nodes have the versions of today's types.

    Attributes:
        nodes: The nodes that were migrated.
        problems: What could not be brought up to date and stays as it was.
    """

    workflow: Workflow
    nodes: tuple[NodeUpgrade, ...]
    problems: tuple[Problem, ...]


def upgrade_workflow(workflow: Workflow, catalog: Catalog) -> UpgradedWorkflow:
    """Migrate all nodes that state an older version; the workflow itself stays as it is.

    A node without a version counts as one of today, and stays so. Parameters and subgraph inputs
    that name a renamed input follow it.
    """
    upgrade = _Upgrade(workflow, catalog)
    nodes, renames = upgrade.graph("", workflow.nodes)
    parameters = {
        name: replace(parameter, input=renames.get(parameter.input, parameter.input))
        for name, parameter in workflow.parameters.items()
    }
    blocks: dict[str, Subgraph] = {}
    for name, block in workflow.subgraphs.items():
        inner, renames = upgrade.graph(f"{name}/", block.nodes)
        inputs = {
            port: replace(each, to=[renames.get(target, target) for target in each.to])
            for port, each in block.inputs.items()
        }
        blocks[name] = replace(block, nodes=inner, inputs=inputs)
    upgraded = replace(workflow, nodes=nodes, parameters=parameters, subgraphs=blocks)
    return UpgradedWorkflow(upgraded, tuple(upgrade.nodes), tuple(upgrade.problems))


class _Upgrade:
    def __init__(self, workflow: Workflow, catalog: Catalog) -> None:
        self._workflow = workflow
        self._catalog = catalog
        self.nodes: list[NodeUpgrade] = []
        self.problems: list[Problem] = []

    def graph(
        self, start: str, entries: Mapping[str, NodeEntry]
    ) -> tuple[dict[str, NodeEntry], dict[str, str]]:
        """The nodes of a graph, migrated, and new targets of renamed inputs by old ones.

        Args:
            start: What names of nodes start with in messages.
        """
        nodes: dict[str, NodeEntry] = {}
        renames: dict[str, str] = {}
        for name, entry in entries.items():
            nodes[name] = migrated = self._node(f"{start}{name}", entry)
            if migrated is not entry:
                renames.update(
                    (f"{name}.{old}", f"{name}.{new}")
                    for old, new in _renamed_inputs(entry.inputs, migrated.inputs).items()
                )
        return nodes, renames

    def _node(self, name: str, entry: NodeEntry) -> NodeEntry:
        is_block = entry.type in self._workflow.subgraphs
        spec = None if is_block else self._catalog.spec(entry.type)
        if spec is None or entry.version is None or entry.version == spec.version:
            return entry
        if entry.version > spec.version:
            pack = f"the pack `{spec.pack}`" if spec.pack else "nodegraph"
            self._problem(
                "newer-node-version",
                "was written for a newer version of its node type",
                name,
                entry,
                f"Update {pack}.",
            )
            return entry
        try:
            migrated = self._migrated(entry, entry.version, spec)
        except Exception as error:  # noqa: BLE001 - the pack's code may raise anything
            message = f"cannot be migrated: {type(error).__name__}: {error}"
            self._problem(
                "migration-failed", message, name, entry, f"Report it to the pack `{spec.pack}`."
            )
            return entry
        self.nodes.append(NodeUpgrade(name, entry.type, entry.version, spec.version))
        return migrated

    def _migrated(self, entry: NodeEntry, version: int, spec: NodeSpec) -> NodeEntry:
        steps = self._catalog.migrations(entry.type)
        if not entry.unread:
            inputs = migrate_inputs(entry.inputs, version, spec.version, steps)
            return replace(entry, inputs=inputs, version=spec.version)
        ports = [port.name for port in spec.inputs]
        inputs, unread = migrate_unread(
            entry.inputs, entry.unread, version, spec.version, steps, ports
        )
        theirs = {
            port: "` and `".join(known)
            for port, names in unread.items()
            if (known := [entry.unread_as[name] for name in names if name in entry.unread_as])
        }
        return replace(
            entry, inputs=inputs, version=spec.version, unread=[*unread], unread_as=theirs
        )

    def _problem(self, code: str, message: str, node: str, entry: NodeEntry, hint: str) -> None:
        self.problems.append(Problem(code, message, node, entry.type, hint=hint))


def _renamed_inputs(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """New names of inputs whose value a migration moved to another input, and no other has."""
    gone = {port: value for port, value in before.items() if port not in after}
    arrived = {port: value for port, value in after.items() if port not in before}
    renames = {}
    for port, value in gone.items():
        alike = [each for each, other in arrived.items() if other == value]
        rivals = [each for each, other in gone.items() if other == value]
        if len(alike) == 1 and len(rivals) == 1:
            renames[port] = alike[0]
    return renames
