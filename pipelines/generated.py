"""A node type for each pipeline class, and for each dataclass of diffusers that they take.

They are made on first access: to run one, only its class is read. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nodegraph.errors import PackError

from ._catalog import find_class, find_dataclass, is_catalog_loaded, load_catalog
from ._dataclasses import dataclass_node
from ._signatures import pipeline_node


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for part in load_catalog() for name in part)})


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
