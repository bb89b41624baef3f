"""How a worker is, for whoever looks at it from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nodegraph.jobs.supervisor.messages import RoleName

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
