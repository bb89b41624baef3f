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
    """Something that happened to a job.

    Attributes:
        job: Its id.
        client: Whose it is.
        attempt: The job's at that time.
        kind: What happened, such as ``node.finished``; docs/websocket.md lists the kinds.
        node: The node it happened to, if any.
        seq: Its number, which grows from event to event of all jobs; None for what is of the moment
            only: progress and previews.
        after: Of such an event, the number of the last one before it.
        number: In the attempt's run; None for what the queue tells.
        at: Unix time; None of what is of the moment.
        seconds: Since the attempt's run started.
        data: What else there is to say; plain values.
    """

    __pydantic_config__ = described("EventEntry")

    job: str
    client: str
    attempt: int
    kind: Annotated[str, example("node.finished")]
    node: Annotated[str | None, example("sample")]
    data: Mapping[str, Any]
    # What is of the moment comes over websockets only, which the description leaves out.
    seq: Annotated[int | None, WithJsonSchema({"type": "integer"})] = None
    after: SkipJsonSchema[int | None] = None
    number: int | None = None
    at: Annotated[float | None, WithJsonSchema({"type": "number"})] = None
    seconds: float | None = None

    @property
    def is_live(self) -> bool:
        """Whether it is of the moment, and told to nobody who comes later."""
        return self.seq is None

    @property
    def ends_job(self) -> bool:
        """Whether the job, as it is now, has ended with it."""
        return self.kind in _ENDS

    @property
    def progress(self) -> tuple[int, int] | None:
        """Steps that are done, and of how many, if the event tells."""
        step, total = self.data.get("step"), self.data.get("total")
        if self.kind == "node.progress" and isinstance(step, int) and isinstance(total, int):
            return step, total
        return None

    @property
    def preview(self) -> tuple[bytes, str] | None:
        """An image and its media type, if the event brings one."""
        image, mime = self.data.get("image"), self.data.get("mime")
        if self.kind == "node.preview" and isinstance(image, bytes):
            return image, str(mime)
        return None

    @property
    def plot(self) -> Mapping[str, Any] | None:
        """A plot of unfinished work, if the event brings one; docs/websocket.md has its form."""
        plot = self.data.get("plot")
        return plot if self.kind == "node.preview" and isinstance(plot, Mapping) else None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, in order.

    Attributes:
        last: Ask for those ``after`` this number next, and miss none.
        complete: Whether there were no more at that moment.
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
NodeName = Annotated[str, example("save")]


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that a job gave.

    Attributes:
        node: That wrote it.
        kind: What it is to people.
        size: Bytes.
        digest: blake3 of the bytes.
        width, height: Pixels, of an image or video; None where that isn't known.
        href: Where the server has it.
        thumbnail: Where it has a small image of it; None if it shows none.
        existed: Whether it was there already: an earlier job made it, and this one found it.
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
    """What a file says besides what it shows.

    Attributes:
        texts: By name: ``workflow``, as JSON, and ``nodegraph``, the version that wrote it; what
            other programs wrote, such as ``prompt``. Empty where there are none.
    """

    __pydantic_config__ = described("CarriedTexts", is_open=False)

    texts: Annotated[Mapping[str, str], example({"nodegraph": "0.1.0", "workflow": "{…}"})]


@dataclass(frozen=True, slots=True)
class Artifact(OutputFile):
    """A file that a job gave, in a list of the files of many.

    Attributes:
        created: Unix time at which it was written.
        jobs: How many jobs gave the same bytes.
        made_by: The job that made it; another one than `job` where that found it. None if it isn't
            in the history any more, or isn't the caller's.
    """

    __pydantic_config__ = described("ArtifactEntry", is_open=False)

    job: Annotated[str, example(JOB_ID)]
    created: Annotated[float, example(1.76e9)]
    job_name: Annotated[str, example("An apple")] = field(default="", kw_only=True)
    jobs: Annotated[int, example(1)] = field(default=1, kw_only=True)
    made_by: Annotated[str | None, example(JOB_ID)] = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class NodeWarning:
    """What a node said of its results, that keeps nothing from running.

    Attributes:
        node: None where it is of no single one.
    """

    __pydantic_config__ = described("NodeWarning", is_open=False)

    node: Annotated[str | None, example("load")]
    message: Annotated[str, example("2 of 64 layers of the LoRA fit no layer of the model")]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a job gave.

    Attributes:
        outputs: Digests of what nodes gave, by ``node.port``.
        nodes: How many nodes ``ran`` and were ``cached``.
        run: Its record in the server's store, for `nodegraph runs`.
        warnings: What nodes said of their results, now or when what came from the cache was
            computed; of very many the first.
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


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a job failed, in short.

    Attributes:
        node: At which it did, if it was one.
    """

    __pydantic_config__ = described("JobFault", is_open=False)

    code: Annotated[str, example("node-failed")]
    message: Annotated[str, example("out of memory")]
    node: Annotated[str | None, example("sample")] = None


@dataclass(frozen=True, slots=True)
class JobLinks:
    """Where there is more of a job."""

    __pydantic_config__ = described("JobLinks", is_open=False)

    self: Annotated[str, example(f"{JOBS}/{JOB_ID}")] = ""
    workflow: Annotated[str, example(f"{JOBS}/{JOB_ID}/workflow")] = ""
    events: Annotated[str, example(f"{JOBS}/{JOB_ID}/events")] = ""


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job, without what was asked for and what came of it.

    Attributes:
        client: Whose it is.
        held: Whether it waits until it is let go.
        wanted: What a running job's worker is asked to do: ``cancel``, ``pause`` or nothing.
        priority: -100 to 100; the highest goes first.
        created: Unix time.
        started: Unix time at which the last attempt began.
        finished: Unix time at which it ended.
        attempt: How often a worker has begun it.
        deaths: How often its worker died.
        worker: That has it or had it last.
        fault: Why it failed, if it did.
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
    links: JobLinks = field(default=JobLinks(), kw_only=True)

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
        error: The first problem of one that failed, with all of them under ``problems``, and what
            nodes had warned of before under ``warnings``, as in `outputs`.
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
        """What it gave, as files."""
        return () if self.outputs is None else self.outputs.files

    @property
    def warnings(self) -> tuple[NodeWarning, ...]:
        """What nodes said of their results, also before one failed."""
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
