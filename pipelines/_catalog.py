"""The available pipeline classes, each read once per process. Imports no torch.

Reading one class takes tenths of a second, reading all takes seconds: only lists need that.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from nodegraph.interop.pipelines.classes import PipelineClass, PipelineDataclass
from nodegraph.interop.pipelines.source import (
    pipeline_class,
    pipeline_dataclass,
    pipelines_and_faults,
)

_Catalog = tuple[Mapping[str, PipelineClass], Mapping[str, PipelineDataclass], Mapping[str, str]]


@cache
def load_catalog() -> _Catalog:
    """All pipeline classes, all dataclasses of their inputs, and what could not be read, by name.

    Raises:
        InvalidValue: diffusers is not installed.
    """
    return pipelines_and_faults()


def is_catalog_loaded() -> bool:
    """Whether `load_catalog` has been called."""
    return load_catalog.cache_info().currsize > 0


@cache
def find_class(name: str) -> PipelineClass | None:
    """A pipeline class by name. None if it does not exist."""
    if is_catalog_loaded():
        return load_catalog()[0].get(name)
    return pipeline_class(name)


@cache
def find_dataclass(name: str) -> PipelineDataclass | None:
    """A dataclass of pipeline inputs by name. None if it does not exist."""
    if is_catalog_loaded():
        return load_catalog()[1].get(name)
    return pipeline_dataclass(name)
