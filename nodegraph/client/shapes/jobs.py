"""Jobs, their output files and their events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from nodegraph.client.answers import problems_in
from nodegraph.client.errors import JobFailed
from nodegraph.client.shapes.schema import Pixels, described, example, one_of
from nodegraph.errors import Problem

_ENDS = frozenset({"job.finished", "job.failed", "job.cancelled"})


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a job.

    Attributes:
        job: Id of the job.
        client: Client that owns the job.
        attempt: Number of the job's attempt at that time.
        kind: What happened, such as ``node.finished``; docs/websocket.md lists the kinds.
        node: The node it happened to, if any.
        seq: Number of the event, which increases across all jobs; None for live events, which are
            progress and previews.
        after: For a live event, the number of the last event before it.
        number: Number within the attempt's run; None for events of the queue.
        at: Unix time; None for live events.
        seconds: Seconds since the attempt's run started.
        data: Further details, as plain values.
    """

    __pydantic_config__ = described("EventEntry")

    job: str
    client: str
    attempt: int
    kind: Annotated[str, example("node.finished")]
    node: Annotated[str | None, example("sample")]
    data: Mapping[str, Any]
    # Live events come over websockets only, which the description leaves out.
    seq: Annotated[int | None, WithJsonSchema({"type": "integer"})] = None
    after: SkipJsonSchema[int | None] = None
    number: int | None = None
    at: Annotated[float | None, WithJsonSchema({"type": "number"})] = None
    seconds: float | None = None

    @property
    def is_live(self) -> bool:
        """Whether the event is live: it is not stored, and later clients do not get it."""
        return self.seq is None

    @property
    def ends_job(self) -> bool:
        """Whether the event ends the job."""
        return self.kind in _ENDS

    @property
    def progress(self) -> tuple[int, int] | None:
        """Finished steps and all steps, if the event has them."""
        step, total = self.data.get("step"), self.data.get("total")
        if self.kind == "node.progress" and isinstance(step, int) and isinstance(total, int):
            return step, total
        return None

    @property
    def preview(self) -> tuple[bytes, str] | None:
        """Image and media type of a preview, if the event has one."""
        image, mime = self.data.get("image"), self.data.get("mime")
        if self.kind == "node.preview" and isinstance(image, bytes):
            return image, str(mime)
        return None

    @property
    def plot(self) -> Mapping[str, Any] | None:
        """Plot of unfinished work, if the event has one; see docs/websocket.md for its format."""
        plot = self.data.get("plot")
        return plot if self.kind == "node.preview" and isinstance(plot, Mapping) else None


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of events, in order.

    Attributes:
        last: Number to pass as ``after`` for the next page.
        complete: Whether there were no more events at that moment.
    """

    __pydantic_config__ = described("EventList")

    items: tuple[Event, ...]
    last: int
    complete: bool


State = Literal["queued", "running", "finished", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"finished", "failed", "cancelled"})

JOB_ID = "job_01hzy3m7q8r9s0t1v2w3x4y5z6"
JOBS = "/api/v1/jobs"
DIGEST = "a5f0c2e6" * 8
BOARD_ID = "board_1f8a0c2e"
NodeName = Annotated[str, example("save")]


@dataclass(frozen=True, slots=True)
class OutputFile:
    """An output file of a job.

    Attributes:
        node: Node that wrote it.
        kind: Kind of the file, for people.
        size: Size in bytes.
        digest: blake3 of the bytes.
        width, height: Size in pixels of an image or video; None if it is not known.
        href: Path of the file on the server.
        thumbnail: Path of its thumbnail on the server; None if there is none.
        existed: Whether an earlier job wrote the same file, and this job reused it.
    """

    __pydantic_config__ = described("OutputFile", is_open=False)

    name: Annotated[str, example("apple_00001.png")]
    node: NodeName
    kind: Annotated[str, example("image")]
    media_type: Annotated[str, example("image/png")]
    size: Annotated[int, example(48_213)]
    digest: Annotated[str, example(DIGEST)]
    width: Pixels = field(default=None, kw_only=True)
    height: Pixels = field(default=None, kw_only=True)
    href: Annotated[str, example(f"/api/v1/artifacts/{DIGEST}")] = field(default="", kw_only=True)
    thumbnail: str | None = field(default=None, kw_only=True)
    existed: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class CarriedTexts:
    """Texts in the metadata of a file.

    Attributes:
        texts: Texts by name: ``workflow``, as JSON, ``nodegraph``, the version that wrote it, and
            texts of other programs, such as ``prompt``. Empty if there are none.
    """

    __pydantic_config__ = described("CarriedTexts", is_open=False)

    texts: Annotated[Mapping[str, str], example({"nodegraph": "0.1.0", "workflow": "{…}"})]


@dataclass(frozen=True, slots=True)
class Artifact(OutputFile):
    """An output file in a list of the files of several jobs.

    Attributes:
        created: Unix time at which it was written.
        jobs: Number of jobs that output the same bytes.
        made_by: Job that made it. It differs from `job` if that job reused the file. None if that
            job is no longer stored or belongs to another client.
        stars: 0 to 5.
        tags: Tags in the library, in alphabetical order.
        note: Note in the library; None if there is none.
        board: Id of its board; None if it is on no board.
        trashed: Unix time at which it was put into the trash; None if it is not there.
    """

    __pydantic_config__ = described("ArtifactEntry", is_open=False)

    job: Annotated[str, example(JOB_ID)]
    created: Annotated[float, example(1.76e9)]
    job_name: Annotated[str, example("An apple")] = field(default="", kw_only=True)
    jobs: Annotated[int, example(1)] = field(default=1, kw_only=True)
    made_by: Annotated[str | None, example(JOB_ID)] = field(default=None, kw_only=True)
    stars: Annotated[int, example(4)] = field(default=0, kw_only=True)
    tags: Annotated[tuple[str, ...], example(["cat"])] = field(default=(), kw_only=True)
    note: Annotated[str | None, example("for the cover")] = field(default=None, kw_only=True)
    board: Annotated[str | None, example(BOARD_ID)] = field(default=None, kw_only=True)
    trashed: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Board:
    """A board of results in the library.

    Attributes:
        client: Client that owns the board.
        count: Number of results on it, without those in the trash.
        cover: Digest of the newest result on it; None if there is none.
        created: Unix time.
    """

    __pydantic_config__ = described("Board", is_open=False)

    id: Annotated[str, example(BOARD_ID)]
    name: Annotated[str, example("Covers")]
    client: Annotated[str, example("studio")]
    count: Annotated[int, example(12)]
    cover: Annotated[str | None, example(DIGEST)]
    created: Annotated[float, example(1.76e9)]


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag of the library.

    Attributes:
        count: Number of results that have it, without those in the trash.
    """

    __pydantic_config__ = described("TagCount", is_open=False)

    tag: Annotated[str, example("cat")]
    count: Annotated[int, example(12)]


