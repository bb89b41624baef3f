"""Checking a workflow imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nodegraph.core
from tests.messages import raises

HEAVY = ("networkx", "torch", "asyncio", "pydantic_settings", "packaging", "numpy", "diffusers")


@pytest.mark.parametrize(
    "module", ["nodegraph.core.analysis", "nodegraph.core.workflow", "nodegraph.api"]
)
def test_validation_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_validating_and_building_import_nothing_heavy_either() -> None:
    code = (
        "import sys; from tests.core.support import text_to_image, build;"
        f"build(text_to_image()); print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_every_public_name_is_there() -> None:
    assert all(getattr(nodegraph.core, name) is not None for name in nodegraph.core.__all__)
    with raises(AttributeError):
        _ = nodegraph.core.nonsense
