"""What tests of jobs share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def known_packs(known_specs: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the built-in pack declares, in the cache folder that all workers and sessions here have.

    It lies beside the folders of the tests: `tmp_path.parent / "cache"`.
    """
    shutil.copytree(known_specs, tmp_path_factory.getbasetemp() / "cache" / "specs")


@pytest.fixture(autouse=True)
def _packs_are_known(request: pytest.FixtureRequest) -> None:
    if request.path.parent.name != "queue":  # a queue knows no node types
        request.getfixturevalue("known_packs")
