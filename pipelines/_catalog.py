"""The pipeline classes that there are, each read once in a process. Imports no torch.

To read one takes tenths of a second, all of them seconds: that is for lists alone.
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
    """All pipeline classes, all dataclasses that they take, and what couldn't be read, by name.

    Raises:
        InvalidValue: diffusers isn't installed.
    """
    return pipelines_and_faults()


def is_catalog_loaded() -> bool:
    """Whether `everything` has been asked for."""
    return load_catalog.cache_info().currsize > 0


@cache
def find_class(name: str) -> PipelineClass | None:
    """A pipeline class; None if there is none of that name."""
    if is_catalog_loaded():
        return load_catalog()[0].get(name)
    return pipeline_class(name)


@cache
def find_dataclass(name: str) -> PipelineDataclass | None:
    """A dataclass that pipelines take; None if there is none of that name."""
    if is_catalog_loaded():
        return load_catalog()[1].get(name)
    return pipeline_dataclass(name)