@dataclass(frozen=True, slots=True)
class JobGroup:
    """The jobs of a table, one for each row.

    Attributes:
        group: Tag of all of them, to list and cancel them by.
        jobs: Their ids, in the order of the rows.
    """

    __pydantic_config__ = described("JobGroup", is_open=False)

    group: Annotated[str, example("rows-4f0c2e6a91d3")]
    jobs: Annotated[tuple[str, ...], example([JOB_ID])]


@dataclass(frozen=True, slots=True)
class NodeWarning:
    """A warning of a node about its results.

    Attributes:
        node: Name of the node; None if the warning is not about a single node.
    """

    __pydantic_config__ = described("NodeWarning", is_open=False)

    node: Annotated[str | None, example("load")]
    message: Annotated[str, example("2 of 64 layers of the LoRA fit no layer of the model")]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Outputs of a job.

    Attributes:
        outputs: Digests of node outputs, by ``node.port``.
        nodes: Numbers of nodes that ``ran`` and were ``cached``.
        run: Id of its record in the server's store, for `nodegraph runs`.
        warnings: Warnings of nodes about their results, those of cached results included. Only the
            first ones are kept if there are very many.
        ui: JSON objects that nodes returned to be shown, by node, those of cached results included.
    """

    __pydantic_config__ = described("JobOutputs", is_open=True, is_whole=False)

    files: tuple[OutputFile, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    nodes: Annotated[Mapping[str, int], example({"ran": 5, "cached": 1})] = field(
        default_factory=dict
    )
    seconds: Annotated[float, example(2.7)] = 0.0
    run: str = ""
    warnings: tuple[NodeWarning, ...] = ()
    ui: Annotated[Mapping[str, Any], example({"show": {"text": ["a red apple"]}})] = field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """A short description of why a job failed.

    Attributes:
        node: Node that failed, if there is one.
    """

    __pydantic_config__ = described("JobFault", is_open=False)

    code: Annotated[str, example("node-failed")]
    message: Annotated[str, example("out of memory")]
    node: Annotated[str | None, example("sample")] = None


@dataclass(frozen=True, slots=True)
class JobLinks:
    """Paths of more data of a job on the server."""

    __pydantic_config__ = described("JobLinks", is_open=False)

    self: Annotated[str, example(f"{JOBS}/{JOB_ID}")] = ""
    workflow: Annotated[str, example(f"{JOBS}/{JOB_ID}/workflow")] = ""
    events: Annotated[str, example(f"{JOBS}/{JOB_ID}/events")] = ""


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job without its request and its result.

    Attributes:
        client: Client that owns the job.
        held: Whether it is held until it is released.
        wanted: Pending request to the worker of a running job: ``cancel``, ``pause`` or null.
        priority: -100 to 100; the highest runs first.
        created: Unix time at which it was submitted.
        started: Unix time at which the last attempt started.
        finished: Unix time at which it ended.
        attempt: Number of times that a worker has started it.
        deaths: Number of times that its worker died.
        worker: Worker that runs it or ran it last.
        fault: Why it failed, if it did.
        not_before: Unix time until which it waits; None if it waits for no time.
    """

    __pydantic_config__ = described("JobEntry", is_open=False)

    id: Annotated[str, example(JOB_ID)]
    client: Annotated[str, example("studio")]
    name: Annotated[str, example("An apple")]
    state: State
    held: bool
    wanted: Annotated[str, one_of("cancel", "pause")] | None
    priority: Annotated[int, example(0)]
    created: Annotated[float, example(1.76e9)]
    started: float | None
    finished: float | None
    attempt: int
    deaths: int
    worker: Annotated[str | None, example("worker-1")]
    tags: Annotated[tuple[str, ...], example(["apples"])]
    fault: Fault | None = field(default=None, kw_only=True)
    not_before: Annotated[float | None, example(1.76e9)] = field(default=None, kw_only=True)
    links: JobLinks = field(default=JobLinks(), kw_only=True)

    @property
    def is_over(self) -> bool:
        """Whether it has finished, failed or was cancelled."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Job(JobSummary):
    """A job with its request and its result.

    Attributes:
        workflow: Digest of the workflow's text.
        targets: Nodes to run; None for all nodes that write a result.
        plan: Plan of the job, if it was requested.
        outputs: Outputs of the job; None unless it has finished.
        error: First problem of a failed job, with all problems under ``problems`` and earlier
            warnings of nodes under ``warnings``, as in `outputs`.
    """

    __pydantic_config__ = described("JobDetail", is_open=False)

    workflow: str
    parameters: Mapping[str, Any]
    targets: tuple[str, ...] | None
    options: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    outputs: Outputs | None
    error: Mapping[str, Any] | None

    @property
    def files(self) -> tuple[OutputFile, ...]:
        """Output files of the job."""
        return () if self.outputs is None else self.outputs.files

    @property
    def warnings(self) -> tuple[NodeWarning, ...]:
        """Warnings of nodes about their results, also of a failed job."""
        if self.outputs is not None:
            return self.outputs.warnings
        entries = (self.error or {}).get("warnings")
        return tuple(
            NodeWarning(each.get("node"), str(each.get("message", "")))
            for each in (entries if isinstance(entries, list) else ())
            if isinstance(each, Mapping)
        )

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why the job failed; empty if it did not fail."""
        if self.error is None:
            return ()
        return problems_in(self.error.get("problems")) or problems_in([self.error])

    def checked(self) -> Job:
        """Return this job, or raise if it failed or was cancelled.

        Raises:
            JobFailed: The job failed or was cancelled.
        """
        if self.state in ("failed", "cancelled"):
            word = "it was cancelled" if self.state == "cancelled" else "it failed"
            raise JobFailed(self.id, self.problems, word)
        return self


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the delivery of an event to a webhook.

    Attributes:
        id: Id of the delivery, the same for all attempts.
        job: Id of the job.
        client: Client that owns the job.
        event: Kind of the event.
        url: Address of the receiver.
        state: ``pending``, ``delivered`` or ``failed``.
        created: Unix time of the event.
        attempts: Number of attempts.
        due: Unix time of the next attempt; None if there is none.
        status: Status of the last answer; None without one.
        error: Why the last attempt failed; None if it did not.
        ended: Unix time at which it was delivered or given up.
    """

    __pydantic_config__ = described("DeliveryEntry", is_open=False)

    id: Annotated[str, example(f"{JOB_ID}-57")]
    job: Annotated[str, example(JOB_ID)]
    client: Annotated[str, example("studio")]
    event: Annotated[str, example("job.finished")]
    url: Annotated[str, example("https://example.org/hooks")]
    state: Annotated[str, one_of("pending", "delivered", "failed")]
    created: Annotated[float, example(1.76e9)]
    attempts: Annotated[int, example(1)]
    due: float | None
    status: Annotated[int | None, example(204)]
    error: str | None
    ended: Annotated[float | None, example(1.76e9)]


@dataclass(frozen=True, slots=True)
class WebhookTest:
    """How a test of a webhook went.

    Attributes:
        url: Address of the receiver.
        delivered: Whether the receiver took it.
        status: Status of the answer; None without one.
        error: Why it failed; None if it did not.
    """

    __pydantic_config__ = described("WebhookTest", is_open=False)

    url: Annotated[str, example("https://example.org/hooks")]
    delivered: bool
    status: Annotated[int | None, example(204)]
    error: str | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A request that becomes jobs at times, or one after the other until it is stopped.

    Attributes:
        client: Client that owns the schedule and its jobs.
        name: Display name.
        rule: When it fires, such as ``every 90m``, ``daily 02:00`` or ``endless``.
        zone: Time zone of days and hours; empty for that of the server.
        seeds: What happens to seeds with each job: ``random``, ``increment`` or ``same``.
        missed: What happens if its time passed while no server ran: one job (``once``), or none
            (``skip``).
        until: Unix time after which it fires no more.
        count: Number of jobs after which it ends; None for any number.
        state: ``active``, ``paused`` or ``ended``.
        created: Unix time.
        due: Unix time of the next firing; None if it waits for its job to end, or fires no more.
        fired: Number of jobs that it has submitted.
        skipped: Number of times at which it submitted none.
        job: Id of its last job.
        tag: Tag of its jobs, to list them by.
        error: Why the last time came to nothing; None if it did not.
    """

    __pydantic_config__ = described("ScheduleEntry", is_open=False)

    id: Annotated[str, example("sch_01hzy3m7q8r9s0t1v2w3x4y5z6")]
    client: Annotated[str, example("studio")]
    name: Annotated[str, example("Apples by night")]
    rule: Annotated[str, example("daily 02:00")]
    zone: Annotated[str, example("Europe/Berlin")]
    seeds: Annotated[str, one_of("random", "increment", "same")]
    missed: Annotated[str, one_of("once", "skip")]
    until: float | None
    count: int | None
    state: Annotated[str, one_of("active", "paused", "ended")]
    created: Annotated[float, example(1.76e9)]
    due: Annotated[float | None, example(1.76e9)]
    fired: Annotated[int, example(3)]
    skipped: Annotated[int, example(0)]
    job: Annotated[str | None, example(JOB_ID)]
    tag: Annotated[str, example("schedule:sch_01hzy3m7q8r9s0t1v2w3x4y5z6")]
    error: str | None


def id_of(job: JobSummary | str) -> str:
    """Return the id of a job that is given as an id or as a summary."""
    return job if isinstance(job, str) else job.id
