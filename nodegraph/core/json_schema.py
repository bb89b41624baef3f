"""JSON Schema of the workflow file, by which editors complete and check it."""

from __future__ import annotations

from typing import Any

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
