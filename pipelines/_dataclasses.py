"""Dataclasses of diffusers that pipelines take, as port types, with a node for each."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import field, fields, is_dataclass, make_dataclass
from functools import cache
from typing import Any

from nodegraph import node, port_type
from nodegraph.interop.pipelines.classes import PipelineDataclass

from ._catalog import find_dataclass
from ._types import default_of, input_annotation
from ._words import docstring, in_order, label_of

CATEGORY = "pipelines/parts"
_MODULE = "nodegraph_pipelines.generated"


@cache
def port_class(name: str) -> Any:
    """The port type for a dataclass of diffusers. It holds the fields as they were given.

    The caller of the pipeline makes the dataclass of diffusers from it.
    """
    record = find_dataclass(name)
    if record is None:
        return Any  # its type is unknown: any value is passed on
    ports = [(port.name, Any, field(default=None)) for port in record.inputs]
    made = make_dataclass(record.name, ports, frozen=True, namespace={"__module__": _MODULE})
    made.__doc__ = record.summary
    return port_type(color="#c0a16b")(made)


def to_fields(value: Any) -> Any:
    """The fields by name of a value of `dataclass_node`. Other values are returned unchanged."""
    if isinstance(value, list):
        return [to_fields(item) for item in value]
    if type(value).__module__ != _MODULE or not is_dataclass(value):
        return value
    values = {item.name: getattr(value, item.name) for item in fields(value)}
    return {name: to_fields(item) for name, item in values.items() if item is not None}


def dataclass_node(source_class: PipelineDataclass, module: str) -> Callable[..., Any]:
    """The node type that makes such a value from its fields.

    Args:
        module: Module that contains the node under the class's name.
    """
    returned = port_class(source_class.name)

    def make(**inputs: Any) -> Any:
        return returned(**inputs)

    ports = [
        inspect.Parameter(
            port.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=input_annotation(port, port_class),
            default=inspect.Parameter.empty if port.required else default_of(port),
        )
        for port in in_order(source_class.inputs)
    ]
    make.__name__ = make.__qualname__ = source_class.name
    make.__module__ = module
    make.__doc__ = docstring(
        source_class, f"Values for a {label_of(source_class.name)}, as a pipeline takes them."
    )
    make.__annotations__ = {port.name: port.annotation for port in ports} | {"return": returned}
    make.__signature__ = inspect.Signature(ports, return_annotation=returned)  # type: ignore[attr-defined]
    tags = ("diffusers", "pipeline", "condition")
    return node(category=CATEGORY, label=label_of(source_class.name), tags=tags)(make)
