"""Retention of ended jobs: rules, and deletion by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nodegraph.jobs.queue.backend import Connection, placeholders
from nodegraph.jobs.queue.job import ENDED, State, refusal, summary
from nodegraph.jobs.queue.job_queries import JobFilter, condition

AT_ONCE = 200
"""Jobs that go in one transaction, so that others' changes get their turn."""

_DAY = 86_400.0
_OLD = "SELECT number FROM jobs WHERE state = ? AND finished < ? ORDER BY number LIMIT ?"
_OLDEST = """
SELECT * FROM (SELECT number FROM jobs WHERE state = ? ORDER BY number LIMIT ?) AS of_state
"""
_LARGE = """
SELECT number FROM (
    SELECT number, finished, sum(size) OVER (PARTITION BY client ORDER BY number DESC) AS held
    FROM jobs WHERE size > 0 AND client IN (SELECT client FROM sizes WHERE bytes > :bytes)
) AS large WHERE held > :bytes AND finished IS NOT NULL ORDER BY number LIMIT :limit
"""
_UNUSED = """
DELETE FROM workflows WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE workflow = workflows.number)
"""


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """Which ended jobs are kept; None for all of them.

    Attributes:
        seconds: Since they ended, for finished and cancelled ones.
        count: How many finished and cancelled ones, the newest.
        failed_seconds, failed_count: The same for failed ones, which are looked into later.
        bytes: Of each client's large workflows, the newest ones.
    """

    seconds: float | None = 30 * _DAY
    count: int | None = 10_000
    failed_seconds: float | None = 90 * _DAY
    failed_count: int | None = 10_000
    bytes: int | None = None


def states_of(connection: Connection, ids: Sequence[str]) -> dict[int, State]:
    """Numbers and states of the jobs of some ids."""
    states: dict[int, State] = {}
    for start in range(0, len(ids), AT_ONCE):
        part = ids[start : start + AT_ONCE]
        query = f"SELECT number, state FROM jobs WHERE id IN ({placeholders(part)})"  # noqa: S608
        states.update(dict(connection.execute(query, part).fetchall()))
    return states


def excess(
    connection: Connection,
    rules: RetentionRules,
    now: float,
    kept: Mapping[int, State] = MappingProxyType({}),
) -> list[int]:
    """Numbers of some of the jobs that aren't to be kept; none once all are gone.

    Args:
        kept: Numbers and states of jobs that are kept whatever the rules say.
    """
    numbers: list[int] = []
    # So many that some are left without those.
    most = AT_ONCE + len(kept)
    for states, seconds, count in (
        (("finished", "cancelled"), rules.seconds, rules.count),
        (("failed",), rules.failed_seconds, rules.failed_count),
    ):
        if seconds is not None:
            for state in states:
                numbers += _numbers(connection, _OLD, (state, now - seconds, most))
        if count is not None:
            numbers += _beyond(connection, states, count, kept)
    if rules.bytes is not None:
        values = {"bytes": rules.bytes, "limit": most}
        numbers += [number for (number,) in connection.execute(_LARGE, values)]
    return [number for number in dict.fromkeys(numbers) if number not in kept][:AT_ONCE]


def _beyond(
    connection: Connection, states: Sequence[str], count: int, kept: Mapping[int, State]
) -> list[int]:
    """The oldest, of states together, as far as they are more than so many besides the kept."""
    query = f"SELECT coalesce(sum(count), 0) FROM tallies WHERE state IN ({placeholders(states)})"  # noqa: S608
    (total,) = connection.execute(query, states).fetchone()
    ours = sum(state in states for state in kept.values())
    limit = min(int(total) - ours - count, AT_ONCE)
    if limit <= 0:
        return []
    wanted, limit = limit, limit + ours
    query = " UNION ALL ".join([_OLDEST] * len(states)) + " ORDER BY number LIMIT ?"
    values = [value for state in states for value in (state, limit)]
    numbers = _numbers(connection, query, (*values, limit))
    return [number for number in numbers if number not in kept][:wanted]


def matching(connection: Connection, which: JobFilter) -> list[int]:
    """Numbers of some of the ended jobs that match."""
    states: list[State] = [state for state in which.states or ENDED if state in ENDED]
    text, values = condition(which)
    query = f"""
    SELECT number FROM jobs WHERE state IN ({placeholders(states)}) AND {text} LIMIT ?
    """  # noqa: S608 - of this module's own making
    return _numbers(connection, query, (*states, *values, AT_ONCE))


def _numbers(connection: Connection, query: str, values: Sequence[Any]) -> list[int]:
    return [number for (number,) in connection.execute(query, values)]


def delete(connection: Connection, numbers: Sequence[int]) -> int:
    """Delete jobs with their events, but for those that wait or run by now; how many."""
    query = f"""
    DELETE FROM jobs WHERE number IN ({placeholders(numbers)}) AND state IN ({placeholders(ENDED)})
    """  # noqa: S608
    return connection.execute(query, (*numbers, *ENDED)).rowcount


def delete_one(connection: Connection, id: str) -> None:
    """Delete an ended job with its events.

    Raises:
        JobNotFound, WrongState: It waits or runs.
    """
    if not delete(connection, [summary(connection, id).number]):
        raise refusal(connection, "delete", id, None)


def tidy(connection: Connection) -> None:
    """Forget what no job needs any more: workflows, clients' shares that are used up."""
    connection.execute(_UNUSED)
    connection.execute("DELETE FROM tallies WHERE count = 0")
    connection.execute(
        """
        DELETE FROM shares WHERE ready = 0
        AND tag <= (SELECT time FROM clocks WHERE clocks.priority = shares.priority)
        """
    )
