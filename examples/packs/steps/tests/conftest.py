"""Fixtures of nodegraph for tests of packs, with this pack added."""

from collections.abc import Sequence
from pathlib import Path

import pytest

pytest_plugins = ["nodegraph.python.testing.fixtures"]


@pytest.fixture(scope="session")
def nodegraph_packs() -> Sequence[str | Path]:
    """Add the pack from its folder, so that the tests need no installation."""
    return (Path(__file__).parents[1] / "src" / "steps",)
