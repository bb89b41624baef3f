"""What the source says against what importing it says."""

from __future__ import annotations

import importlib
import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import pytest

from nodegraph.interop.pipelines.classes import PipelineClass

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def imported(classes: Mapping[str, PipelineClass]) -> Iterator[dict[str, Any]]:
    """The classes that can be imported here."""
    found: dict[str, Any] = {}
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, read in classes.items():
            try:
                found[name] = getattr(importlib.import_module(read.module), name)
            except (ImportError, RuntimeError):
                assert read.needs, f"{name} can't be imported, and needs nothing"
        yield found
    logging.disable(logging.NOTSET)


def _parameters(cls: Any) -> dict[str, inspect.Parameter]:
    signature = inspect.signature(inspect.unwrap(cls.__call__))
    return dict(list(signature.parameters.items())[1:])


def _plain(value: Any) -> Any:
    """A default as a workflow holds it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        return None  # JSON has no such keys, so it is left to diffusers
    return value


def test_parameters_and_defaults_are_those_of_the_signature(
    classes: Mapping[str, PipelineClass], imported: dict[str, Any]
) -> None:
    assert len(imported) > 0.9 * len(classes)
    for name, cls in imported.items():
        found, true = classes[name], _parameters(cls)
        assert sorted([item.name for item in found.inputs] + [*found.hidden]) == sorted(true), name
        for item in found.inputs:
            default = true[item.name].default
            assert item.required == (default is inspect.Parameter.empty), (name, item.name)
            if not item.required:
                assert item.default == _plain(default), (name, item.name)


def test_parts_are_those_that_diffusers_looks_for(
    classes: Mapping[str, PipelineClass], imported: dict[str, Any]
) -> None:
    for name, cls in imported.items():
        parts = {part.name: part for part in classes[name].parts}
        expected = set(cls._get_signature_keys(cls)[0]) - {"self"}
        assert expected <= set(parts) | set(classes[name].config), name
        optional = {part.name for part in parts.values() if part.optional}
        assert set(cls._optional_components) & set(parts) <= optional, name


def test_tensors_that_callbacks_may_ask_for_are_those_of_the_class(
    classes: Mapping[str, PipelineClass], imported: dict[str, Any]
) -> None:
    for name, cls in imported.items():
        known = classes[name].settings.get("tensor_inputs", [])
        assert known == list(getattr(cls, "_callback_tensor_inputs", [])), name
