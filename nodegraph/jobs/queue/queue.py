"""The job queue: what was submitted, what became of it, and whose turn it is."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from threading import RLock
from typing import Any, TypeVar

from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import attempts as working
from nodegraph.jobs.queue import events, job_order, retention, schedules, webhooks
from nodegraph.jobs.queue import events as outputs
from nodegraph.jobs.queue import job_control as steering
from nodegraph.jobs.queue import submission as submitting
from nodegraph.jobs.queue.attempts import Death
from nodegraph.jobs.queue.backend import Connection, LiveRelay
from nodegraph.jobs.queue.events import RunEvent
from nodegraph.jobs.queue.job import Job, JobSummary
from nodegraph.jobs.queue.job_order import ANY_JOB, JobCriteria, Limits
from nodegraph.jobs.queue.job_queries import JobFilter
from nodegraph.jobs.queue.reader import QueueLocation, QueueView, open_to_write
from nodegraph.jobs.queue.retention import AT_ONCE, RetentionRules
from nodegraph.jobs.queue.schedules import JobSchedule, NewSchedule, ScheduleState
from nodegraph.jobs.queue.submission import (
    Submission,
    Submitted,
    checked_priority,
    json_text,
    prepare_submission,
)
from nodegraph.jobs.queue.webhooks import ClaimedDelivery, Delivery
from nodegraph.jobs.queue.writer import QueueChange, QueueWriter

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class JobQueue(QueueView):
    """Jobs in a file or a database; safe to use from several threads.

    One process at a time changes a file, any number a database; others look at it with a
    `QueueReader`. Methods that
    change it give a future that ends when the change is committed, or refused; `asyncio` waits for
    it by `wrap_future`. What clients were promised then survives a power cut. What workers merely
    began or told on the way survives the process, and a power cut may take it back: such a job
    waits again, as it would anyway.

    Order never depends on the clock; times are for display and for deleting old jobs.

    Args:
        location: The file, or the database, in which what is needed is made if it isn't there.
        limits: What single clients may have.
        default_limits: What all others may have, each.
        most_waiting: Jobs that may wait in all.
        most_deaths: Workers that may die over one job before it is failed.
        clock: Unix time.
        synced: False gives up surviving a power cut, for what needn't.
        patience: Seconds to wait for another's transaction.
    Raises:
        InvalidFile: It is no queue, is damaged, or was written by a newer version.
        OutputError: It can't be written.
        QueueInUse: Another process has the file.
    """

    def __init__(
        self,
        location: QueueLocation,
        *,
        limits: Mapping[str, Limits] | None = None,
        default_limits: Limits | None = None,
        most_waiting: int = 100_000,
        most_deaths: int = 3,
        clock: Callable[[], float] = time.time,
        synced: bool = True,
        patience: float = 5.0,
    ) -> None:
        self._most_waiting = most_waiting
        self._most_deaths = most_deaths
        self._clock = clock
        self._server = secrets.token_hex(8)
        self._listeners: list[Callable[[], None]] = []
        self._listening = RLock()  # a listener may end itself
        with ExitStack() as opened:
            database = opened.enter_context(open_to_write(location, self._server, patience))
            super().__init__(location, database, limits, default_limits)
            self._writer = QueueWriter(database, self._committed, synced=synced)
            opened.callback(self._writer.close)
            self._put(lambda connection: database.opened(connection, self._server)).result()
            opened.callback(self._mark_closed)
            opened.callback(database.watch_servers(self._committed, self._recover_servers))
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Make the changes that were asked for, and close it."""
        self._opened.close()

    def _mark_closed(self) -> None:
        try:
            self._put(lambda connection: self._database.closed(connection, self._server)).result()
        except NodegraphError as error:
            # It is as if the process had been killed, which does no harm.
            _LOG.warning("the job queue was not closed properly: %s", error)

    def __enter__(self) -> JobQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called after each commit, from another thread; it must be quick.

        Returns:
            What ends it: once that has returned, no call begins or is under way.
        """
        with self._listening:
            self._listeners = [*self._listeners, listener]

        def end() -> None:
            with self._listening:
                self._listeners = [each for each in self._listeners if each is not listener]

        return end

    def relay(
        self, take: Callable[[Sequence[bytes]], None], is_heard: Callable[[], bool]
    ) -> LiveRelay | None:
        """What tells other servers of the queue what is of the moment only; None if there are none.

        Args:
            take: Is called with what they tell, from another thread.
            is_heard: Whether anybody here wants to know.
        """
        return self._database.relay(take, is_heard)

    def _committed(self) -> None:
        # Of two threads: the writer's, and the one that hears of other servers.
        with self._listening:
            for listener in self._listeners:
                try:
                    listener()
                except Exception:  # noqa: BLE001 - the others are told all the same
                    _LOG.exception("a listener of the job queue failed")

    # What clients do.

    def submit(self, wanted: Submission) -> Future[Submitted]:
        """Take a job in.

        Raises:
            InvalidValue: It can't be kept; raised at once.
            QueueFull: More jobs wait than may.
            KeyReused: The idempotency key came with another request before.
        """
        made, limits = prepare_submission(wanted), self._limits_of(wanted.client)
        return self._put(
            lambda connection: submitting.submit(
                connection, [made], limits, self._most_waiting, self._clock()
            )[0]
        )

    def submit_all(self, wanted: Sequence[Submission]) -> Future[list[Submitted]]:
        """Take several jobs of one client in, or none of them.

        Raises:
            InvalidValue, QueueFull, KeyReused: As `submit`.
        """
        made = [prepare_submission(each) for each in wanted]
        clients = {each.client for each in wanted}
        if len(clients) > 1:
            raise ValueError(f"jobs of several clients: {', '.join(sorted(clients))}")
        if not made:
            done: Future[list[Submitted]] = Future()
            done.set_result([])
            return done
        limits = self._limits_of(clients.pop())
        return self._put(
            lambda connection: submitting.submit(
                connection, made, limits, self._most_waiting, self._clock()
            )
        )

    def cancel(self, id: str) -> Future[JobSummary]:
        """Cancel a job: a waiting one at once, a running one as soon as its worker sees it.

        Raises:
            JobNotFound, WrongState: It has ended.
        """
        return self._put(lambda connection: steering.cancel(connection, id, self._clock()))

    def retry(self, id: str) -> Future[JobSummary]:
        """Let a job that failed or was cancelled wait once more, behind its client's others.

        Raises:
            JobNotFound, WrongState: It waits, runs or has finished.
            QueueFull: More jobs wait than may.
        """
        return self._put(
            lambda connection: steering.retry(
                connection, id, self._limits_of, self._most_waiting, self._clock()
            )
        )

    def hold(self, id: str) -> Future[JobSummary]:
        """Let a job wait until it is let go; a running one is put back once its worker sees it.

        Raises:
            JobNotFound, WrongState: It has ended, or is being cancelled.
        """
        return self._put(lambda connection: steering.hold(connection, id, self._clock()))

    def unhold(self, id: str) -> Future[JobSummary]:
        """Let a job go that was held, or take back that it should be.

        Raises:
            JobNotFound, WrongState: It has ended, or is being cancelled.
        """
        return self._put(lambda connection: steering.unhold(connection, id, self._clock()))

    def prioritize(self, id: str, priority: int) -> Future[JobSummary]:
        """Give a waiting job another priority.

        Raises:
            InvalidValue: It is no priority; raised at once.
            JobNotFound, WrongState: It doesn't wait.
        """
        checked_priority(priority)
        return self._put(
            lambda connection: steering.prioritize(connection, id, priority, self._clock())
        )

    def move(self, id: str, to: job_order.QueueEnd) -> Future[None]:
        """Put a waiting job before or behind all others of its client and priority.

        Raises:
            JobNotFound, WrongState: It doesn't wait.
        """
        return self._put(lambda connection: job_order.move(connection, id, to, self._clock()))

    def move_before(self, id: str, other: str) -> Future[None]:
        """Put a waiting job right before another one of the same client and priority.

        Raises:
            JobNotFound, WrongState: One of them doesn't wait.
            InvalidValue: They are of two clients or priorities.
        """
        return self._put(
            lambda connection: job_order.move_before(connection, id, other, self._clock())
        )

    def clear(self, which: JobFilter | None = None) -> int:
        """Cancel the jobs that match and wait by now; how many. Takes a while."""
        # Looked for beside the writer; those that were claimed by then run on.
        with self._reading() as connection:
            numbers = steering.select_waiting(connection, which or JobFilter())
        return sum(
            self._put(self._clearing(numbers[at : at + AT_ONCE])).result()
            for at in range(0, len(numbers), AT_ONCE)
        )

    def _clearing(self, numbers: Sequence[int]) -> QueueChange[int]:
        return lambda connection: steering.clear(connection, numbers, self._clock())

    def pause(self) -> Future[None]:
        """Give out no more jobs until `resume`, also after a restart."""
        return self._put(lambda connection: steering.pause(connection, True))

    def resume(self) -> Future[None]:
        """Give out jobs again."""
        return self._put(lambda connection: steering.pause(connection, False))

    # What workers do, or their supervisor for them. An attempt is that of the job they were given;
    # JobNotFound, WrongState and StaleAttempt say that the job isn't theirs any more.

    def claim(
        self, worker: str, criteria: JobCriteria = ANY_JOB, best: Callable[[Job], str] | None = None
    ) -> Future[Job | None]:
        """The next job, for a worker to run; None if none may be run.

        Args:
            criteria: What the worker is for.
            best: Tells who else is to run the job that was found; called from another thread.
        """

        def claim(connection: Connection) -> Job | None:
            self._database.register_server(connection, self._server)
            return working.claim(
                connection, worker, self._server, self._limits_of, self._clock(), criteria, best
            )

        return self._put(claim, synced=False)

    def append_events(self, id: str, attempt: int, run_events: Iterable[RunEvent]) -> Future[None]:
        """Keep events of a run, but for progress, previews and the run's end.

        Raises:
            JobNotFound, WrongState, StaleAttempt: It isn't the worker's.
        """
        kept = tuple(run_events)
        return self._put(
            lambda connection: events.append(connection, id, attempt, kept, self._clock()),
            synced=False,
        )

    def finish(
        self, id: str, attempt: int, outputs: Mapping[str, Any], run_events: Sequence[RunEvent] = ()
    ) -> Future[None]:
        """A worker has done its job.

        Args:
            run_events: The run's last events, to be kept along.
        Raises:
            InvalidValue: JSON can't hold the outputs; raised at once.
            JobNotFound, WrongState, StaleAttempt: It isn't the worker's.
        """
        text = json_text(to_well_formed(outputs), "outputs")
        return self._put(
            lambda connection: working.finish(
                connection, id, attempt, text, run_events, self._clock()
            )
        )

    def fail(
        self, id: str, attempt: int, error: Mapping[str, Any], run_events: Sequence[RunEvent] = ()
    ) -> Future[None]:
        """A worker could not do its job.

        Args:
            error: Why, as `Problem.as_dict`.
        Raises:
            InvalidValue: JSON can't hold the error; raised at once.
            JobNotFound, WrongState, StaleAttempt: It isn't the worker's.
        """
        json_text(error, "error")
        return self._put(
            lambda connection: working.fail(
                connection, id, attempt, error, run_events, self._clock()
            )
        )

    def stopped(self, id: str, attempt: int, run_events: Sequence[RunEvent] = ()) -> Future[None]:
        """A worker has stopped its job, as it was asked to by `cancel`.

        Raises:
            JobNotFound, WrongState, StaleAttempt: It isn't the worker's.
        """
        return self._put(
            lambda connection: working.stop(connection, id, attempt, run_events, self._clock())
        )

    def release(
        self, id: str, attempt: int, run_events: Sequence[RunEvent] = ()
    ) -> Future[JobSummary]:
        """A worker gives its job back, to be gone on with later: it shuts down, or was asked to.

        The job is held then if it was to be paused, and cancelled if it was to be cancelled.

        Raises:
            JobNotFound, WrongState, StaleAttempt: It isn't the worker's.
        """
        return self._put(
            lambda connection: working.release(connection, id, attempt, run_events, self._clock())
        )

    @property
    def now(self) -> float:
        """Unix time of the queue's clock."""
        return self._clock()

    @property
    def most_deaths(self) -> int:
        """Workers that may die over one job before it is failed."""
        return self._most_deaths

    def died(self, id: str, attempt: int, death: Death) -> Future[JobSummary]:
        """A worker died while it had a job: that waits again, or fails if it happened too often.

        Raises:
            JobNotFound, WrongState, StaleAttempt: It isn't the worker's.
        """
        return self._put(
            lambda connection: working.died(
                connection, id, attempt, death, self._most_deaths, self._clock()
            )
        )

    def recover(self) -> Future[list[JobSummary]]:
        """Put back what servers ran that are gone, with their workers."""
        return self._put(lambda connection: working.recover(connection, self._clock()))

    def _recover_servers(self, servers: Mapping[str, int]) -> Future[list[JobSummary]]:
        """Put back what servers ran that are gone, unless they have counted on."""
        return self._put(
            lambda connection: working.recover_servers(connection, servers, self._clock())
        )

    def running_here(self) -> list[tuple[str, int]]:
        """Ids and attempts of the jobs that were claimed by this opening and run."""
        with self._reading() as connection:
            return working.running_of(connection, self._server)

    def try_writing(self) -> Future[None]:
        """Write what changes nothing; it fails if whatever else is written now would, too."""
        return self._put(
            lambda connection: self._database.still_open(connection, self._server), synced=False
        )

    # What happens at times.

    def release_due(self) -> Future[int]:
        """Let jobs go whose time has come; how many. More may be due if it is a few hundred."""
        return self._put(lambda connection: schedules.release_due(connection, self._clock()))

    def check_schedules(self) -> Future[int]:
        """Give schedules another time whose next one is later than it can be; how many."""
        return self._put(lambda connection: schedules.check_due(connection, self._clock()))

    def add_schedule(self, wanted: NewSchedule) -> Future[JobSchedule]:
        """Keep a schedule.

        Raises:
            TooManySchedules: Its client has too many.
            InvalidValue: It would never fire.
        """
        return self._put(lambda connection: schedules.add(connection, wanted, self._clock()))

    def pause_schedule(self, id: str, is_paused: bool) -> Future[JobSchedule]:
        """Have a schedule fire no more, or fire again from its next time on.

        Raises:
            ScheduleNotFound, WrongState: It has ended.
        """
        return self._put(
            lambda connection: schedules.set_paused(connection, id, is_paused, self._clock())
        )

    def remove_schedule(self, id: str) -> Future[None]:
        """Delete a schedule; its jobs stay.

        Raises:
            ScheduleNotFound: There is none.
        """
        return self._put(lambda connection: schedules.remove(connection, id))

    def settle_schedule(
        self,
        schedule: JobSchedule,
        *,
        job: str | None,
        error: str | None,
        due: float | None,
        state: ScheduleState,
    ) -> Future[JobSchedule | None]:
        """Keep what came of a firing; see `nodegraph.jobs.queue.schedules.settle`."""
        return self._put(
            lambda connection: schedules.settle(
                connection, schedule, job=job, error=error, due=due, state=state
            )
        )

    # Webhooks.

    def claim_deliveries(
        self,
        most: int,
        per_host: int,
        busy: Mapping[str, int],
        per_client: int,
        busy_clients: Mapping[str, int],
    ) -> Future[list[ClaimedDelivery]]:
        """Deliveries to attempt now; see `nodegraph.jobs.queue.webhooks.claim`."""
        limits = most, per_host, busy, per_client, busy_clients
        return self._put(
            lambda connection: webhooks.claim(connection, *limits, self._clock()), synced=False
        )

    def settle_delivery(
        self,
        delivery: Delivery,
        *,
        status: int | None,
        error: str | None,
        wait: float | None = None,
        jitter: Callable[[], float] = lambda: 1.0,
    ) -> Future[Delivery | None]:
        """Keep how an attempt went; see `nodegraph.jobs.queue.webhooks.settle`."""
        return self._put(
            lambda connection: webhooks.settle(
                connection, delivery, status, error, wait, jitter, self._clock()
            ),
            synced=False,
        )

    def replay_delivery(self, id: str) -> Future[Delivery]:
        """Deliver once more, from now on, under the same id.

        Raises:
            DeliveryNotFound: There is none.
        """
        return self._put(lambda connection: webhooks.replay(connection, id, self._clock()))

    def rotate_webhook_secret(self, client: str, grace: float) -> Future[str]:
        """A new secret for the deliveries of a client.

        Args:
            grace: Seconds for which deliveries are signed with the former one as well.
        """
        return self._put(
            lambda connection: webhooks.rotate_secret(connection, client, grace, self._clock())
        )

    # The history.

    def delete(self, id: str) -> Future[None]:
        """Delete an ended job with its events.

        Raises:
            JobNotFound, WrongState: It waits or runs.
        """
        return self._put(lambda connection: retention.delete_one(connection, id))

    def forget_file(self, id: str, digest: str) -> Future[None]:
        """Have an ended job no longer list a file, by the digest of its bytes.

        Raises:
            JobNotFound, WrongState: It waits or runs.
        """
        return self._put(lambda connection: outputs.forget_file(connection, id, digest))

    def delete_matching(self, which: JobFilter) -> int:
        """Delete all ended jobs that match; how many. Takes a while."""
        return self._delete_all(lambda connection: retention.matching(connection, which))

    def prune(
        self,
        rules: RetentionRules | None = None,
        now: float | None = None,
        *,
        kept: Collection[str] = (),
    ) -> int:
        """Delete the ended jobs that aren't to be kept; how many. Takes a while.

        Args:
            kept: Ids of jobs that are kept whatever the rules say, and don't count for them.
        """
        chosen, moment = rules or RetentionRules(), self._clock() if now is None else now
        with self._reading() as connection:
            states = retention.states_of(connection, list(kept))
        return self._delete_all(
            lambda connection: retention.excess(connection, chosen, moment, states)
        )

    def _delete_all(self, some: Callable[[Connection], Sequence[int]]) -> int:
        deleted = 0
        while True:
            # Looked for beside the writer; those that run again by then stay.
            with self._reading() as connection:
                numbers = some(connection)
            if not numbers:
                self._put(retention.tidy).result()
                return deleted
            deleted += self._put(_deleting(numbers)).result()

    # How.

    def _put(self, action: QueueChange[T], *, synced: bool = True) -> Future[T]:
        return self._writer.put(action, synced=synced)


def _deleting(numbers: Sequence[int]) -> QueueChange[int]:
    return lambda connection: retention.delete(connection, numbers)
