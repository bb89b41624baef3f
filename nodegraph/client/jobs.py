"""Jobs as clients see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nodegraph.client.errors import JobFailed
from nodegraph.client.problems import problems_in
from nodegraph.errors import Problem

State = Literal["queued", "running", "finished", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"finished", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that a job gave.

    Attributes:
        node: That wrote it.
        kind: What it is to people, such as ``image``.
        size: Bytes.
        digest: blake3 of its bytes.
        width, height: Pixels, of a picture; None where that isn't known.
    """

    name: str
    node: str
    kind: str
    media_type: str
    size: int
    digest: str
    width: int | None = field(default=None, kw_only=True)
    height: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Artifact(OutputFile):
    """A file that a job gave, in a list of the files of many.

    Attributes:
        created: Unix time at which it was written.
        jobs: How many jobs gave the same bytes.
    """

    job: str
    created: float
    job_name: str = field(default="", kw_only=True)
    jobs: int = field(default=1, kw_only=True)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a job gave.

    Attributes:
        outputs: Digests of values, by ``node.port``.
        nodes: How many nodes ``ran`` and were ``cached``.
        run: Its record in the server's store.
    """

    files: tuple[OutputFile, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    run: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a job failed, in short.

    Attributes:
        node: At which it did, if it was one.
    """

    code: str
    message: str
    node: str | None = None


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job without what was asked for and what came of it.

    Attributes:
        client: Whose it is.
        held: Whether it waits until it is let go.
        wanted: What a running job's worker is asked to do: ``cancel``, ``pause`` or nothing.
        priority: -100 to 100; the highest goes first.
        created, started, finished: Unix times, the last two of the last attempt.
        attempt: How often a worker has begun it.
        deaths: How often its worker died.
        worker: That has it or had it last.
        fault: Why it failed, if it did.
    """

    id: str
    client: str
    name: str
    state: State
    held: bool
    wanted: str | None
    priority: int
    created: float
    started: float | None
    finished: float | None
    attempt: int
    deaths: int
    worker: str | None
    tags: tuple[str, ...]
    fault: Fault | None = field(default=None, kw_only=True)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, however it did."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Job(JobSummary):
    """A job with all that is kept of it.

    Attributes:
        workflow: Digest of its text.
        targets: Nodes that are wanted; None for all that write something.
        plan: What was foreseen, if that was asked for.
        outputs: What it gave; None unless it has finished.
        error: The first problem of one that failed, with all of them under ``problems``.
    """

    workflow: str
    parameters: Mapping[str, Any]
    targets: tuple[str, ...] | None
    options: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    outputs: Outputs | None
    error: Mapping[str, Any] | None

    @property
    def files(self) -> tuple[OutputFile, ...]:
        """What it gave, as files."""
        return () if self.outputs is None else self.outputs.files

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why it failed; empty if it didn't."""
        if self.error is None:
            return ()
        return problems_in(self.error.get("problems")) or problems_in([self.error])

    def checked(self) -> Job:
        """This job, if it hasn't failed and wasn't cancelled.

        Raises:
            JobFailed: It has, or was.
        """
        if self.state in ("failed", "cancelled"):
            word = "it was cancelled" if self.state == "cancelled" else "it failed"
            raise JobFailed(self.id, self.problems, word)
        return self


def id_of(job: JobSummary | str) -> str:
    """The id of a job that may be given by it."""
    return job if isinstance(job, str) else job.id
