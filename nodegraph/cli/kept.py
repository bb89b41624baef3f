"""What is kept on disk, for the commands that look at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nodegraph.cli.options import CommonOptions
from nodegraph.cli.problems import print_warnings
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.session.session import Session
    from nodegraph.store.records import Runs
    from nodegraph.store.store import Store


@contextmanager
def open_session_and_store(common: CommonOptions) -> Iterator[tuple[Session, Store]]:
    """A session and its store, open until the end of the `with`.

    Raises:
        InvalidValue: Nothing is kept on disk.
    """
    with common.session() as session:
        store = session.store
        if store is None:
            raise _no_store_error(session)
        print_warnings(session.problems)
        yield session, store


@contextmanager
def open_store(common: CommonOptions) -> Iterator[Store]:
    """The store in force, open until the end of the `with`.

    Raises:
        InvalidValue: Nothing is kept on disk.
    """
    with open_session_and_store(common) as (_, store):
        yield store


@contextmanager
def open_runs(common: CommonOptions) -> Iterator[Runs]:
    """The records of runs in the store in force, until the end of the `with`.

    Raises:
        InvalidValue: No runs are kept on disk.
    """
    with common.session() as session:
        kept = session.persistence
        if kept is None:
            raise _no_store_error(session)
        print_warnings(session.problems)
        if kept.runs is not None:
            yield kept.runs
        else:
            with _runs_to_read(kept.store) as runs:
                yield runs


@contextmanager
def _runs_to_read(store: Store) -> Iterator[Runs]:
    """The records of runs in a store that can only be read."""
    from nodegraph.store.claims import Claims
    from nodegraph.store.records import Runs

    try:
        claims = Claims(store.folder / "claims")
    except OSError as error:
        raise store.read_only_error() from error
    try:
        yield Runs(store.index, claims)
    finally:
        claims.close()


def _no_store_error(session: Session) -> InvalidValue:
    if session.problems:
        return InvalidValue("\n".join(session.problems))
    return InvalidValue(
        "nothing is kept on disk", hint="The setting `disk_cache` is 0; see `nodegraph doctor`."
    )
