"""A home with what packs declare, shared by these tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodegraph.python.testing import Workbench


@pytest.fixture(autouse=True)
def _home(known_specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NODEGRAPH_")]:
        if name != "NODEGRAPH_LEAVE_OUT":
            monkeypatch.delenv(name)
    monkeypatch.setenv("NODEGRAPH_HOME", str(known_specs.parents[1]))


@pytest.fixture
def workbench(_home: None) -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench
