"""Modules by the names of version 0.1."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module

import pytest

import nodegraph
import nodegraph.moved as moved

NAMES = [
    "nodegraph.builder.builtin",
    "nodegraph.compat.comfyui.entries",
    "nodegraph.datasets.order",
    "nodegraph.diffusion.families.base",
    "nodegraph.diffusion.families.items",
    "nodegraph.diffusion.models",
    "nodegraph.diffusion.samplers.euler",
    "nodegraph.diffusion.single_files",
    "nodegraph.pipelines.opening",
    "nodegraph.testing",
    "nodegraph.testing.fixtures",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_old_name_is_todays_module_and_says_so(name: str) -> None:
    new = moved.new_name(name)
    assert new is not None
    parts = name.split(".")
    for old in (".".join(parts[: at + 1]) for at in range(1, len(parts))):
        if moved.new_name(old) is not None:
            sys.modules.pop(old, None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        old_module = import_module(name)
    assert f"{name} is {new} now" in [str(warning.message) for warning in caught]
    assert old_module is import_module(new)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "name", ["nodegraph.datasetss", "nodegraph.compat.nothing", "nodegraph.diffusion.no"]
)
def test_what_is_no_module_is_none(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module(name)


def test_every_old_name_is_looked_for() -> None:
    assert {name.split(".")[1] for name in moved.MOVED} == nodegraph._OLD


WORKFLOW = {
    "format": "nodegraph/1",
    "nodes": {"shown": {"type": "ShowValue", "inputs": {"value": "apple"}}},
}


def test_a_result_has_its_summary_by_the_old_name_too() -> None:
    result = nodegraph.run(WORKFLOW)
    with pytest.warns(DeprecationWarning, match="`told` is now called `summary`"):
        assert result.told == result.summary
