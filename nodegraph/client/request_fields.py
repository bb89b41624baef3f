"""Fields of requests: job options, filters, retention and settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

from nodegraph.client.shapes import JobSummary, OutputFile, State, Upload
from nodegraph.client.shapes.jobs import id_of
from nodegraph.errors import InvalidValue


class AsDocument(Protocol):
    """A `nodegraph.Workflow`, or whatever else can say what its file says."""

    def to_dict(self) -> dict[str, Any]: ...


@runtime_checkable
class HoldsValues(Protocol):
    """A workflow whose inputs may be given values in memory."""

    def live_inputs(self) -> Iterable[tuple[str, str, Any]]:
        """Node, input and value of each."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A workflow that is saved on the server.

    Attributes:
        version: Its number; None for the newest.
    """

    name: str
    version: int | None = None


AnyFile = OutputFile | Upload
AnyWorkflow = Mapping[str, Any] | AsDocument | Saved
End = Literal["first", "last"]
SomeJobs = JobSummary | str | Iterable[JobSummary | str] | None


class WishFields(TypedDict, total=False):
    """What may be said of a workflow that is to be checked, planned or run.

    Attributes:
        parameters: Values of the workflow's named parameters.
        targets: Nodes to run, with what they need; all that write something if not given.
    """

    parameters: Mapping[str, Any]
    targets: Sequence[str] | None


class RunOptions(TypedDict, total=False):
    """How a job is run.

    Attributes:
        deadline: Seconds of running after which it is cancelled.
        check_mutation: Find nodes that change their inputs; slow.
        stall_seconds: Without news, after which a node counts as stalled: for all, or by node.
    """

    deadline: float
    check_mutation: bool
    stall_seconds: float | Mapping[str, float]


class JobFields(WishFields, total=False):
    """What may be said of a job.

    Attributes:
        name: For display; the workflow's title if not given.
        tags: To find it by.
        priority: -100 to 100; the highest goes first.
        held: Let it wait until it is let go.
        options: How to run it.
        plan: Plan it first, and keep the plan with it. Takes longer.
    """

    name: str
    tags: Sequence[str]
    priority: int
    held: bool
    options: RunOptions
    plan: bool


class Match(TypedDict, total=False):
    """Which jobs are meant: those that match everything that is given.

    Attributes:
        state: In it, or in one of several.
        text: A part of the name.
        client: Whose.
        created_after, created_before: Unix times, the first one included.
    """

    state: State | Sequence[State]
    tag: str
    text: str
    client: str
    created_after: float
    created_before: float


class Filters(Match, total=False):
    """Which jobs are listed, and in which order.

    Attributes:
        order: ``newest`` or ``oldest``, whichever comes first.
        limit: Asked for at a time.
    """

    order: Literal["newest", "oldest"]
    limit: int


class ArtifactFilter(TypedDict, total=False):
    """Which files that jobs gave; all that is given must hold.

    Attributes:
        job: Only its own.
        kind: Only such, for example ``image``.
        text: Words, each of which is in the file's name, its node's, or the name, tags, texts and
            parameters of its job.
        created_after, created_before: Unix times, the first included, the second not.
        distinct: Of several with the same bytes only the newest.
    """

    job: JobSummary | str | None
    kind: str | None
    text: str | None
    created_after: float | None
    created_before: float | None
    distinct: bool | None


class RetentionChange(TypedDict, total=False):
    """Which ended jobs are kept; None for no limit.

    Attributes:
        seconds, count: For how long, and how many: finished and cancelled ones.
        failed_seconds, failed_count: The same for failed ones.
    """

    seconds: float | None
    count: int | None
    failed_seconds: float | None
    failed_count: int | None


class SettingsChange(TypedDict, total=False):
    """What may be changed of a server's settings while it runs."""

    retention: RetentionChange


def request_body(workflow: AnyWorkflow, fields: WishFields | JobFields) -> dict[str, Any]:
    """A workflow and what is said of it, as they are sent."""
    if isinstance(workflow, Saved):
        return {"workflow": {"saved": workflow.name, "version": workflow.version}, **fields}
    return {"workflow": workflow_document(workflow), **fields}


def workflow_document(workflow: Mapping[str, Any] | AsDocument) -> Mapping[str, Any]:
    """What the file of a workflow says.

    Raises:
        InvalidValue: It holds values that are in memory, which no server can be sent so.
    """
    if isinstance(workflow, Mapping):
        return workflow
    if isinstance(workflow, HoldsValues):
        for node, port, value in workflow.live_inputs():
            raise InvalidValue(
                "is given a value in memory, which cannot be sent to a server",
                node=node,
                port=port,
                given=value.text,
                hint="Upload a file with `client.upload`, and link a node that reads it, such as "
                "`LoadImage`.",
            )
    return workflow.to_dict()


def ids_of(jobs: SomeJobs) -> tuple[str, ...] | None:
    """The ids of jobs that may be given by them; None for all jobs."""
    if jobs is None:
        return None
    if isinstance(jobs, (JobSummary, str)):
        return (id_of(jobs),)
    return tuple(map(id_of, jobs))
