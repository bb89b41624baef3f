"""Changing a job's state, and telling of it, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.errors import StaleAttempt, WrongState
from nodegraph.jobs.queue.job import summary
from nodegraph.jobs.queue.states import ENDED, TRANSITIONS, Action, describe_state
from nodegraph.store.packing import pack_well_formed

_TELL = """
INSERT INTO events (job, attempt, kind, at, body)
SELECT number, attempt, ?, ?, ? FROM jobs WHERE id = ?
"""
_SET = """
INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_AT = "SELECT number, state FROM jobs WHERE id = ? AND attempt = ?"


def apply_transition(
    connection: Connection,
    action: Action,
    id: str,
    columns: Mapping[str, Any],
    *,
    attempt: int | None = None,
) -> None:
    """Change a job if it is in a state, and its attempt the one, in which that may happen.

    Args:
        columns: What else changes.
        attempt: That of the worker which asks for it.
    Raises:
        JobNotFound: There is none of that id.
        WrongState: It is in another state.
        StaleAttempt: The worker's attempt is over.
    """
    transition = TRANSITIONS[action]
    names = list(columns)
    values = list(columns.values())
    # Counting by triggers is left out where the state stays.
    if transition.target not in transition.sources:
        names.append("state")
        values.append(transition.target)
    states = ", ".join("?" * len(transition.sources))
    query = (
        f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in names)} "  # noqa: S608
        f"WHERE id = ? AND state IN ({states})"
    )
    values += [id, *transition.sources]
    if attempt is not None:
        query += " AND attempt = ?"
        values.append(attempt)
    if not connection.execute(query, values).rowcount:
        raise refusal(connection, action, id, attempt)


def number_at(connection: Connection, action: Action, id: str, attempt: int) -> int:
    """The number of a job that is in a state and at an attempt in which something may be done.

    Raises:
        JobNotFound, WrongState, StaleAttempt: As `change`.
    """
    row = connection.execute(_AT, (id, attempt)).fetchone()
    if row is None or row[1] not in TRANSITIONS[action].sources:
        raise refusal(connection, action, id, attempt)
    return int(row[0])


def refusal(connection: Connection, action: Action, id: str, attempt: int | None) -> WrongState:
    """Why something can't be done to a job.

    Raises:
        JobNotFound: There is none of that id.
    """
    job, transition = summary(connection, id), TRANSITIONS[action]
    if attempt is not None and attempt != job.attempt:
        return StaleAttempt(
            f"{id} can't be {transition.words} by this worker: its attempt is over",
            given=f"attempt {attempt}",
            expected=f"attempt {job.attempt}, which is {job.state}",
        )
    return WrongState(
        f"{id} can't be {transition.words}",
        given=describe_state(job.state, held=job.held, wanted=job.wanted),
        expected=" or ".join((*transition.sources, *(("running",) if transition.asks else ()))),
        hint=transition.hint if (job.state in ENDED) is not (action == "delete") else None,
    )


def append_queue_event(connection: Connection, id: str, kind: str, now: float, **data: Any) -> None:
    """Append an event of the queue's own."""
    connection.execute(_TELL, (kind, now, pack_well_formed({"data": data}), id))


def setting(connection: Connection, name: str) -> Any:
    """A value that belongs to the whole queue; None if it was never set."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def set_setting(connection: Connection, name: str, value: int | str | None) -> None:
    """Keep a value that belongs to the whole queue."""
    connection.execute(_SET, (name, value))
