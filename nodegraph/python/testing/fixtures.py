"""Fixtures for pytest, for packs of nodes.

In a ``conftest.py``: ``pytest_plugins = ["nodegraph.python.testing.fixtures"]``. No entry point
loads them, so nobody has them who doesn't ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nodegraph.engine.result import RunResult
from nodegraph.python.testing.trials import NodeVerdicts
from nodegraph.python.testing.workbench import Workbench


@pytest.fixture(scope="session")
def nodegraph_packs() -> Sequence[str | Path]:
    """Folders and files of packs that aren't installed; override it to name some."""
    return ()


@pytest.fixture
def workbench(nodegraph_packs: Sequence[str | Path]) -> Iterator[Workbench]:
    """A `Workbench` with a home of its own for each test."""
    with Workbench(nodegraph_packs) as bench:
        yield bench


@pytest.fixture
def run_node(workbench: Workbench) -> Callable[..., Any]:
    """Runs one node: ``run_node(Brighten, image=picture, amount=2.0)``."""
    return workbench.run_node


@pytest.fixture
def run_workflow(workbench: Workbench) -> Callable[..., RunResult]:
    """Runs a workflow, its dictionary or its file."""
    return workbench.run


@pytest.fixture
def check_node(workbench: Workbench) -> Callable[..., NodeVerdicts]:
    """Judges one node: ``assert check_node("my_pack:Brighten").faults == []``."""
    return workbench.check_node
