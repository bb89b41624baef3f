"""Count how the built-in node types are used in the gallery and in their examples.

Writes nodes/usage.json, by which advice, the editor and searches rank node types.

python docs/generate_usage.py
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from nodegraph import Session, Settings, Workflow
from nodegraph.core.analysis import analyse
from nodegraph.core.catalog import ANY_FAMILY, USAGE_FILE, Usage
from nodegraph.core.links import Link, is_link, read_link
from nodegraph.core.parts import NodeEntry

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "nodes" / USAGE_FILE
GALLERY = ROOT / "workflows"
EXAMPLES = ROOT / "nodes" / "examples"

FoundLink = tuple[str, str, str]
"""An output and an input, each with its node type, and the model family that it is for."""


def usage() -> Usage:
    """How many workflows have each node type and each link of built-in nodes."""
    types: Counter[str] = Counter()
    links: Counter[FoundLink] = Counter()
    with TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), device="cpu", leave_out=())
        with Session(settings, inputs=GALLERY) as session:
            for file in sorted(GALLERY.glob("*.json")):
                counted = WorkflowUsage(session, Workflow.load(file))
                types.update(counted.types())
                links.update(set(counted.links()))
            for file in sorted(EXAMPLES.glob("*.json")):
                counted = WorkflowUsage(session, Workflow.load(file))
                types[file.stem] += 1
                # The rest of an example only leads to its node, or shows what that gives.
                links.update({link for link in counted.links() if _is_of(file.stem, link)})
    found: defaultdict[str, defaultdict[str, dict[str, int]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for (source, target, family), count in sorted(links.items()):
        found[source][target][family] = count
    return Usage(dict(sorted(types.items())), found)


def _is_of(node_type: str, link: FoundLink) -> bool:
    source, target, _ = link
    return node_type in (source.partition(".")[0], target.partition(".")[0])


class WorkflowUsage:
    """The node types and links of one workflow, those within its subgraphs included."""

    def __init__(self, session: Session, workflow: Workflow) -> None:
        self._specs = {name: session.registry.spec(name) for name in session.registry.types_of("")}
        self._scopes = [workflow.nodes, *(each.nodes for each in workflow.subgraphs.values())]
        self._families = {
            Link(name, port): str(facts["family"])
            for name, node in analyse(workflow, session.registry, session.environment).nodes.items()
            for port, facts in node.facts.items()
            if "family" in facts
        }

    def types(self) -> set[str]:
        """Its built-in node types."""
        found = (entry.type for nodes in self._scopes for entry in nodes.values())
        return {name for name in found if name in self._specs}

    def links(self) -> Iterator[FoundLink]:
        """Its links between built-in nodes."""
        for nodes in self._scopes:
            for entry in nodes.values():
                spec = self._specs.get(entry.type)
                found = {
                    port: source
                    for port, value in entry.inputs.items()
                    if is_link(value) and (source := self._source(nodes, read_link(value)))
                }
                # What has no family itself, such as an empty latent, is for that of the others.
                families = [name for _, name in found.values() if name != ANY_FAMILY]
                usual = families[0] if families else ANY_FAMILY
                for port, (output, family) in found.items():
                    if spec is not None and port in spec.inputs_by_name:
                        yield output, f"{entry.type}.{port}", family or usual

    def _source(self, nodes: Mapping[str, NodeEntry], link: Link) -> tuple[str, str] | None:
        """The output that a link begins at, and the model family of what it gives."""
        entry = nodes.get(link.node)
        spec = self._specs.get(entry.type) if entry is not None else None
        if spec is None or not spec.outputs:
            return None
        port = link.port or spec.outputs[0].name
        return f"{spec.type}.{port}", self._families.get(Link(link.node, port), ANY_FAMILY)


def text(usage: Usage) -> str:
    """The file's text: a line for each output."""
    types = ",\n".join(f"    {json.dumps(name)}: {count}" for name, count in usage.types.items())
    links = ",\n".join(
        f"    {json.dumps(source)}: {json.dumps(targets)}"
        for source, targets in usage.links.items()
    )
    return f'{{\n  "types": {{\n{types}\n  }},\n  "links": {{\n{links}\n  }}\n}}\n'


if __name__ == "__main__":
    TARGET.write_text(text(usage()), encoding="utf-8")
