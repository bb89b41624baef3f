"""What tests with real workers share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def known_packs(known_specs: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the built-in pack declares, in the cache folder of all workers of these tests."""
    shutil.copytree(known_specs, tmp_path_factory.getbasetemp() / "cache" / "specs")
