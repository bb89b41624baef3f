"""Messages between the server and its workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from nodegraph.core.events import Event
from nodegraph.jobs.supervisor.protocol import FieldChoices, Fields, Message, read_message, rows

RoleName = Literal["worker", "planner"]
EndStatus = Literal["finished", "failed", "cancelled", "released"]
HelpStatus = Literal["begun", "useless", "unfit", "over", "stopped"]

_TEXT = (str,)
_TEXT_OR_NONE = (str, type(None))
_NUMBER = (int,)
_NUMBER_OR_NONE = (int, type(None))
_MAP = (dict,)
_MAP_OR_NONE = (dict, type(None))
_LIST = (list,)
_BOOLEAN = (bool,)
_JOB: Fields = {"job": _TEXT, "attempt": _NUMBER}


# To a worker


@dataclass(frozen=True, slots=True)
class RunJob(Message):
    """Run a job.

    Attributes:
        workflow: JSON text.
        parameters: Values of named parameters.
        targets: Nodes that are wanted; None for all outputs.
        options: How to run it. ``deadline``: seconds after which it is cancelled;
            ``check_mutation``; ``metadata``, ``metadata_prompts`` and ``sidecar``: what files
            carry; ``stall_seconds``, which is for the supervisor: seconds without
            news after which its node counts as stalled, or a map of them by node name.
        client, priority: Whose job it is, and how urgent.
        models: For the supervisor: names of those whose weights it needs.
        sampling: For the supervisor: see `Submission`; empty if it is to run alone.
        beside: Whether it begins at once beside what runs, rather than after it.
    """

    job: str
    attempt: int
    workflow: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    targets: Sequence[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    client: str = ""
    priority: int = 0
    models: Sequence[str] = field(default_factory=list)
    sampling: str = ""
    beside: bool = False

    kind: ClassVar[str] = "run"
    fields: ClassVar[Fields] = {
        **_JOB,
        "workflow": _TEXT,
        "parameters": _MAP,
        "targets": (list, type(None)),
        "options": _MAP,
        "client": _TEXT,
        "priority": _NUMBER,
        "models": _LIST,
        "sampling": _TEXT,
        "beside": _BOOLEAN,
    }


@dataclass(frozen=True, slots=True)
class Cancel(Message):
    """Stop a job at its next step."""

    job: str
    attempt: int
    reason: str = ""

    kind: ClassVar[str] = "cancel"
    fields: ClassVar[Fields] = {**_JOB, "reason": _TEXT}


@dataclass(frozen=True, slots=True)
class Release(Message):
    """Save a job's work at its next step, and give it back."""

    job: str
    attempt: int
    reason: str = ""

    kind: ClassVar[str] = "release"
    fields: ClassVar[Fields] = {**_JOB, "reason": _TEXT}


@dataclass(frozen=True, slots=True)
class Help(Message):
    """Compute along with a job that another worker runs, until there is something else to do.

    Attributes:
        order: Fields of the `RunJob` that the other worker has.
    """

    job: str
    attempt: int
    order: Mapping[str, Any]

    kind: ClassVar[str] = "help"
    fields: ClassVar[Fields] = {**_JOB, "order": _MAP}


@dataclass(frozen=True, slots=True)
class StopHelp(Message):
    """Compute along with a job no more, from the next step on."""

    job: str
    attempt: int
    reason: str = ""

    kind: ClassVar[str] = "stop_help"
    fields: ClassVar[Fields] = {**_JOB, "reason": _TEXT}


@dataclass(frozen=True, slots=True)
class Ask(Message):
    """Answer a question, such as what a workflow's plan is."""

    id: int
    question: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    kind: ClassVar[str] = "ask"
    fields: ClassVar[Fields] = {"id": _NUMBER, "question": _TEXT, "arguments": _MAP}


@dataclass(frozen=True, slots=True)
class Shutdown(Message):
    """Give back what runs, and end."""

    kind: ClassVar[str] = "shutdown"
    fields: ClassVar[Fields] = {}


# From a worker


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """The worker takes jobs, or questions.

    Attributes:
        versions: Of nodegraph, Python and what else matters, for display.
        room: The memory of its device, as `nodegraph.engine.planning.device_memory.DeviceMemory`
            has it; None where it can't be told.
    """

    pid: int
    role: RoleName
    device: str
    versions: Mapping[str, str]
    room: Mapping[str, Any] | None = None

    kind: ClassVar[str] = "ready"
    fields: ClassVar[Fields] = {
        "pid": _NUMBER,
        "role": _TEXT,
        "device": _TEXT,
        "versions": _MAP,
        "room": _MAP_OR_NONE,
    }
    choices: ClassVar[FieldChoices] = {"role": get_args(RoleName)}


