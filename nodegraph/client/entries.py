"""What the server tells of, besides jobs and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.client.jobs import JobSummary, OutputFile
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
class SavedVersion:
    """A state of a saved workflow.

    Attributes:
        version: 1 is the first.
        digest: Of its text; names what a change is made to, see `Workflows.save`.
        saved: Unix time.
        size: Bytes of its text.
    """

    version: int
    digest: str
    saved: float
    size: int


@dataclass(frozen=True, slots=True)
class SavedItem:
    """A saved workflow in a list.

    Attributes:
        parameters: Names of what people vary.
        nodes: How many there are.
        problem: Why its file can't be read; None if it can.
    """

    name: str
    title: str
    description: str
    digest: str
    saved: float
    parameters: tuple[str, ...]
    nodes: int
    problem: str | None = None


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
    """

    name: str
    kind: str
    family: str | None
    bytes: int
    problem: str | None = None


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


@dataclass(frozen=True, slots=True)
class AppItem:
    """An app in a list: a saved workflow that can be run by its name."""

    name: str
    title: str
    description: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class App:
    """A saved workflow as an app.

    Attributes:
        version, digest: Of the saved workflow.
        parameters: JSON Schema of the values that it takes.
        problems: Why some of it can't be used.
    """

    name: str
    title: str
    description: str
    version: int
    digest: str
    parameters: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class AppRun:
    """What became of a run of an app.

    Attributes:
        outputs: Files by the node that gave them; None if it hasn't finished.
    """

    job: JobSummary
    outputs: Mapping[str, tuple[OutputFile, ...]] | None = None
