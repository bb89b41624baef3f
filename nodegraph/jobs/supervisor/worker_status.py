"""State of a worker: the status that others poll, and the observer that gets its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from nodegraph.core.events import Event
from nodegraph.jobs.queue.attempts import Death
from nodegraph.jobs.supervisor.messages import Ended, HelpUpdate, RoleName


class WorkerObserver(Protocol):
    """Is told what workers do, on the event loop; must be quick, and what it raises is logged."""

    def ready(self, worker: str) -> None:
        """A worker has started and is idle. Not called for planners."""

    def joinable(self, worker: str) -> None:
        """A busy worker would take jobs beside those that it runs."""

    def events(self, job: str, attempt: int, events: Sequence[Event]) -> None:
        """Events of a run, in order, each once; those in `Ended.events` come with it."""

    def ended(self, ended: Ended) -> None:
        """A run is over. The worker may be given a job in its place in this very call.

        One that can't have caused its worker's death is told of as released, before the death.
        """

    def helped(self, worker: str, news: HelpUpdate) -> None:
        """How a worker's help with another one's job goes; see `Help`."""

    def died(self, worker: str, job: str | None, attempt: int | None, death: Death) -> None:
        """A worker is gone, with the job that it had; called after all that it told before.

        Called for each of several jobs that may have caused it. Also called for planners, and for a
        worker that ended when it was asked to while it still had a job.
        """


WorkerState = Literal["starting", "idle", "busy", "stopping", "dead", "stopped"]
"""``dead``: it waits for its next start; ``stopped``: there will be none."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker as it is now.

    Attributes:
        device: As it says once it is ready; until then as it was asked for.
        host: The machine that it runs on, or is to run on; None for the server's own.
        pid: Of its process, if there is one.
        done: Jobs that it has brought to an end.
        restarts: How often it was started again after a death.
        job, attempt: That it has; of several the first.
        jobs: All that it runs.
        helps: The job of another worker that it computes along with.
        node: That began last in its job, or in that.
        last_heartbeat: Seconds since the last one; None before the first.
        next_start: Seconds until it is started again, if it is dead.
        memory, device_memory: Bytes, as last known.
        weights: Names of the models that it holds in memory, as it told last.
        versions: As it told when it got ready.
        fault: Why it died last, until it is ready again.
        merged: Steps of samplings that it has computed in a batch with others'.
    """

    name: str
    role: RoleName
    state: WorkerState
    device: str
    host: str | None = None
    pid: int | None = None
    restarts: int = 0
    job: str | None = None
    attempt: int | None = None
    node: str | None = None
    last_heartbeat: float | None = None
    next_start: float | None = None
    memory: int | None = None
    device_memory: int | None = None
    weights: Sequence[str] = ()
    versions: Mapping[str, str] | None = None
    fault: str | None = None
    done: int = 0
    helps: str | None = None
    merged: int = 0
    jobs: Sequence[str] = ()
