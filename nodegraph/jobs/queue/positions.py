"""A job's place among those of its client and priority that wait or run.

Running ones keep their place for the case that they are put back.

Places are whole numbers with room between them, so that a job can be put between two others
without touching these. Every job begins at a place that grows with its number; putting one at the
back stays below the place of the next job to come.
"""

from __future__ import annotations

from typing import Literal

from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue.backend import Connection
from nodegraph.jobs.queue.job import append_queue_event, apply_transition, refusal
from nodegraph.jobs.queue.job_order import MOST_PASSED

_ROOM = 1 << 20
_AMONG = "FROM jobs WHERE finished IS NULL AND client = ? AND priority = ? AND id <> ?"
_SELF = "SELECT client, priority FROM jobs WHERE id = ? AND state = 'queued'"
_NEXT_BELOW = f"SELECT max(position) {_AMONG} AND id <> ? AND position <= ?"
_LAST_NUMBER = "SELECT value FROM counters WHERE name = 'jobs'"

QueueEnd = Literal["front", "back"]


def initial_position(number: int) -> int:
    """Where the job of a number begins."""
    return number * _ROOM


def move(connection: Connection, id: str, to: QueueEnd, now: float) -> None:
    """Put a waiting job before or behind all others of its client and priority.

    Raises:
        JobNotFound, WrongState: It doesn't wait.
    """
    group = _group(connection, id)
    position = _back(connection, group, id) if to == "back" else _front(connection, group, id)
    _put(connection, id, position)
    append_queue_event(connection, id, "job.moved", now, to=to)


def put_last(connection: Connection, id: str) -> None:
    """Put a waiting job behind all others of its client and priority, without telling.

    Raises:
        JobNotFound, WrongState: It doesn't wait.
    """
    position = _back(connection, _group(connection, id), id)
    apply_transition(connection, "move", id, {"position": position})


def move_before(connection: Connection, id: str, other: str, now: float) -> None:
    """Put a waiting job right before another one of the same client and priority.

    Raises:
        JobNotFound, WrongState: One of them doesn't wait.
        InvalidValue: They are of two clients or priorities.
    """
    group, theirs = _group(connection, id), _group(connection, other)
    if id == other:
        return
    if group[0] != theirs[0]:
        raise InvalidValue(
            f"{id} cannot be moved before another client's job",
            given=other,
            expected="a job of the same client",
        )
    if group != theirs:
        raise InvalidValue(
            f"{id} cannot be moved before a job of another priority",
            given=f"{other}, priority {theirs[1]}",
            expected=f"priority {group[1]}",
            hint="Give them the same priority first.",
        )
    position = _before(connection, group, id, other)
    if position is None:
        _spread(connection, group)
        position = _before(connection, group, id, other)
        assert position is not None
    _put(connection, id, position)
    append_queue_event(connection, id, "job.moved", now, before=other)


def _put(connection: Connection, id: str, position: int) -> None:
    """Put a job where somebody wants it: there it stays, whatever suits a worker better."""
    apply_transition(connection, "move", id, {"position": position, "passed": MOST_PASSED})


def _group(connection: Connection, id: str) -> tuple[str, int]:
    row = connection.execute(_SELF, (id,)).fetchone()
    if row is None:
        raise refusal(connection, "move", id, None)
    return row[0], row[1]


def _front(connection: Connection, group: tuple[str, int], id: str) -> int:
    query = f"SELECT coalesce(min(position), ?) {_AMONG}"
    (first,) = connection.execute(query, (_ROOM, *group, id)).fetchone()
    return int(first) - _ROOM


def _back(connection: Connection, group: tuple[str, int], id: str) -> int:
    position = _behind_all(connection, group, id)
    if position >= initial_position(_next_number(connection)):
        _spread(connection, group)
        position = _behind_all(connection, group, id)
    return position


def _behind_all(connection: Connection, group: tuple[str, int], id: str) -> int:
    (last,) = connection.execute(f"SELECT max(position) {_AMONG}", (*group, id)).fetchone()
    newest = initial_position(_next_number(connection) - 1)
    return int(newest if last is None else max(last, newest)) + 1


def _before(connection: Connection, group: tuple[str, int], id: str, other: str) -> int | None:
    """A place between a job and the one before it; None if there is no room."""
    (theirs,) = connection.execute("SELECT position FROM jobs WHERE id = ?", (other,)).fetchone()
    # Also at theirs: two jobs may have come to one place, by a new priority for instance.
    (low,) = connection.execute(_NEXT_BELOW, (*group, id, other, theirs)).fetchone()
    if low is None:
        return int(theirs) - _ROOM
    position = (int(low) + int(theirs)) // 2
    return position if low < position < theirs else None


def _spread(connection: Connection, group: tuple[str, int]) -> None:
    """Make room between all jobs of a group, below the place of the next job to come."""
    numbers = connection.execute(
        """
        SELECT number FROM jobs WHERE finished IS NULL AND client = ? AND priority = ?
        ORDER BY position, number
        """,
        group,
    ).fetchall()
    first = _next_number(connection) - len(numbers)
    connection.executemany(
        "UPDATE jobs SET position = ? WHERE number = ?",
        [(initial_position(first + at), number) for at, (number,) in enumerate(numbers)],
    )


def _next_number(connection: Connection) -> int:
    row = connection.execute(_LAST_NUMBER).fetchone()
    return 1 if row is None else int(row[0]) + 1
