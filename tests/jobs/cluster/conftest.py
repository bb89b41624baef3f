"""What tests of workers on a cluster share."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.jobs.cluster.machines import QUIET, Machines, machines


@pytest.fixture(scope="session")
def cluster() -> Iterator[Machines]:
    """A Ray cluster of three nodes, two of which take a worker each."""
    if find_spec("ray") is None:
        pytest.skip("Ray isn't installed: pip install 'nodegraph[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        with machines(2) as found:
            yield found
