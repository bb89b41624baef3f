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
    """A file that was uploaded to the server.

    Attributes:
        digest: blake3 of the bytes.
        name: Name of the file, without unsafe characters.
        media_type: Media type, detected from the bytes.
        size: Size in bytes.
        value: Value for a file input of a workflow that reads this file.
        width, height: Size in pixels of an image.
        created: Unix time of the upload.
        used: Unix time at which it was last needed.
        href: Path of the file on the server.
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
        path: Value for a file input of a workflow that reads this file.
        media_type: Media type, by its suffix.
        size: Size in bytes.
        modified: Unix time of the last change.
        href: Path of the file on the server.
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
        name: Value for the model input of `LoadModel`, or of the node type `node`.
        kind: ``diffusers``, ``checkpoint`` or ``embedded``.
        family: Model family; None if the model cannot be used or fits several families.
        bytes: Size in bytes on disk or in remote storage.
        problem: Why it cannot be used; None if it can.
        part: Component that the file contains, such as a transformer; None for whole models.
        node: Type of the node that loads it; None if it cannot be used.
        use: Kind of file input that accepts it.
        thumbnail: Path of its thumbnail on the server; None if there is none.
        is_remote: Whether it is in a bucket or a shared folder and is fetched when needed.
        is_looked_at: False for a remote model of which only the name is known yet. The server then
            reads its header and sends ``models.changed``.
        trigger_words: Trigger words of a LoRA, from its file; None if the file has none.
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
class ModelRecord:
    """What is known about a model: from its download, from files beside it, from its header.

    Attributes:
        source: Reference of a download; None if it is not known.
        page: Address of its page.
        base_model: Model that it belongs to, in the words of its source.
        trigger_words: Words that prompts should contain.
        tags, stars: As people have set them; 0 to 5 stars.
        sha256: Digests that the source stated, by path within the model.
        added: Unix time of the download; None if it is not known.
    """

    __pydantic_config__ = described("ModelRecordEntry", is_open=False)

    source: Annotated[str | None, example("civitai:128713")] = None
    title: Annotated[str | None, example("Ink v2")] = None
    page: str | None = None
    license: Annotated[str | None, example("openrail++")] = None
    author: str | None = None
    base_model: Annotated[str | None, example("SDXL 1.0")] = None
    trigger_words: Annotated[tuple[str, ...], example(["ink drawing"])] = ()
    notes: str | None = None
    tags: Annotated[tuple[str, ...], example(["portrait"])] = ()
    stars: int = 0
    sha256: Mapping[str, str] = field(default_factory=dict)
    added: int | None = None


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that a search at Hugging Face or Civitai has found.

    Attributes:
        source: ``huggingface`` or ``civitai``.
        reference: Value for `source` of a new download.
        kind: Kind, such as ``lora``; empty if it is not known.
        base_model: Model that it belongs to, in the words of the source.
        is_gated: Whether the source asks for an accepted license and a token.
        bytes: Size of its main file; None if it is not known.
        trigger_words: Words that prompts should contain.
        page: Address of its page.
    """

    __pydantic_config__ = described("OfferedModelEntry", is_open=False)

    source: Annotated[str, one_of("huggingface", "civitai")]
    reference: Annotated[str, example("civitai:128713")]
    title: Annotated[str, example("Ink")]
    kind: Annotated[str, example("lora")]
    base_model: Annotated[str | None, example("SDXL 1.0")] = None
    license: Annotated[str | None, example("openrail++")] = None
    is_gated: bool = False
    downloads: int = 0
    likes: int = 0
    bytes: int | None = None
    trigger_words: tuple[str, ...] = ()
    page: str = ""


@dataclass(frozen=True, slots=True)
class DownloadFile:
    """A file of a download.

    Attributes:
        path: Path below the model's folder; the file's name for a single file.
        bytes: Size; None if the source does not state it.
        sha256: Digest that the source states; None if it states none.
    """

    __pydantic_config__ = described("DownloadFileEntry", is_open=False)

    path: Annotated[str, example("unet/diffusion_pytorch_model.safetensors")]
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class DownloadOffer:
    """What a download would bring.

    Attributes:
        source: Reference of the model.
        name: Path of the file or folder below the models folder.
        kind: Kind, such as ``lora``; it decides on the folder.
        bytes: Size of all files; None if the source does not state it.
        license: License as the source states it.
        is_gated: Whether the source asks for an accepted license and a token.
        is_cached: Whether all files are on the server's machine already.
        page: Address of its page.
    """

    __pydantic_config__ = described("DownloadOfferEntry", is_open=False)

    source: Annotated[str, example("civitai:128713")]
    name: Annotated[str, example("loras/ink.safetensors")]
    kind: Annotated[str, example("lora")]
    files: tuple[DownloadFile, ...]
    title: str = ""
    bytes: int | None = None
    license: str | None = None
    is_gated: bool = False
    is_cached: bool = False
    base_model: str | None = None
    trigger_words: tuple[str, ...] = ()
    page: str | None = None


