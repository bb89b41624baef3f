"""Open a queue's database, and read jobs from it in any process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from nodegraph.errors import OutputError
from nodegraph.jobs.queue import events, job, job_order, job_queries, schedules, webhooks
from nodegraph.jobs.queue.backend import Connection, QueueBackend, Tables
from nodegraph.jobs.queue.events import EventPage, OutputsPage
from nodegraph.jobs.queue.job import Job, JobSummary, setting
from nodegraph.jobs.queue.job_order import Limits, Turn
from nodegraph.jobs.queue.job_queries import (
    Counts,
    JobFilter,
    JobPage,
    Order,
    ReadyCounts,
    SubmittedRequest,
)
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.schedules import JobSchedule
from nodegraph.jobs.queue.sqlite_queue import Ownership, QueueFile
from nodegraph.jobs.queue.webhooks import Delivery

QueueLocation = Path | PostgresAddress
"""A file, which one process at a time may change, or a database, which several may."""


@contextmanager
def open_to_write(location: QueueLocation, server: str, patience: float) -> Iterator[QueueBackend]:
    """What keeps a queue, to change it; closed at the end of the `with`.

    Args:
        server: Who changes it.
        patience: Seconds to wait for another's transaction.
    """
    if isinstance(location, Path):
        ownership = Ownership(location)
        try:
            file = QueueFile(location, patience=patience)
            try:
                yield file
            finally:
                file.close()
        finally:
            ownership.close()
    else:
        database = _database(location, server, patience)
        try:
            yield database
        finally:
            database.close()


def open_to_read(location: QueueLocation) -> QueueBackend:
    """What keeps a queue, to look at it."""
    return (
        QueueFile(location, read_only=True) if isinstance(location, Path) else _database(location)
    )


def open_shared_tables(
    address: PostgresAddress, schema: str, migrations: Sequence[str], lock: int
) -> Tables:
    """More tables in a queue's database; see `PostgresTables`.

    Raises:
        InvalidFile: They are of a newer version.
        OutputError: The database can't be reached, or not written.
    """
    with _needing_psycopg(address):
        from nodegraph.jobs.queue.postgres.database import PostgresTables
    return PostgresTables(address, schema, migrations, lock)


@contextmanager
def _needing_psycopg(address: PostgresAddress) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise OutputError(
            f"the job queue {address} needs psycopg: {error}",
            hint='Run `pip install "nodegraph[postgres]"`.',
        ) from error


def _database(
    address: PostgresAddress, server: str | None = None, patience: float = 5.0
) -> QueueBackend:
    with _needing_psycopg(address):
        from nodegraph.jobs.queue.postgres.database import PostgresDatabase
    return PostgresDatabase(address, server or "", patience=patience, read_only=server is None)


_WORKFLOWS = 64
"""Texts that stay in memory."""


class QueueView:
    """What anybody sees of a queue; safe to use from several threads.

    Args:
        location: Where it is.
        limits: What single clients may have.
        default_limits: What all others may have, each.
    """

    def __init__(
        self,
        location: QueueLocation,
        database: QueueBackend,
        limits: Mapping[str, Limits] | None,
        default_limits: Limits | None,
    ) -> None:
        self.location = location
        self.workflow = lru_cache(maxsize=_WORKFLOWS)(self._workflow_of)
        self._database = database
        self._limits = dict(limits or {})
        self._default_limits = default_limits or Limits()

    @property
    def identity(self) -> str:
        """Tells this queue from any other that is or was at its place."""
        return self._database.identity

    @property
    def is_shared(self) -> bool:
        """Whether several servers may change it; reading takes longer then. See `QueueBackend`."""
        return self._database.is_shared

    def get(self, id: str) -> Job:
        """A job.

        Raises:
            JobNotFound: There is none of that id.
        """
        with self._reading() as connection:
            return job.get_job(connection, id)

    def _workflow_of(self, digest: str) -> str:
        """The JSON text of a job's workflow.

        Raises:
            KeyError: No job has it any more.
        """
        with self._reading() as connection:
            query = "SELECT content FROM workflows WHERE digest = ?"
            row = connection.execute(query, (digest,)).fetchone()
        if row is None:
            raise KeyError(digest)
        return str(row[0])

    def requests_after(self, number: int, limit: int = 500) -> list[SubmittedRequest]:
        """What was submitted with the jobs after one, the oldest first."""
        with self._reading() as connection:
            return job_queries.requests_after(connection, number, limit)

    def page(
        self,
        which: JobFilter | None = None,
        *,
        order: Order = "newest",
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage:
        """A page of the jobs that match.

        Args:
            cursor: `JobPage.next` of the page before; None for the first.
        Raises:
            InvalidValue: The cursor is of another list, or the limit no number of jobs.
        """
        with self._reading() as connection:
            return job_queries.page(connection, which or JobFilter(), order, limit, cursor)

    def count(self, which: JobFilter) -> int:
        """The number of jobs that match."""
        with self._reading() as connection:
            return job_queries.count(connection, which)

    def counts(self, client: str | None = None) -> Counts:
        """How many jobs there are in each state, of one client or of all."""
        with self._reading() as connection:
            return job_queries.counts(connection, client)

    def waiting(self) -> ReadyCounts:
        """How many jobs may be claimed now, by what they need; nearly so if they are thousands."""
        with self._reading() as connection:
            return job_queries.waiting(connection)

    def turn(self, id: str) -> Turn:
        """What comes before a waiting job, as far as it is known now.

        Raises:
            JobNotFound, WrongState: It doesn't wait.
        """
        with self._reading() as connection:
            return job_order.forecast_turn(connection, id, self._limits_of)

    def upcoming(self, limit: int = 50, client: str | None = None) -> tuple[JobSummary, ...]:
        """The next jobs in the order in which they will be claimed, as far as it is known now.

        Args:
            client: Only its jobs.
        """
        with self._reading() as connection:
            return tuple(job_order.upcoming(connection, self._limits_of, limit, client))

    def is_paused(self) -> bool:
        """Whether the whole queue is."""
        with self._reading() as connection:
            return bool(setting(connection, "paused"))

    def events_after(
        self, seq: int, *, job: str | None = None, client: str | None = None, limit: int = 1000
    ) -> EventPage:
        """The events after one, in the order in which they happened.

        Whoever goes on from `EventPage.last` misses none and sees none twice.

        Args:
            seq: Of the last one that is known already; 0 for none.
            job: Only its events.
            client: Only those of its jobs.
        Raises:
            JobNotFound: There is no job of that id.
        """
        with self._reading() as connection:
            return events.get_events_after(connection, seq, job, client, limit)

    def outputs_after(self, seq: int, *, limit: int = 200) -> OutputsPage:
        """What jobs gave after an event, in that order: files, and all once a job has finished.

        Args:
            seq: Of the event that is known already; 0 for none.
        """
        with self._reading() as connection:
            return events.get_outputs_after(connection, seq, limit)

    def next_moment(self) -> float | None:
        """Unix time at which a job or a schedule is due next; None for none."""
        with self._reading() as connection:
            return schedules.next_moment(connection)

    def due_schedules(self, now: float) -> list[JobSchedule]:
        """The schedules that fire at a moment, without their requests."""
        with self._reading() as connection:
            return schedules.due_now(connection, now)

    def schedules(self, client: str | None = None) -> list[JobSchedule]:
        """The schedules of a client or of all, the oldest first, without their requests."""
        with self._reading() as connection:
            return schedules.listed(connection, client)

    def schedule(self, id: str) -> JobSchedule:
        """A schedule.

        Raises:
            ScheduleNotFound: There is none of that id.
        """
        with self._reading() as connection:
            return schedules.get(connection, id)

    def next_delivery(self) -> float | None:
        """Unix time of the next attempt at a delivery; None if there is nothing to deliver."""
        with self._reading() as connection:
            return webhooks.next_due(connection)

    def deliveries(
        self,
        client: str | None = None,
        *,
        state: str | None = None,
        job: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Delivery]:
        """Some deliveries, the newest first.

        Args:
            client, state, job: Only those.
            before: Only of events before this one.
        """
        with self._reading() as connection:
            return webhooks.page(connection, client, state, job, before, limit)

    def delivery(self, id: str) -> Delivery:
        """A delivery.

        Raises:
            DeliveryNotFound: There is none of that id.
        """
        with self._reading() as connection:
            return webhooks.get(connection, id)

    def webhook_secrets(self, client: str, now: float) -> tuple[str, ...]:
        """What deliveries of a client are signed with."""
        with self._reading() as connection:
            return webhooks.secrets_of(connection, client, now)

    def newest_event(self) -> int:
        """The number of the last event, to see what comes from now on."""
        with self._reading() as connection:
            return events.newest(connection)

    def _limits_of(self, client: str) -> Limits:
        return self._limits.get(client, self._default_limits)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._database.explaining(), self._database.snapshot() as connection:
            yield connection


class QueueReader(QueueView):
    """A queue to look at, while another process may have it.

    It never waits for that process, and sees each change once it is committed.

    Args:
        location: Its file or database.
        limits, default_limits: As that process has them, to foresee turns.
    Raises:
        InvalidFile: It isn't there, is no queue, is damaged, or was written by a newer version.
    """

    def __init__(
        self,
        location: QueueLocation,
        *,
        limits: Mapping[str, Limits] | None = None,
        default_limits: Limits | None = None,
    ) -> None:
        super().__init__(location, open_to_read(location), limits, default_limits)

    def close(self) -> None:
        """Look at it no more."""
        self._database.close()

    def __enter__(self) -> QueueReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
