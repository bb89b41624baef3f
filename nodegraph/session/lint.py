"""Find what runs but may not be meant, or will not run elsewhere: `nodegraph lint`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.core.analysis import analyse
from nodegraph.core.links import is_link, parse_link, read_literal
from nodegraph.core.subgraphs import SpecResolver
from nodegraph.errors import Problem
from nodegraph.families.embedded_models import EMBEDDED

if TYPE_CHECKING:
    from nodegraph.core.catalog import Catalog
    from nodegraph.core.context import Environment
    from nodegraph.core.parts import NodeEntry, Subgraph
    from nodegraph.core.spec import NodeSpec
    from nodegraph.core.workflow import Workflow

UNUSED, UNREACHED, UNUSED_SUBGRAPH = "unused-node", "unreached-output", "unused-subgraph"
UNPINNED, RANDOM_SEED = "unpinned-model", "random-seed"
LINT_CODES = (UNUSED, UNREACHED, UNUSED_SUBGRAPH, UNPINNED, RANDOM_SEED, "deprecated")
"""Codes of findings that do not keep a workflow from running."""


def lint_workflow(workflow: Workflow, catalog: Catalog, environment: Environment) -> list[Problem]:
    """Return all findings of a workflow: what keeps it from running, then what may be a mistake.

    Args:
        environment: The models folders and the folder of input files.
    """
    analysis = analyse(workflow, catalog, environment)
    findings = [*analysis.problems]
    findings += [each for each in analysis.warnings if each.code != "unused"]
    linter = _Linter(workflow, catalog)
    findings += linter.unused()
    findings += linter.unpinned()
    findings += linter.seeds()
    return [*dict.fromkeys(findings)]


class _Linter:
    def __init__(self, workflow: Workflow, catalog: Catalog) -> None:
        self._workflow = workflow
        self._specs = SpecResolver(workflow, catalog)

    def unused(self) -> Iterator[Problem]:
        """Nodes that no result needs, and subgraphs that no node uses."""
        blocks = self._workflow.subgraphs
        yield from self._unused_nodes("", self._workflow.nodes, set())
        for name, block in blocks.items():
            shown = {text.partition(".")[0] for text in block.outputs.values()}
            yield from self._unused_nodes(f"{name}/", block.nodes, shown)
        used = self._used_blocks()
        for name in blocks:
            if name not in used:
                yield Problem(
                    UNUSED_SUBGRAPH,
                    f"no node uses the subgraph `{name}`",
                    hint="Remove it, or add a node of this type.",
                )

    def _unused_nodes(
        self, start: str, nodes: Mapping[str, NodeEntry], shown: set[str]
    ) -> Iterator[Problem]:
        sources = {name: _sources(entry) & nodes.keys() for name, entry in nodes.items()}
        needed = {name for name, entry in nodes.items() if self._is_sink(entry)} | shown
        # What only a muted or bypassed node uses is not unused: its author turned it off.
        needed |= {name for name, entry in nodes.items() if entry.mode is not None}
        waiting = list(needed & nodes.keys())
        while waiting:
            for source in sources[waiting.pop()] - needed:
                needed.add(source)
                waiting.append(source)
        taken = set().union(*sources.values()) if sources else set()
        for name, entry in nodes.items():
            if name in needed:
                continue
            if name in taken:
                message = "its outputs reach no node that writes a result"
                yield Problem(
                    UNREACHED,
                    message,
                    f"{start}{name}",
                    entry.type,
                    hint="Link what follows it to a node that writes a result, or remove it.",
                )
            else:
                yield Problem(
                    UNUSED,
                    "no node uses its outputs, so it does not run",
                    f"{start}{name}",
                    entry.type,
                    hint="Link its output, or remove the node.",
                )

    def _is_sink(self, entry: NodeEntry) -> bool:
        """Whether a node writes a result; one of an unknown type may."""
        block = self._workflow.subgraphs.get(entry.type)
        if block is not None:
            return self._writes(block, {entry.type})
        spec = self._specs.resolve(entry)
        return spec is None or spec.output

    def _writes(self, block: Subgraph, visited: set[str]) -> bool:
        for entry in block.nodes.values():
            inner = self._workflow.subgraphs.get(entry.type)
            if inner is None:
                if self._is_sink(entry):
                    return True
            elif entry.type not in visited and self._writes(inner, visited | {entry.type}):
                return True
        return False

    def _used_blocks(self) -> set[str]:
        used: set[str] = set()
        for _, entry in self._all_nodes():
            used.add(entry.type)
            spec = self._specs.resolve(entry)
            bodies = [port.name for port in spec.inputs if port.body] if spec else []
            used |= {str(read_literal(entry.inputs.get(name))) for name in bodies}
        return used

    def _all_nodes(self) -> Iterator[tuple[str, NodeEntry]]:
        yield from self._workflow.nodes.items()
        for name, block in self._workflow.subgraphs.items():
            for node, entry in block.nodes.items():
                yield f"{name}/{node}", entry

    def unpinned(self) -> Iterator[Problem]:
        """Models whose digest the workflow does not state."""
        used = [
            (name, entry, port, value)
            for name, entry, port, value in self._literals()
            if port.is_model_file and isinstance(value, str) and not _is_included(value)
        ]
        if not used:
            return
        from nodegraph.models.remote.declared_models import declarations_of

        document = self._workflow.without_values().to_dict()
        declared = declarations_of(document, [value for *_, value in used])
        for name, entry, port, value in used:
            model = declared.get(value)
            if model is None or not model.sha256:
                yield Problem(
                    UNPINNED,
                    "the file of this model may change, as the workflow states no digest of it",
                    name,
                    entry.type,
                    port.name,
                    given=value,
                    hint="Add its name and sha256 to the list `models` in the workflow's "
                    "`metadata`; `nodegraph models info NAME --hashes` shows the digest.",
                )

    def _literals(self) -> Iterator[tuple[str, NodeEntry, Any, Any]]:
        """Each literal, or default, with its node and the input's declaration."""
        for name, entry in self._all_nodes():
            if entry.type in self._workflow.subgraphs:
                continue
            spec: NodeSpec | None = self._specs.resolve(entry)
            for port in spec.inputs if spec else ():
                written = entry.inputs.get(port.name, port.default)
                if not is_link(written):
                    yield name, entry, port, read_literal(written)

    def seeds(self) -> Iterator[Problem]:
        """Seeds that the editor changes with each run."""
        layout = self._workflow.ui
        blocks = layout.get("subgraphs")
        scopes = {"": layout, **(blocks if isinstance(blocks, dict) else {})}
        nodes = dict(self._all_nodes())
        for scope, each in scopes.items():
            modes = each.get("seeds") if isinstance(each, dict) else None
            for target, mode in modes.items() if isinstance(modes, dict) else ():
                node, _, port = target.partition(".")
                entry = nodes.get(f"{scope}/{node}" if scope else node)
                if entry is None or mode in ("fixed", None):
                    continue
                yield Problem(
                    RANDOM_SEED,
                    "the editor changes this seed before each run",
                    f"{scope}/{node}" if scope else node,
                    entry.type,
                    port,
                    given=str(mode),
                    hint="Set it to fixed in the editor, to get the same result again.",
                )


def _is_included(model: str) -> bool:
    """Whether a model ships with nodegraph, or none is named."""
    return model.partition("/")[0] in ("", EMBEDDED)


def _sources(entry: NodeEntry) -> set[str]:
    sources = set()
    for written in entry.inputs.values():
        if is_link(written):
            try:
                sources.add(parse_link(str(written["from"])).node)
            except ValueError:
                continue  # reported with the other problems
    return sources
