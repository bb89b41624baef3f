"""A node type for each pipeline class, and for each dataclass of diffusers that they take.

They are made on first access: to run one, only its class is read. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nodegraph.core.node import definition_of
from nodegraph.core.spec import NodeSpec, from_document, to_document
from nodegraph.core.types import TypeInfo
from nodegraph.errors import PackError
from nodegraph.interop.pipelines.source import shipped_declarations

from ._catalog import find_class, find_dataclass, is_catalog_loaded, load_catalog
from ._dataclasses import dataclass_node
from ._signatures import pipeline_node


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for part in load_catalog() for name in part)})


def known_declarations() -> tuple[list[NodeSpec], list[TypeInfo]] | None:
    """What all of them declare, without making them; None if it is not known before."""
    lines = shipped_declarations()
    if lines is None:
        return None
    types = [from_document(TypeInfo, info, "parents") for info in json.loads(lines[0])]
    # One by one, as all of them as JSON values would take ten megabytes.
    return [NodeSpec.from_dict(json.loads(line)) for line in lines[1:]], types


__node_declarations__ = known_declarations


def declaration_lines() -> list[bytes]:
    """The same of the node types as they are made; nodegraph ships with it."""
    names = sorted(name for part in load_catalog()[:2] for name in part)
    made = [definition_of(__getattr__(name)) for name in names]
    infos = dict.fromkeys(port.info for definition in made for port in definition.ports)
    documents = [list(map(to_document, infos)), *(to_document(each.spec) for each in made)]
    return [json.dumps(document).encode() for document in documents]


def __getattr__(name: str) -> Callable[..., Any]:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if (pipeline_class := find_class(name)) is not None:
        made = pipeline_node(pipeline_class, __name__)
    elif (part := find_dataclass(name)) is not None:
        made = dataclass_node(part, __name__)
    elif is_catalog_loaded() and name in load_catalog()[2]:
        raise PackError(f"{name} cannot be read: {load_catalog()[2][name]}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = made
    return made
