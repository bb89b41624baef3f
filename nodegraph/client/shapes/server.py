"""Server state: queue, workers, models and uploaded files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from nodegraph.client.shapes.jobs import DIGEST, JobSummary
from nodegraph.client.shapes.schema import Pixels, described, example, one_of


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was brought to the server.

    Attributes:
        digest: blake3 of the bytes.
        name: Made safe.
        media_type: By its bytes.
        size: Bytes.
        value: What an input of a workflow that takes a file is given, to read this one.
        width, height: Pixels, of an image.
        created: Unix time.
        used: Unix time when it was last needed.
        href: Where the server has it.
    """

    __pydantic_config__ = described("UploadEntry", is_open=False)

    digest: Annotated[str, example(DIGEST)]
    name: Annotated[str, example("apple.png")]
    media_type: Annotated[str, example("image/png")]
    size: Annotated[int, example(48_213)]
    value: Annotated[str, example(f"upload:{DIGEST}/apple.png")]
    width: Pixels = None
    height: Pixels = None
    created: Annotated[float, example(1.76e9)] = field(default=0.0, kw_only=True)
    used: Annotated[float, example(1.76e9)] = field(default=0.0, kw_only=True)
    href: Annotated[str, example(f"/api/v1/uploads/{DIGEST}")] = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the server's inputs folder.

    Attributes:
        path: What an input of a workflow that takes a file is given, to read this one.
        media_type: By its suffix.
        size: Bytes.
        modified: Unix time.
        href: Where the server has it.
    """

    __pydantic_config__ = described("InputFileEntry", is_open=False)

    path: Annotated[str, example("portraits/ada.png")]
    media_type: Annotated[str, example("image/png")]
    size: Annotated[int, example(48_213)]
    modified: Annotated[float, example(1.76e9)] = field(default=0.0, kw_only=True)
    href: Annotated[str, example("/api/v1/inputs/file?path=portraits%2Fada.png")] = field(
        default="", kw_only=True
    )


@dataclass(frozen=True, slots=True)
class Model:
    """A model on the server.

    Attributes:
        name: What `LoadModel` takes, or `node`.
        kind: ``diffusers``, ``checkpoint`` or ``embedded``.
        family: None if it can't be used, or fits several.
        bytes: On disk, or at the place of remote ones.
        problem: Why it can't be used; None if it can.
        part: What it is by itself, such as the transformer of a model; None of whole models.
        node: The type of the node that takes it; None if it can't be used.
        use: The kind of file, of inputs with such a widget, that it is.
        thumbnail: Where the server has a small image of it; None if there is none.
        is_remote: Whether it lies in a bucket or a shared folder, and is fetched when it is needed.
        is_looked_at: False of a remote one of which only the name is known yet; the server looks at
            it, and tells ``models.changed`` then.
        trigger_words: Of a LoRA, what prompts say for what it was taught, as its file has it; None
            if that doesn't say.
    """

    __pydantic_config__ = described("ModelEntry", is_open=False)

    name: Annotated[str, example("tiny")]
    kind: Annotated[str, one_of("diffusers", "checkpoint", "embedded")]
    family: Annotated[str | None, example("sd1")]
    bytes: Annotated[int, example(19_534_105)]
    problem: str | None = None
    thumbnail: Annotated[
        str | None, example("/api/v1/models/thumbnail?name=sd%2Fportraits.safetensors")
    ] = None
    part: Annotated[str | None, example("the transformer of Flux.1")] = None
    node: Annotated[str | None, example("LoadModel")] = None
    use: Annotated[str, one_of("model", "lora", "embedding")] = "model"
    is_remote: bool = False
    is_looked_at: bool = True
    trigger_words: Annotated[str | None, example("ink drawing")] = None


@dataclass(frozen=True, slots=True)
class SourceLink:
    """A page elsewhere, for people to open.

    Attributes:
        exact: Whether it is what was asked for; else one may find it there.
    """

    __pydantic_config__ = described("LinkEntry", is_open=False)

    title: Annotated[str, example("Search for dreamshaper")]
    url: Annotated[str, example("https://huggingface.co/models?search=dreamshaper")]
    exact: bool


@dataclass(frozen=True, slots=True)
class Source:
    """Where to get a model or a node pack.

    Attributes:
        kind: ``model`` or ``pack``.
        name: As it was asked for.
        steps: What to do, one after the other.
    """

    __pydantic_config__ = described("SourceEntry", is_open=False)

    kind: Annotated[str, one_of("model", "pack")]
    name: Annotated[str, example("dreamshaper")]
    steps: tuple[str, ...]
    links: tuple[SourceLink, ...]


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker process.

    Attributes:
        role: A ``planner`` answers questions and takes no jobs.
        host: The machine of a cluster that it runs on; empty as long as it waits for one, none for
            a worker of the server's own machine.
        restarts: How often it was started again after a death.
        job: That it has, if the caller may see it; of several the first.
        jobs: All that it runs at once, as far as the caller may see them.
        helps: The job of another worker that it computes along with, as it has none itself.
        node: That began last in that job.
        memory, device_memory: Bytes.
        last_heartbeat: Seconds since then.
        next_start: Seconds until then, if it is dead.
        versions: Of what it computes with.
        weights: Names of the models that it holds in memory.
        fault: Why it died last, until it is ready again.
        done: Jobs that it has brought to an end.
        per_hour: Jobs an hour, by what it did in the last ten minutes; none if it is new.
    """

    __pydantic_config__ = described("WorkerEntry")

    name: Annotated[str, example("worker-1")]
    role: str
    state: Annotated[str, example("idle")]
    device: Annotated[str, example("cpu")]
    restarts: int
    pid: int | None = None
    job: str | None = None
    node: str | None = None
    memory: int | None = None
    device_memory: int | None = None
    last_heartbeat: float | None = field(default=None, kw_only=True)
    next_start: float | None = field(default=None, kw_only=True)
    versions: Annotated[Mapping[str, str] | None, example({"torch": "2.8.0"})] = field(
        default=None, kw_only=True
    )
    host: Annotated[str | None, example("10.0.0.7")] = field(default=None, kw_only=True)
    weights: tuple[str, ...] = field(default=(), kw_only=True)
    fault: str | None = field(default=None, kw_only=True)
    helps: str | None = field(default=None, kw_only=True)
    jobs: tuple[str, ...] = field(default=(), kw_only=True)
    done: int = field(default=0, kw_only=True)
    per_hour: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs there are in each state.

    Attributes:
        held: Of those that are queued.
    """

    __pydantic_config__ = described("StateCounts")

    queued: int
    running: int
    finished: int
    failed: int
    cancelled: int
    held: int


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """How the queue is.

    Attributes:
        fault: Why it can't be written to; None if it can.
    """

    __pydantic_config__ = described("QueueState")

    paused: bool
    counts: Counts
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue, as far as one may see it.

    Attributes:
        paused: Whether no more jobs are begun.
        counts: Of one's own jobs; of everybody's for who may administer.
        upcoming: In the order in which they will be begun, as far as that is known now.
    """

    __pydantic_config__ = described("QueueEntry")

    paused: bool
    counts: Counts
    upcoming: tuple[JobSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What there is once node packs were looked at anew.

    Attributes:
        node_types: How many there are.
        problems: What is wrong with packs.
    """

    __pydantic_config__ = described("Refreshed")

    node_types: int
    problems: tuple[str, ...]


class Memory(TypedDict):
    """Memory, in bytes."""

    total: Annotated[int, Field(description="Of the machine.")]
    available: int
    server: Annotated[int, Field(description="Of the server's own process.")]


class Disk(TypedDict):
    """Where the server keeps its files, in bytes."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class System:
    """The server and the machine that it runs on.

    Attributes:
        version: Of nodegraph.
        started: Unix time.
        uptime: Seconds.
        devices: That workers compute on.
        memory, disk: Bytes.
        packs: Versions of the node packs by name.
        node_types: How many there are.
        problems: What is wrong with node packs.
    """

    __pydantic_config__ = described("SystemEntry")

    version: Annotated[str, example("0.1.0")]
    python: Annotated[str, example("3.11.9")]
    platform: Annotated[str, example("Linux-6.8-x86_64")]
    started: float
    uptime: float
    devices: Annotated[tuple[str, ...], example(["cpu"])]
    workers: tuple[WorkerInfo, ...]
    memory: Memory
    disk: Disk
    queue: QueueInfo
    packs: Mapping[str, str]
    node_types: int
    problems: tuple[str, ...] = ()
