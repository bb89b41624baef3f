"""Server state: queue, workers, models and uploaded files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

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
class SecretInfo:
    """A secret of the server, without its value.

    Attributes:
        name: Name that nodes use.
        hosts: Hosts that it may be sent to.
        source: ``file``, or ``environment`` for one from a variable.
        changed: Unix time of its last change; null for one from a variable.
    """

    __pydantic_config__ = described("SecretInfo")

    name: Annotated[str, example("openai")]
    hosts: Annotated[tuple[str, ...], example(["api.openai.com"])]
    source: Annotated[str, example("file")]
    changed: float | None = None


@dataclass(frozen=True, slots=True)
class SecretList:
    """The secrets of the server, without their values.

    Attributes:
        secrets: Sorted by name.
    """

    __pydantic_config__ = described("SecretList")

    secrets: tuple[SecretInfo, ...]


PackAction = Literal["install", "update", "rollback", "enable", "disable", "remove"]


@dataclass(frozen=True, slots=True)
class PackChange:
    """A change of the server's packs: an installation, for example. One runs at a time.

    Attributes:
        name: Name of the pack.
        state: ``running``, ``done`` or ``failed``. It is ``stopped`` if somebody must agree to
            `costs` first.
        step: What happens now.
        costs: What to agree to, such as a second torch of several GB.
        notes: What else to know.
        error: Why it failed.
        started: Unix time.
    """

    __pydantic_config__ = described("PackChange")

    name: Annotated[str, example("blur_tools")]
    action: PackAction
    state: Annotated[str, one_of("running", "done", "failed", "stopped")]
    step: str = ""
    costs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class PackEntry:
    """An installed pack.

    Attributes:
        name: Prefix of its node types.
        kind: ``native`` or ``comfyui``.
        source: Folder, git address, wheel or package that it comes from.
        index: The index that named it; empty if a person gave the source.
        enabled: Whether its node types are offered.
        trusted: Whether its code has the rights of the server's user; else it runs in a sandbox.
        isolated: Whether it runs in a process of its own.
        environment: Name of its own environment; empty if it uses the packages of nodegraph.
        node_types: Number of its node types.
        earlier: Earlier versions, the newest first. The first is the one of a rollback.
        newer: A newer version in the index.
        problems: Reasons why it may not run.
    """

    __pydantic_config__ = described("PackEntry")

    name: Annotated[str, example("blur_tools")]
    version: Annotated[str, example("1.2.0")]
    kind: Annotated[str, one_of("native", "comfyui")]
    source: str
    index: str
    summary: str
    license: str
    enabled: bool
    trusted: bool
    isolated: bool
    environment: str
    node_types: int
    earlier: tuple[str, ...] = ()
    newer: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PackList:
    """The installed packs, and the change that runs or ran last.

    Attributes:
        has_index: Whether the settings name an index, from which packs can be installed.
    """

    __pydantic_config__ = described("PackList")

    items: tuple[PackEntry, ...]
    has_index: bool
    change: PackChange | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True)
class AvailablePack:
    """The newest version of a pack in an index.

    Attributes:
        requires: Packages that it needs, for a listing.
        node_types: As far as the index lists them.
        installed: The installed version; null if it is not installed.
    """

    __pydantic_config__ = described("AvailablePack")

    name: Annotated[str, example("blur_tools")]
    version: Annotated[str, example("1.2.0")]
    kind: Annotated[str, one_of("native", "comfyui")]
    summary: str
    license: str
    index: str
    requires: tuple[str, ...] = ()
    node_types: tuple[str, ...] = ()
    installed: str | None = None


@dataclass(frozen=True, slots=True)
class AvailablePacks:
    """Packs of the indexes.

    Attributes:
        problem: Why an index could not be read anew.
    """

    __pydantic_config__ = described("AvailablePacks")

    items: tuple[AvailablePack, ...]
    problem: str | None = None
    next: str | None = None


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


CredentialState = Literal[
    "trusted",
    "self-signed",
    "untrusted",
    "expired",
    "not-yet-valid",
    "tampered",
    "damaged",
    "absent",
]


@dataclass(frozen=True, slots=True)
class CredentialIngredient:
    """An input file that a signed file names.

    Attributes:
        title: Name of the file, as the signer wrote it.
        relationship: ``componentOf`` for an input, ``parentOf`` for the file before it was signed
            again.
        state: What its own credentials were when the file was signed.
        signer: Who signed it; empty if nobody did.
        is_ai: Whether its credentials mark it as made by AI.
    """

    __pydantic_config__ = described("CredentialIngredient", is_open=False)

    title: Annotated[str, example("photo.jpg")]
    relationship: Annotated[str, example("componentOf")]
    state: CredentialState
    signer: str
    is_ai: bool


@dataclass(frozen=True, slots=True)
class FileCredentials:
    """What the Content Credentials of a file say. All but `state` is a claim of the signer.

    Attributes:
        state: Result of the check. The file is as it was signed: ``trusted``, by a certificate that
            the server trusts; ``self-signed``, and the name is not verified; ``untrusted``, by a
            certificate that the server does not trust; ``expired``, by one that is not valid any
            more; ``not-yet-valid``, by one that is not valid yet. ``tampered``: it was changed
            since. ``damaged``: its credentials can't be read. ``absent``: it has none.
        signer: Name in the certificate.
        issuer: Who issued the certificate; the signer itself if self-signed.
        signed_at: Time, ISO 8601; empty if none is recorded.
        has_time_stamp: Whether a time stamp authority that the server trusts vouches for the time.
            Otherwise it is the clock of the signer, or of anybody.
        time_authority: Who made the time stamp, as its certificate says; empty without one.
        generator: Program that made the claim.
        is_ai: Whether the file is marked as made by AI, also in part.
        source_type: IPTC's code of how it was made; empty if none is recorded.
        training: Whether it may be used for training: ``allowed``, ``notAllowed`` or
            ``constrained``; empty if nothing is recorded.
        ingredients: Input files that it names.
        manifest_matches: Whether nodegraph's manifest in the file is the one that was signed; null
            if none was signed.
        problems: What does not match, with codes of C2PA.
        watermark: Number of its invisible watermark; null without one.
        can_sign: Whether the server can sign files.
    """

    __pydantic_config__ = described("FileCredentials", is_open=False)

    state: CredentialState
    signer: Annotated[str, example("Studio Example")]
    issuer: str
    signed_at: Annotated[str, example("2026-12-01T09:30:00Z")]
    has_time_stamp: bool
    time_authority: str
    generator: Annotated[str, example("nodegraph 0.1.0")]
    is_ai: bool
    source_type: Annotated[str, example("trainedAlgorithmicMedia")]
    training: Annotated[str, example("notAllowed")]
    ingredients: tuple[CredentialIngredient, ...]
    manifest_matches: bool | None
    problems: tuple[str, ...]
    watermark: int | None
    can_sign: bool
