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

_Everything = tuple[Mapping[str, PipelineClass], Mapping[str, PipelineDataclass], Mapping[str, str]]


@cache
def everything() -> _Everything:
    """All pipeline classes, all dataclasses that they take, and what couldn't be read, by name.

    Raises:
        InvalidValue: diffusers isn't installed.
    """
    return pipelines_and_faults()


def is_all_read() -> bool:
    """Whether `everything` has been asked for."""
    return everything.cache_info().currsize > 0


@cache
def class_named(name: str) -> PipelineClass | None:
    """A pipeline class; None if there is none of that name."""
    if is_all_read():
        return everything()[0].get(name)
    return pipeline_class(name)


@cache
def dataclass_named(name: str) -> PipelineDataclass | None:
    """A dataclass that pipelines take; None if there is none of that name."""
    if is_all_read():
        return everything()[1].get(name)
    return pipeline_dataclass(name)
