"""What the server tells of, besides jobs, events and workflows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.client.jobs import JobSummary
from nodegraph.errors import Problem


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was brought to the server.

    Attributes:
        digest: blake3 of its bytes.
        media_type: By its bytes.
        size: Bytes.
        width, height: Pixels, of a picture.
        value: What an input of a workflow that takes a file is given, to read this one.
    """

    digest: str
    name: str
    media_type: str
    size: int
    value: str
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a workflow can run, and everything that is wrong with it."""

    valid: bool
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    Attributes:
        nodes: What would become of each.
        totals: Of the whole run.
        missing: Nodes and models that there aren't.
    """

    valid: bool
    nodes: Mapping[str, Any]
    totals: Mapping[str, Any]
    missing: Mapping[str, Any]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A model on the server.

    Attributes:
        kind: ``diffusers``, ``checkpoint`` or ``embedded``.
        family: None if it can't be used.
        bytes: On disk.
        problem: Why it can't be used; None if it can.
        thumbnail: Where the server has a small picture of it; None if there is none.
    """

    name: str
    kind: str
    family: str | None
    bytes: int
    problem: str | None = None
    thumbnail: str | None = None


@dataclass(frozen=True, slots=True)
class SourceLink:
    """A page elsewhere.

    Attributes:
        exact: Whether it is what was asked for; else one may find it there.
    """

    title: str
    url: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Source:
    """Where to get a model or a node pack.

    Attributes:
        kind: ``model`` or ``pack``.
        steps: What to do, one after the other.
    """

    kind: str
    name: str
    steps: tuple[str, ...]
    links: tuple[SourceLink, ...]


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker process.

    Attributes:
        role: A ``planner`` answers questions and takes no jobs.
        job: That it has.
        memory: Bytes.
    """

    name: str
    role: str
    state: str
    device: str
    restarts: int
    pid: int | None = None
    job: str | None = None
    node: str | None = None
    memory: int | None = None
    device_memory: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs there are in each state; those that are held are queued, too."""

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

    node_types: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class System:
    """The server and the machine that it runs on.

    Attributes:
        version: Of nodegraph.
        started: Unix time.
        uptime: Seconds.
        memory, disk: Bytes, by ``total``, ``available``, ``free`` and so on.
        packs: Versions of node packs by name.
        node_types: How many there are.
        problems: What is wrong with node packs.
    """

    version: str
    python: str
    platform: str
    started: float
    uptime: float
    devices: tuple[str, ...]
    workers: tuple[WorkerInfo, ...]
    memory: Mapping[str, int]
    disk: Mapping[str, int]
    queue: QueueInfo
    packs: Mapping[str, str]
    node_types: int
    problems: tuple[str, ...] = ()
