"""The node types of all pipelines of the installed diffusers, read once."""

from __future__ import annotations

import pytest

from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    packs = [pack for pack in installed_packs() if pack.name in ("", "diffusers")]
    assert len(packs) == 2, "the pack isn't installed: pip install -e ."
    found = Registry(packs)
    found.node_types()
    return found
