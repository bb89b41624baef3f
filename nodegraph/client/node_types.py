"""The node types of a server, as a catalog like that of a registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from nodegraph.client.problems import unexpected_answer
from nodegraph.client.reading import convert, mapping
from nodegraph.client.requests import Reply
from nodegraph.core.spec import HookName, InputSpec, NodeSpec, OutputSpec
from nodegraph.core.types import TypeInfo, TypeTable
from nodegraph.core.usage import NO_USAGE, Usage


@dataclass(frozen=True)
class NodeTypes:
    """What the nodes of a server take and give; a `nodegraph.core.catalog.Catalog`.

    Its hooks say nothing: they are code, which stays on the server.

    Attributes:
        specs: By node type.
        types: Port types.
        packs: Versions of node packs by name.
        problems: What is wrong with packs.
        usage: What advice on a workflow is ranked by; nothing of a server of an earlier version.
    """

    specs: Mapping[str, NodeSpec]
    types: TypeTable
    packs: Mapping[str, str]
    problems: tuple[str, ...]
    usage: Usage = NO_USAGE

    def spec(self, node_type: str) -> NodeSpec | None:
        """What a node type declares; None if there is no such type."""
        return self.specs.get(node_type)

    def node_types(self) -> Sequence[str]:
        """Every node type's name, sorted."""
        return sorted(self.specs)

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        """None, see above."""
        return None

    def migrations(self, node_type: str) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        """None, as they are code too."""
        return {}


def read_node_types(answer: Reply) -> NodeTypes:
    """Reads the list of all.

    Raises:
        UnexpectedAnswer: It is none.
    """
    document = mapping(answer)
    try:
        specs = [_spec(each) for each in document["items"]]
        return NodeTypes(
            {spec.type: spec for spec in specs},
            TypeTable(_type(each) for each in document["port_types"]),
            {str(name): str(version) for name, version in document["packs"].items()},
            tuple(map(str, document["problems"])),
            _usage(document["usage"]) if "usage" in document else NO_USAGE,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unexpected_answer(answer) from error


def read_node_type(answer: Reply) -> NodeSpec:
    """Reads a single one.

    Raises:
        UnexpectedAnswer: It is none.
    """
    try:
        return _spec(mapping(answer))
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected_answer(answer) from error


def _spec(entry: Mapping[str, Any]) -> NodeSpec:
    known = _known(NodeSpec, entry)
    known["inputs"] = [_known(InputSpec, each) for each in known.get("inputs", ())]
    known["outputs"] = [_known(OutputSpec, each) for each in known.get("outputs", ())]
    spec: NodeSpec = convert(NodeSpec, known)
    return spec


def _known(model: type[Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    # A server of a later version may tell more.
    names = {item.name for item in fields(model)}
    return {name: value for name, value in entry.items() if name in names}


def _usage(entry: Mapping[str, Any]) -> Usage:
    return Usage(dict(entry["types"]), dict(entry["links"]))


def _type(entry: Mapping[str, Any]) -> TypeInfo:
    return TypeInfo(entry["name"], entry["color"], tuple(entry["parents"]), entry["description"])