@dataclass(frozen=True, slots=True)
class Heartbeat(Message):
    """The worker lives.

    Attributes:
        job: That it has.
        node: That began last.
        memory: Bytes that the process has in memory.
        device_memory: Bytes that it has on its device, if that is another memory.
        alive: Grows with each event of a run.
        stuck: What code of a pack has been doing for too long, in words.
    """

    job: str | None
    node: str | None
    memory: int
    device_memory: int | None
    alive: int
    stuck: str | None = None

    kind: ClassVar[str] = "heartbeat"
    fields: ClassVar[Fields] = {
        "job": _TEXT_OR_NONE,
        "node": _TEXT_OR_NONE,
        "memory": _NUMBER,
        "device_memory": _NUMBER_OR_NONE,
        "alive": _NUMBER,
        "stuck": _TEXT_OR_NONE,
    }


@dataclass(frozen=True, slots=True)
class RunEvents(Message):
    """Events of a job's run, in order."""

    job: str
    attempt: int
    events: Sequence[Event]

    kind: ClassVar[str] = "events"
    fields: ClassVar[Fields] = {**_JOB, "events": _LIST}

    def as_dict(self) -> dict[str, Any]:
        return {**Message.as_dict(self), "events": rows(self.events)}


@dataclass(frozen=True, slots=True)
class Ended(Message):
    """A job's run is over.

    Attributes:
        outputs: What it gave, if it finished.
        error: Why it failed: the first problem, and all in ``problems``.
        events: The last ones, after all that were sent before.
    """

    job: str
    attempt: int
    status: EndStatus
    outputs: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    events: Sequence[Event] = ()

    kind: ClassVar[str] = "ended"
    fields: ClassVar[Fields] = {
        **_JOB,
        "status": _TEXT,
        "outputs": _MAP_OR_NONE,
        "error": _MAP_OR_NONE,
        "events": _LIST,
    }
    choices: ClassVar[FieldChoices] = {"status": get_args(EndStatus)}

    def as_dict(self) -> dict[str, Any]:
        return {**Message.as_dict(self), "events": rows(self.events)}


@dataclass(frozen=True, slots=True)
class HelpUpdate(Message):
    """How helping with a job goes.

    Attributes:
        status: ``begun``: it computes along. All others are an end. ``useless``: no two could work
            at the job at once. ``unfit``: this worker is none who could. ``over``: nothing is left
            to do. ``stopped``: it was asked to stop, or was given a job of its own.
    """

    job: str
    attempt: int
    status: HelpStatus

    kind: ClassVar[str] = "help_news"
    fields: ClassVar[Fields] = {**_JOB, "status": _TEXT}
    choices: ClassVar[FieldChoices] = {"status": get_args(HelpStatus)}


@dataclass(frozen=True, slots=True)
class BatchingUpdate(Message):
    """How samplings share batches in this worker; told when that changes.

    Attributes:
        most: Jobs like the one whose sampling goes on that there may be in all; 0 while none goes
            on that could take company.
        memory: Bytes that each of them takes, besides weights.
        merged: Steps so far that were computed in a batch with others'.
    """

    most: int
    memory: int
    merged: int

    kind: ClassVar[str] = "merging"
    fields: ClassVar[Fields] = {"most": _NUMBER, "memory": _NUMBER, "merged": _NUMBER}


@dataclass(frozen=True, slots=True)
class Answer(Message):
    """What was asked for, or why it can't be told."""

    id: int
    value: Any = None
    error: Mapping[str, Any] | None = None

    kind: ClassVar[str] = "answer"
    fields: ClassVar[Fields] = {"id": _NUMBER, "value": (object,), "error": _MAP_OR_NONE}


# To a planner, and from a worker


@dataclass(frozen=True, slots=True)
class MemoryUpdate(Message):
    """What a worker holds in memory; a planner is told of the one whose jobs it plans.

    Attributes:
        results: By key, those that are new; see `nodegraph.engine.planning.device_memory.packed`.
        gone: Keys of those that are there no more.
        weights: Names of all weights in memory.
        is_all: What was told before is void.
        rooms: For a planner: the memory of devices, by their kind, such as ``cuda``; see `Ready`.
    """

    results: Mapping[str, Any]
    gone: Sequence[str]
    weights: Sequence[str]
    is_all: bool = False
    rooms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    kind: ClassVar[str] = "stock"
    fields: ClassVar[Fields] = {
        "results": _MAP,
        "gone": _LIST,
        "weights": _LIST,
        "is_all": _BOOLEAN,
        "rooms": _MAP,
    }


_TO_WORKER: Mapping[str, type[Message]] = {
    item.kind: item
    for item in (RunJob, Cancel, Release, Help, StopHelp, Ask, MemoryUpdate, Shutdown)
}
_FROM_WORKER: Mapping[str, type[Message]] = {
    item.kind: item
    for item in (
        Ready,
        Heartbeat,
        RunEvents,
        MemoryUpdate,
        BatchingUpdate,
        Ended,
        HelpUpdate,
        Answer,
    )
}


def read_order(message: Mapping[str, Any]) -> Message:
    """What a worker is told.

    Raises:
        ProtocolFault: It isn't as agreed.
    """
    return read_message(message, _TO_WORKER)


def read_report(message: Mapping[str, Any]) -> Message:
    """What a worker tells.

    Raises:
        ProtocolFault: It isn't as agreed.
    """
    return read_message(message, _FROM_WORKER)
