"""JSON Schemas: of the workflow file, by which editors complete and check it, and of manifests."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from inspect import getdoc
from typing import Any, Union, get_args, get_origin, get_type_hints

from nodegraph.core import manifest as manifests
from nodegraph.core.catalog import Catalog
from nodegraph.core.context import CPU_PRECISION
from nodegraph.core.migrations import FORMAT
from nodegraph.core.parts import MODES
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.workflow import PRECISIONS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXT = {"type": "string"}
_NAME = r"^[^./]+$"
_LINK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "from": {**_TEXT, "description": "`node.port`; just `node` if it has one output."}
    },
    "required": ["from"],
}


def workflow_json_schema(catalog: Catalog | None = None) -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a workflow file.

    Args:
        catalog: With it, each node's inputs are described by its type.
    """
    specs = [
        spec
        for name in (catalog.node_types() if catalog else ())
        if catalog and (spec := catalog.spec(name))
    ]
    return {
        "$schema": DIALECT,
        "title": "nodegraph workflow",
        **_object(
            {
                "format": {"const": FORMAT},
                "title": _TEXT,
                "description": _TEXT,
                "parameters": _map(
                    {"$ref": "#/$defs/parameter"}, "Named inputs that may change from run to run."
                ),
                "nodes": {"$ref": "#/$defs/nodes"},
                "subgraphs": _map({"$ref": "#/$defs/subgraph"}, "Subgraphs, used like node types."),
                "requires": _map(_TEXT, "Version specifiers by pack."),
                CPU_PRECISION: {
                    "enum": list(PRECISIONS),
                    "description": "What the dtype auto is on a CPU, instead of the setting.",
                },
                "ui": {"type": "object", "description": "Data of the editor."},
                "metadata": {
                    "type": "object",
                    "description": "Data of a client, kept in files that nodes write.",
                },
            },
            required=["format", "nodes"],
        ),
        "$defs": {**_definitions(specs), **{_ref(spec): _inputs(spec) for spec in specs}},
    }


def inputs_json_schema(spec: NodeSpec) -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of the `inputs` of one node type in a workflow file."""
    return {
        "$schema": DIALECT,
        "title": spec.type,
        **_inputs(spec),
        "$defs": {"link": _LINK},
    }


def _definitions(specs: list[NodeSpec]) -> dict[str, Any]:
    return {
        "link": _LINK,
        "parameter": {
            "anyOf": [
                {**_TEXT, "description": "`node.input`"},
                _object(
                    {
                        "input": _TEXT,
                        "label": _TEXT,
                        "help": _TEXT,
                        "required": {
                            "type": "boolean",
                            "description": "The input must be given, although the node has a "
                            "default for it.",
                        },
                    },
                    required=["input"],
                ),
            ]
        },
        "nodes": {**_map({"$ref": "#/$defs/node"}, ""), "propertyNames": {"pattern": _NAME}},
        "node": _node(specs),
        "subgraph": _object(
            {
                "inputs": _map({"$ref": "#/$defs/subgraphInput"}, ""),
                "outputs": _map(_TEXT, "`node.port` for each output."),
                "nodes": {"$ref": "#/$defs/nodes"},
            }
        ),
        "subgraphInput": _object(
            {
                "type": _TEXT,
                "to": {"type": "array", "items": _TEXT, "description": "`node.input` of each."},
                "help": _TEXT,
                "default": {},
            }
        ),
    }


def _node(specs: list[NodeSpec]) -> dict[str, Any]:
    # Other names stay allowed: they may be subgraphs.
    known = {"anyOf": [{"enum": [spec.type for spec in specs]}, _TEXT]} if specs else _TEXT
    node = _object(
        {
            "type": known,
            "version": {"type": "integer", "minimum": 1},
            "inputs": {"type": "object"},
            "label": _TEXT,
            "note": _TEXT,
            "always": {"type": "boolean"},
            "mode": {
                "enum": list(MODES),
                "description": "`mute`: the node and all nodes that depend on it are not run. "
                "`bypass`: the node is not run, and its inputs replace its "
                "outputs.",
            },
            "pack": {
                "type": "string",
                "description": "The pack that provides the type, reported where the type is "
                "missing.",
            },
            "unread": {
                "type": "array",
                "items": _TEXT,
                "description": "Inputs whose values could not be read from another program's "
                "file. They must be given.",
            },
            "unread_as": {
                "type": "object",
                "additionalProperties": _TEXT,
                "description": "The other program's names of these inputs.",
            },
        },
        required=["type"],
    )
    if specs:
        node["allOf"] = [
            {
                "if": {"properties": {"type": {"const": spec.type}}, "required": ["type"]},
                "then": {"properties": {"inputs": {"$ref": f"#/$defs/{_pointer(_ref(spec))}"}}},
            }
            for spec in specs
        ]
    return node


def _ref(spec: NodeSpec) -> str:
    return f"inputs of {spec.type}"


def _pointer(name: str) -> str:
    """A key as a part of a JSON pointer in a URI fragment."""
    return name.replace("~", "~0").replace("/", "~1").replace("%", "%25").replace(" ", "%20")


def _inputs(spec: NodeSpec) -> dict[str, Any]:
    # A node that runs a subgraph takes what that one takes.
    is_open = spec.body is not None and spec.body.body is not None and spec.body.body.passes_on
    return {
        **_object({port.name: _input(port) for port in spec.inputs}),
        "additionalProperties": is_open,
        "description": spec.summary,
    }


def _input(port: InputSpec) -> dict[str, Any]:
    link = {"$ref": "#/$defs/link"}
    described: dict[str, Any] = {"description": port.help or port.type}
    if port.json_schema is None:
        forms: list[dict[str, Any]] = [link]
    else:
        wrapped = {**_object({"value": port.json_schema}, required=["value"]), "maxProperties": 1}
        forms = [port.json_schema, link, wrapped]
        if not port.required and port.default is not None:
            described["default"] = port.default
    if port.nullable:
        forms.append({"type": "null"})
    return {**described, "anyOf": forms}


def _object(properties: dict[str, Any], *, required: list[str] | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def _map(values: dict[str, Any], description: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "additionalProperties": values}
    return {**schema, "description": description} if description else schema


def manifest_json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a manifest: a text of result files, or a file next to one.

    Only `core.manifest.Manifest.from_document` checks that a workflow has the digest that the
    manifest names.
    """
    described = _described(manifests.Manifest)
    properties = {"format": {"const": manifests.FORMAT}, **described["properties"]}
    return {
        "$schema": DIALECT,
        "title": "nodegraph manifest",
        **described,
        "properties": properties,
        "required": ["format", "nodegraph", "node"],
    }


