"""Fields of requests: job options, filters, retention and settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

from nodegraph.client.shapes import JobSummary, OutputFile, State, Upload
from nodegraph.client.shapes.jobs import id_of
from nodegraph.errors import InvalidValue


class AsDocument(Protocol):
    """A `nodegraph.Workflow`, or another object with the content of a workflow file."""

    def to_dict(self) -> dict[str, Any]: ...


@runtime_checkable
class HoldsValues(Protocol):
    """A workflow whose inputs may have values in memory."""

    def live_inputs(self) -> Iterable[tuple[str, str, Any]]:
        """Yield node, input and value of each."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A workflow that is saved on the server.

    Attributes:
        version: Number of the version; None for the newest.
    """

    name: str
    version: int | None = None


AnyFile = OutputFile | Upload
AnyResults = OutputFile | str | Iterable[OutputFile | str]
AnyRows = str | Sequence[Mapping[str, Any]]
AnyWorkflow = Mapping[str, Any] | AsDocument | Saved
End = Literal["first", "last"]
SomeJobs = JobSummary | str | Iterable[JobSummary | str] | None


class WishFields(TypedDict, total=False):
    """Fields of a request to check, plan or run a workflow.

    Attributes:
        parameters: Values of the workflow's named parameters.
        targets: Nodes to run, with the nodes that they need; all nodes that write a result if not
            given.
    """

    parameters: Mapping[str, Any]
    targets: Sequence[str] | None


class RunOptions(TypedDict, total=False):
    """Options of a job's run.

    Attributes:
        deadline: Seconds of run time after which the job is cancelled.
        check_mutation: Find nodes that change their inputs; slow.
        metadata: What files of results carry to be made again: ``none``; ``minimal``, digests and
            versions; or ``full``, also the workflow.
        metadata_prompts: Whether files of results contain prompts.
        sidecar: Also write the manifest of each result as a JSON file.
        stall_seconds: Seconds without news after which a node counts as stalled, for all nodes or
            by node.
    """

    deadline: float
    check_mutation: bool
    metadata: Literal["none", "minimal", "full"]
    metadata_prompts: bool
    sidecar: bool
    stall_seconds: float | Mapping[str, float]


class WebhookFields(TypedDict, total=False):
    """Where events of a job are sent.

    Attributes:
        url: Address of the receiver.
        events: Kinds of events; by default those that end the job.
        secret: Secret that signs the deliveries of this job; by default that of the client.
    """

    url: str
    events: Sequence[str]
    secret: str


class PlanFields(WishFields, total=False):
    """Fields of a request to plan a workflow.

    Attributes:
        options: What the files of the run carry; the other options change no plan.
    """

    options: RunOptions


class JobFields(WishFields, total=False):
    """Fields of a new job.

    Attributes:
        name: Display name; the workflow's title if not given.
        tags: Tags to find the job by.
        priority: -100 to 100; the highest runs first.
        held: Hold the job until it is released.
        options: Options of the run.
        plan: Plan the job first, and store the plan with it. This takes longer.
        not_before: Time before which the job does not start: Unix time, or ISO 8601.
        webhook: Where the job's events are sent; ``none`` for nowhere. By default the webhook of
            the token.
    """

    name: str
    tags: Sequence[str]
    priority: int
    held: bool
    options: RunOptions
    plan: bool
    not_before: float | str | None
    webhook: WebhookFields | Literal["none"] | None


class ScheduleFields(TypedDict, total=False):
    """Fields of a new schedule.

    Attributes:
        name: Display name of the schedule and of its jobs.
        zone: Time zone of days and hours, such as ``Europe/Berlin``; that of the server if not
            given.
        seeds: Seeds of each job: ``random`` ones if not given, those of the last job plus one, or
            the same.
        missed: If its time passed while no server ran: one job at the next start if not given, or
            none (``skip``).
        until: Time after which it fires no more: Unix time, or ISO 8601.
        count: Number of jobs after which it ends.
    """

    name: str
    zone: str
    seeds: Literal["random", "increment", "same"]
    missed: Literal["once", "skip"]
    until: float | str | None
    count: int | None


class DownloadChoice(TypedDict, total=False):
    """What to choose where a source offers several files.

    Attributes:
        variant: Variant of the weights, such as ``fp16``.
        kind: Kind of the model, if the source's own statement is not right.
        name: Name of the file or folder.
        allow_pickle: Also accept pickle files, which can run any code when they are opened.
        sha256: Digest that its one file must have.
    """

    variant: str | None
    kind: str | None
    name: str | None
    allow_pickle: bool
    sha256: str | None


class ModelRecordChange(TypedDict, total=False):
    """What people note about a model; None or an empty list stands for what other places say.

    Attributes:
        notes: Any text.
        tags: Words to find it by.
        stars: 0 to 5.
        trigger_words: Words that prompts should contain.
    """

    notes: str | None
    tags: Sequence[str] | None
    stars: int | None
    trigger_words: Sequence[str] | None


class Match(TypedDict, total=False):
    """A filter for jobs; all given fields must match.

    Attributes:
        state: State of the job, or one of several states.
        text: Part of the name or of a tag.
        client: Client that owns the job.
        created_after, created_before: Unix times; only the first is included.
    """

    state: State | Sequence[State]
    tag: str
    text: str
    client: str
    created_after: float
    created_before: float


class Filters(Match, total=False):
    """A filter for a list of jobs, with its order.

    Attributes:
        order: ``newest`` or ``oldest`` first.
        limit: Number of jobs per request.
    """

    order: Literal["newest", "oldest"]
    limit: int


class ArtifactFilter(TypedDict, total=False):
    """A filter for output files of jobs; all given fields must match.

    Attributes:
        job: Only files of this job.
        kind: Only files of this kind, for example ``image``.
        text: Words that must all occur in the file's name, its node's name, its tags or note, or
            the name, tags, texts and parameters of its job. It may contain terms, such as
            ``model:dreamshaper stars:3 size:512x512``.
        created_after, created_before: Unix times; only the first is included.
        distinct: Only the newest of several files with the same bytes.
        stars: At least so many.
        tag: A tag, or several that it must all have.
        board: Id of its board.
        model: Part of the name of a model that made it.
        seed, width, height: Values that it was made with.
        trashed: Only what is in the trash; otherwise only what is not.
    """

    job: JobSummary | str | None
    kind: str | None
    text: str | None
    created_after: float | None
    created_before: float | None
    distinct: bool | None
    stars: int | None
    tag: str | Sequence[str] | None
    board: str | None
    model: str | None
    seed: int | None
    width: int | None
    height: int | None
    trashed: bool | None


class LibraryChange(TypedDict, total=False):
    """A change of what is noted about results.

    Attributes:
        stars: 0 to 5.
        add_tags, remove_tags: Tags, whatever the case of their letters.
        note: Any text; None removes it.
        board: Id of a board; None takes the results off their boards.
    """

    stars: int
    add_tags: Sequence[str]
    remove_tags: Sequence[str]
    note: str | None
    board: str | None


class GridFields(TypedDict, total=False):
    """How results are combined in one image.

    Attributes:
        column_labels, row_labels: Texts above the columns and before the rows.
        title: Text above them all.
        cell: Side of the square that each image fits into, 16 to 1024 pixels; 512 if not given.
        format: ``png`` if not given.
    """

    column_labels: Sequence[str]
    row_labels: Sequence[str]
    title: str
    cell: int
    format: Literal["png", "webp", "jpeg"]


class RetentionChange(TypedDict, total=False):
    """Limits for keeping ended jobs; None for no limit.

    Attributes:
        seconds, count: Longest time and largest number of finished and cancelled jobs.
        failed_seconds, failed_count: The same limits for failed jobs.
    """

    seconds: float | None
    count: int | None
    failed_seconds: float | None
    failed_count: int | None


class SettingsChange(TypedDict, total=False):
    """Settings of a server that can be changed while it runs."""

    retention: RetentionChange


def request_body(
    workflow: AnyWorkflow, fields: WishFields | PlanFields | JobFields
) -> dict[str, Any]:
    """Return the body of a request with a workflow and its fields."""
    if isinstance(workflow, Saved):
        return {"workflow": {"saved": workflow.name, "version": workflow.version}, **fields}
    return {"workflow": workflow_document(workflow), **fields}


def workflow_document(workflow: Mapping[str, Any] | AsDocument) -> Mapping[str, Any]:
    """Return the content of a workflow file.

    Raises:
        InvalidValue: The workflow has values in memory, which cannot be sent to a server.
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
    """Return the ids of jobs that are given as ids or summaries; None for all jobs."""
    if jobs is None:
        return None
    if isinstance(jobs, (JobSummary, str)):
        return (id_of(jobs),)
    return tuple(map(id_of, jobs))


def digests_of(results: AnyResults) -> list[str]:
    """Return the digests of results that are given as output files or digests, each once."""
    several = [results] if isinstance(results, (OutputFile, str)) else results
    return list(dict.fromkeys(each if isinstance(each, str) else each.digest for each in several))
