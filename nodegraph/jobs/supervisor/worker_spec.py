"""Specs of worker processes: device, needs, launch argument, rules of supervision and backoff."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.file_access import PathRedactor
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.jobs.supervisor.messages import RoleName

if TYPE_CHECKING:
    from nodegraph.session.settings import Settings


def settings_flags(settings: Settings) -> dict[str, object]:
    """What settings say, as `WorkerSpec.settings` has it."""
    return {name: _plain(value) for name, value in vars(settings).items() if value is not None}


def _plain(value: object) -> object:
    """A setting as JSON has it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True, slots=True)
class Launch:
    """The one argument of `nodegraph.jobs.worker`.

    Attributes:
        parent: Id of the process that starts it.
        recorder: Path of its `Recorder`.
        role, settings, packs, warm: See `WorkerSpec`.
    """

    parent: int
    recorder: str
    role: RoleName
    settings: dict[str, Any]
    packs: Sequence[str]
    warm: bool

    @classmethod
    def of(cls, spec: WorkerSpec, recorder: str) -> Launch:
        """For a worker that this process starts."""
        settings = dict(spec.settings)
        if spec.device is not None:
            settings["device"] = spec.device
        return cls(os.getpid(), recorder, spec.role, settings, tuple(spec.packs), spec.warm)

    @classmethod
    def read(cls, argument: str) -> Launch:
        """What `command` has written."""
        return cls(**json.loads(argument))

    def command(self) -> list[str]:
        """The command line."""
        # The current folder is no place to import from: it may be anybody's.
        safely = ["-P"] if sys.version_info >= (3, 11) else []
        argument = json.dumps(asdict(self), default=os.fspath)
        return [sys.executable, *safely, "-m", "nodegraph.jobs.worker", argument]


MOST_JOBS = 8
"""That a worker may run beside each other: more samplings share no batch."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a machine sets aside for a worker, where somebody chooses among machines.

    Attributes:
        gpus, cpus: How many; parts of one are shared.
        memory: Bytes.
        resources: Others, by their names, as whoever runs the machines has named and counted them.
        labels: What a machine's labels must be.
    """

    gpus: float = 0.0
    cpus: float = 1.0
    memory: int = 0
    resources: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker process that is to be kept alive.

    Attributes:
        name: Unique, such as ``worker-1``.
        role: A planner answers questions and takes no jobs.
        device: That it computes on, as in the settings; None leaves it to them.
        environment: Variables beside those of this process.
        settings: Flags of `nodegraph.session.settings.load_settings`, as JSON has them.
        packs: Paths of more packs.
        warm: Whether it loads torch before it is ready, and the other libraries once it has nothing
            to do, rather than with the first job that needs them.
        places: What is told of folders, where its last lines tell of its death; they themselves if
            not given.
        needs: What its machine sets aside for it, where there are several.
        without_gpu: Whether it takes only jobs that need no GPU, as others have one.
    """

    name: str
    role: RoleName = "worker"
    device: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    packs: Sequence[str] = ()
    warm: bool = True
    places: PathRedactor | None = None
    needs: Needs = field(default_factory=Needs)
    without_gpu: bool = False


@dataclass(frozen=True, slots=True)
class SupervisionRules:
    """When a worker counts as ill, and how long is waited for what.

    Attributes:
        start_seconds: That it may need until it is ready. Loading libraries may hold up its
            heartbeat.
        heartbeat_seconds: Without a heartbeat, after which it is killed.
        node_stall_seconds: Without any news while a node runs, after which it is killed; None for
            no limit. A job's option `stall_seconds` goes before it.
        cancel_seconds: For a job to stop, once it was cancelled or its deadline has passed, after
            which its worker is killed.
        memory_limit: Bytes in memory above which it is killed; None for no limit.
        backoff_first, backoff_most: Seconds between a death and the next start: the first, doubled
            with each further one.
        backoff_reset: Seconds of life after which a death counts as a first one; it does, too, once
            a worker has brought a job to an end.
        shutdown_grace: Seconds for a clean end, after which it is killed.
        question_seconds: That the planner may need for one question, after which it is killed.
        check_seconds: Between two looks at its memory and silence.
        ahead: Jobs that it may be handed while it runs another one, as long as its jobs are short.
        short_seconds: Up to which a job counts as short.
        merge_jobs: Jobs that it may run beside each other, where their samplings share batches.
    """

    start_seconds: float = 300.0
    heartbeat_seconds: float = 10.0
    node_stall_seconds: float | None = None
    cancel_seconds: float = 10.0
    memory_limit: int | None = None
    backoff_first: float = 0.5
    backoff_most: float = 60.0
    backoff_reset: float = 60.0
    shutdown_grace: float = 30.0
    question_seconds: float = 120.0
    check_seconds: float = 0.5
    ahead: int = 4
    short_seconds: float = 0.1
    merge_jobs: int = 1


_LOG = logging.getLogger(__name__)
DATABASE_FAULTS = (OutputError, InvalidFile)
"""What may go well another time: a full disk, a lock, a file that is put back."""


class Backoff:
    """Waits longer with each death, unless the process had proved that it is of use."""

    def __init__(self, rules: SupervisionRules) -> None:
        self._rules = rules
        self._next = rules.backoff_first

    def was_of_use(self) -> None:
        """It has done its work: the next death counts as a first one."""
        self._next = self._rules.backoff_first

    def delay(self, lived: float) -> float:
        """Seconds to wait after a death.

        Args:
            lived: Seconds that the process had lived.
        """
        if lived >= self._rules.backoff_reset:
            self.was_of_use()
        delay = self._next
        self._next = min(2 * delay, self._rules.backoff_most)
        return delay


class RetryDelay:
    """Seconds to wait before each next try: doubled each time, up to a most."""

    def __init__(self, first: float = 0.1, most: float = 10.0) -> None:
        self._first = first
        self._most = most
        self._next = first

    def next(self) -> float:
        """How long to wait now."""
        delay = self._next
        self._next = min(2 * delay, self._most)
        return delay

    def reset(self) -> None:
        """Something went well."""
        self._next = self._first


class Health:
    """Whether the queue can be written, as far as the last try tells.

    Attributes:
        fault: What was wrong; None if it went well.
        since: Unix time of the first failure in a row, for display.
    """

    def __init__(self) -> None:
        self.fault: str | None = None
        self.since: float | None = None

    def failed(self, error: BaseException) -> None:
        """It couldn't be written."""
        if self.fault is None:
            self.since = time.time()
            _LOG.error("the job queue cannot be written; the server retries: %s", error)
        self.fault = str(error)

    def worked(self) -> None:
        """It was written."""
        if self.fault is not None:
            _LOG.warning("the job queue can be written again")
        self.fault = self.since = None
