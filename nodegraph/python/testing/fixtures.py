"""Fixtures of pytest for node packs.

In a ``conftest.py``: ``pytest_plugins = ["nodegraph.python.testing.fixtures"]``. They are not
loaded without this line, as there is no entry point.
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
    """Folders and files of packs that are not installed. Override it to name some."""
    return ()


@pytest.fixture
def workbench(nodegraph_packs: Sequence[str | Path]) -> Iterator[Workbench]:
    """A `Workbench` with a separate home for each test."""
    with Workbench(nodegraph_packs) as bench:
        yield bench


@pytest.fixture
def run_node(workbench: Workbench) -> Callable[..., Any]:
    """Run one node: ``run_node(Brighten, image=picture, amount=2.0)``."""
    return workbench.run_node


@pytest.fixture
def run_workflow(workbench: Workbench) -> Callable[..., RunResult]:
    """Run a workflow, its dictionary or its file."""
    return workbench.run


@pytest.fixture
def check_node(workbench: Workbench) -> Callable[..., NodeVerdicts]:
    """Run all checks on one node: ``assert check_node("my_pack:Brighten").faults == []``."""
    return workbench.check_node
