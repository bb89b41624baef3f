"""The package's public names exist, and cost nothing until they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nodegraph.diffusion as diffusion
from tests.messages import raises


@pytest.mark.parametrize("name", diffusion.__all__)
def test_every_public_name_leads_somewhere(name: str) -> None:
    assert getattr(diffusion, name).__class__.__name__ != "module"


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(diffusion.__file__).read_text(encoding="utf-8"))
    block = next(item for item in tree.body if isinstance(item, ast.If))
    imports = [item for item in block.body if isinstance(item, ast.ImportFrom)]

    seen = {alias.name: str(item.module) for item in imports for alias in item.names}

    assert sorted(seen) == sorted(diffusion.__all__) == sorted(diffusion._MODULE_OF)
    homes = {name: f"nodegraph.{home}" for name, home in diffusion._MODULE_OF.items()}
    assert seen == homes


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, nodegraph.diffusion; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"

    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_names_are_told() -> None:
    with raises(AttributeError):
        _ = diffusion.nothing_like_this