@dataclass(frozen=True, slots=True)
class ModelDownload:
    """A download of a model to the server.

    Attributes:
        name: Path of the file or folder below the models folder.
        source: Reference of the model; empty for callers who are no admins.
        state: ``queued``, ``running``, ``paused``, ``failed`` or ``finished``.
        bytes: Size of all files; None if the source does not state it.
        done: Number of bytes that are there.
        speed: Bytes per second; 0 unless it runs.
        seconds_left: Seconds until the end at this speed; None if they are not known.
        error: Why it failed; None if it did not.
        created: Unix time at which it was added.
    """

    __pydantic_config__ = described("ModelDownloadEntry", is_open=False)

    id: Annotated[str, example("4f1a9a0b6e21c7d3")]
    name: Annotated[str, example("loras/ink.safetensors")]
    source: Annotated[str, example("civitai:128713")]
    state: Annotated[str, one_of("queued", "running", "paused", "failed", "finished")]
    bytes: int | None
    done: int
    speed: float = 0.0
    seconds_left: float | None = None
    error: str | None = None
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class SourceLink:
    """A link to a page of another site.

    Attributes:
        exact: Whether the page is the requested item; otherwise it may contain the item.
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
        name: Name as requested.
        steps: Instructions, in order.
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
        role: ``worker`` or ``planner``; a planner answers requests and takes no jobs.
        host: Machine of the cluster that it runs on; empty while it waits for one, null for a
            worker on the server's own machine.
        restarts: Number of restarts after it died.
        job: Job that it runs, if the caller may see it; the first if it runs several.
        jobs: All jobs that it runs at once and that the caller may see.
        helps: Job of another worker that it helps to compute while it has no job.
        node: Node that started last in that job.
        memory, device_memory: Memory in use, in bytes.
        last_heartbeat: Seconds since the last heartbeat.
        next_start: Seconds until the next start, if it is dead.
        versions: Versions of the libraries that it computes with.
        weights: Names of the models that it holds in memory.
        fault: Why it died last, until it is ready again.
        done: Number of jobs that it has completed.
        per_hour: Jobs per hour, from the last ten minutes; null if it is new.
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
    """Number of jobs in each state.

    Attributes:
        held: Number of queued jobs that are held.
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
    """State of the queue.

    Attributes:
        fault: Why the queue cannot be written; None if it can.
    """

    __pydantic_config__ = described("QueueState")

    paused: bool
    counts: Counts
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue, as far as the caller may see it.

    Attributes:
        paused: Whether no new jobs are started.
        counts: Counts of the caller's jobs, or of all jobs for an admin.
        upcoming: Next jobs in the order in which they will start, as far as it is known now.
    """

    __pydantic_config__ = described("QueueEntry")

    paused: bool
    counts: Counts
    upcoming: tuple[JobSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Result of a reload of the node packs.

    Attributes:
        node_types: Number of node types.
        problems: Problems of packs.
    """

    __pydantic_config__ = described("Refreshed")

    node_types: int
    problems: tuple[str, ...]


class Memory(TypedDict):
    """Memory, in bytes."""

    total: Annotated[int, Field(description="Memory of the machine.")]
    available: int
    server: Annotated[int, Field(description="Memory of the server's own process.")]


class Disk(TypedDict):
    """Disk space of the server's home folder, in bytes."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class System:
    """The server and the machine that it runs on.

    Attributes:
        version: Version of nodegraph.
        started: Unix time of the start.
        uptime: Seconds since the start.
        devices: Devices that workers compute on.
        memory, disk: Memory and disk space, in bytes.
        packs: Versions of the node packs by name.
        node_types: Number of node types.
        problems: Problems of node packs.
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
