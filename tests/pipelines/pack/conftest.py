"""The node types of all pipelines of the installed diffusers, read once a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry


@pytest.fixture(scope="session")
def registry(known_pipelines: Path) -> Registry:
    packs = [pack for pack in installed_packs() if pack.name in ("", "diffusers")]
    assert len(packs) == 2, "the pack isn't installed: pip install -e ."
    found = Registry(packs, manifests=ManifestCache(known_pipelines / "cache" / "specs"))
    found.node_types()
    return found
