"""What the queue's statements are run on.

They are written so that other databases than SQLite understand them, too: with `?` or `:name` for
values, `ON CONFLICT`, `RETURNING`, and whole numbers in place of truth values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Values = Sequence[Any] | Mapping[str, Any]


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row; None after the last."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection, in a transaction that is its owner's affair; for one thread at a time."""

    def execute(self, query: str, values: Any = (), /) -> Rows:
        """Run a statement; `values` are `Values`."""

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> object:
        """Run a statement with each of some lists of values."""


class Tables(Protocol):
    """Tables in a file, or in a database that several servers change; for any thread."""

    def explaining(self) -> AbstractContextManager[None]:
        """What they raise in the `with` is raised in words."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read with, for one thread; it sees what was committed before."""

    def writing(self, *, synced: bool = False) -> AbstractContextManager[Connection]:
        """A transaction, committed at the end of the `with` unless it raises.

        Args:
            synced: Whether the commit survives a power cut, with all that came before it.
        """

    def close(self) -> None:
        """Close the connections."""


def placeholders(values: Sequence[Any]) -> str:
    """A place for each of some values, as in `IN (?, ?)`; for none, a value that nothing equals."""
    return ", ".join("?" * len(values)) or "NULL"