_DIGESTS = frozenset({"digest", "key", "code", "content", "workflow_digest", "embedded_digest"})
_DIGEST = "^([0-9a-f]{64})?$"
_ATTRIBUTE = re.compile(r"^    ([a-z_][a-z_, ]*): ", re.MULTILINE)


def _described(kind: type) -> dict[str, Any]:
    """An object with the fields of a dataclass, described as its docstring does."""
    assert is_dataclass(kind)
    hints, texts = get_type_hints(kind), _attributes(kind)
    properties = {}
    for each in fields(kind):
        schema = _field(hints[each.name])
        if schema.get("type") == "string" and each.name in _DIGESTS:
            schema |= {"pattern": _DIGEST}
        properties[each.name] = {**schema, "description": texts[each.name]}
    summary = (getdoc(kind) or "").partition("\n")[0]
    return {"type": "object", "description": summary, "properties": properties}


def _field(hint: Any) -> dict[str, Any]:
    plain: dict[Any, dict[str, Any]] = {
        str: {"type": "string", "maxLength": manifests.LONGEST_TEXT},
        bool: {"type": "boolean"},
        int: {"type": "integer", "minimum": -(2**64) + 1, "maximum": 2**64 - 1},
        float: {"type": "number"},
        Any: {},
    }
    if hint in plain:
        return dict(plain[hint])
    if isinstance(hint, type) and is_dataclass(hint):
        return _described(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        [inner] = [each for each in arguments if each is not type(None)]
        schema = _field(inner)
        return {**schema, "type": [schema["type"], "null"]}
    if origin is tuple:
        return {"type": "array", "items": _field(arguments[0]), "maxItems": manifests.MOST}
    assert origin is Mapping, hint
    if arguments[1] is Any:
        return {"type": "object"}
    entry = _field(arguments[1])
    return {"type": "object", "additionalProperties": entry, "maxProperties": manifests.MOST}


@cache
def _attributes(kind: type) -> Mapping[str, str]:
    """Descriptions in a docstring's section `Attributes`, by field."""
    _, _, section = (getdoc(kind) or "").partition("Attributes:\n")
    parts = _ATTRIBUTE.split(section)[1:]
    described = {}
    for names, text in zip(parts[::2], parts[1::2], strict=True):
        for name in names.split(","):
            described[name.strip()] = " ".join(text.split()).replace("`", "")
    named = [each.name for each in fields(kind)]
    return {name: described.get(name, (getdoc(kind) or "").partition("\n")[0]) for name in named}
