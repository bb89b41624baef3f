"""Queues in files and on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.reader import QueueLocation
from tests.databases.postgres import PostgresServer
from tests.jobs.queue import support


@pytest.fixture
def in_postgres(postgres: PostgresServer) -> Iterator[None]:
    """Queues of this test are on a PostgreSQL server, each folder's in a database of its own."""
    made: dict[Path, QueueLocation] = {}
    with ExitStack() as databases:

        def place(folder: Path) -> QueueLocation:
            if folder not in made:
                made[folder] = PostgresAddress(databases.enter_context(postgres.database()))
            return made[folder]

        support.places.append(place)
        databases.callback(support.places.pop)
        yield


@pytest.fixture(params=["file", "postgresql"])
def either_place(request: pytest.FixtureRequest) -> None:
    """Queues of this test are in files, and once more on a PostgreSQL server."""
    if request.param == "postgresql":
        request.getfixturevalue("in_postgres")
