"""A PostgreSQL server for the tests that ask for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.databases.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One for all tests of a process; it is skipped where there are no programs."""
    # psycopg is there for these tests alone.
    from tests.databases.postgres import running_postgres

    with running_postgres() as server:
        yield server
