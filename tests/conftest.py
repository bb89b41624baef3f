"""What holds for every test."""

from __future__ import annotations

import os

import pytest

# Before torch is loaded: tests in parallel share the cores, and threads that spin while they wait
# would keep each other out.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds another one's results on disk."""
    monkeypatch.setenv("NODEGRAPH_STORE", str(tmp_path_factory.getbasetemp() / os.urandom(4).hex()))
