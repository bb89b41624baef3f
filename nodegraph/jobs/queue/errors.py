"""Errors of the job queue."""

from __future__ import annotations

from nodegraph.core.text_format import format_excess
from nodegraph.errors import NodegraphError, OutputError


class JobNotFound(NodegraphError):
    """No job of that id."""

    code = "job-not-found"


class WrongState(NodegraphError):
    """A job that is in no state to have this done to it."""

    code = "job-state"


class StaleAttempt(WrongState):
    """A worker speaks of an attempt that is over: its job was given to another."""

    code = "stale-attempt"


class KeyReused(NodegraphError):
    """An idempotency key that came with another request before.

    Attributes:
        job: Id of the job that was submitted with it first.
    """

    code = "idempotency-key-reused"

    def __init__(self, key: str, job: str) -> None:
        super().__init__(
            f"the idempotency key was used for another request, which became {job}",
            given=key,
            hint="Use a new key for each new request.",
        )
        self.job = job


class QueueFull(NodegraphError):
    """More jobs than may wait.

    Attributes:
        waiting: How many wait already.
        limit: How many may.
    """

    code = "queue-full"

    def __init__(self, whose: str, waiting: int, limit: int, wanted: int) -> None:
        more = "one more job was" if wanted == 1 else f"{wanted} more jobs were"
        super().__init__(
            f"{whose} full: {more} submitted",
            given=f"{waiting} waiting",
            expected=f"at most {limit}",
            hint="Wait until some have run, or cancel jobs that are no longer needed.",
        )
        self.waiting = waiting
        self.limit = limit


class TooMuchKept(NodegraphError):
    """Jobs that take more space than a client may have in the queue."""

    code = "queue-bytes"

    def __init__(self, client: str, size: int, limit: int) -> None:
        amount, most = format_excess(size, limit)
        super().__init__(
            f"the jobs of {client} take too much space",
            given=f"{amount} of workflows and parameters",
            expected=f"at most {most}, those of ended jobs included",
            hint="Delete ended jobs, or send smaller workflows: upload images and refer to them "
            "by name.",
        )


class QueueInUse(OutputError):
    """Another process has the queue; only one may change it.

    Attributes:
        pid: Of that process, if it is known.
    """

    code = "queue-in-use"

    def __init__(self, path: str, pid: int | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"the job queue {path} is in use by {who}",
            hint="Stop that server first, or give this one another home folder.",
        )
        self.pid = pid


class QueueUnreachable(OutputError):
    """The database that keeps the queue can't be asked now; what it holds is safe."""

    code = "queue-unreachable"

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(
            f"cannot reach the job queue {location}: {reason}",
            hint="Check that the database runs and can be reached. The server retries "
            "automatically.",
        )
