"""The nodes of a workflow's graphs, with what refers to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Any

from nodegraph.core.comparison.fields import Fields, Path, Scope, scope_of
from nodegraph.core.comparison.port_matches import Ports
from nodegraph.core.comparison.references import is_link_value, references, split_target


class NodeTables:
    """The fields of a workflow by node, and the fields that refer to each node."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.nodes: dict[Scope, dict[str, dict[Path, Any]]] = defaultdict(dict)
        self.blocks: dict[str, dict[Path, Any]] = {}
        self.references: dict[Scope, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
        self.uses: dict[str, int] = defaultdict(int)
        self.ports = Ports(fields)
        self.links: dict[Scope, dict[str, list[tuple[Hashable, str]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for path, value in fields.items():
            self._add(path, value)

    def _add(self, path: Path, value: Any) -> None:
        scope = scope_of(path)
        inner = path
        if path[0] == "subgraphs":
            self.blocks.setdefault(str(path[1]), {})[path[2:]] = value
            inner = path[2:]
        for name in references(path, value):
            self.references[scope][name].append(path)
        if len(inner) >= 2 and inner[0] == "nodes":
            self.nodes[scope].setdefault(str(inner[1]), {})[inner[2:]] = value
            is_body = inner[2:3] == ("inputs",) and isinstance(value, str)
            if inner[2:] == ("type",) or is_body:
                self.uses[value] += 1
            if inner[2:3] == ("inputs",) and is_link_value(value):
                source, port = split_target(value["from"])
                self.links[scope][str(inner[1])].append(((str(inner[3]), port, "from"), source))
                self.links[scope][source].append(((str(inner[3]), port, "to"), str(inner[1])))
