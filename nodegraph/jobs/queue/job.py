"""Jobs: ids, states and transitions, and how a job is read from its row and changed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nodegraph.core.text_format import to_well_formed
from nodegraph.jobs.queue.backend import Connection, placeholders
from nodegraph.jobs.queue.errors import JobNotFound, StaleAttempt, WrongState
from nodegraph.store.packing import pack_well_formed

_TELL = """
INSERT INTO events (job, attempt, kind, at, body)
SELECT number, attempt, ?, ?, ? FROM jobs WHERE id = ?
"""
_SET = """
INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_AT = "SELECT number, state FROM jobs WHERE id = ? AND attempt = ?"


def apply_transition(
    connection: Connection,
    action: Action,
    id: str,
    columns: Mapping[str, Any],
    *,
    attempt: int | None = None,
) -> None:
    """Change a job if it is in a state, and its attempt the one, in which that may happen.

    Args:
        columns: What else changes.
        attempt: That of the worker which asks for it.
    Raises:
        JobNotFound: There is none of that id.
        WrongState: It is in another state.
        StaleAttempt: The worker's attempt is over.
    """
    transition = TRANSITIONS[action]
    names = list(columns)
    values = list(columns.values())
    # Counting by triggers is left out where the state stays.
    if transition.target not in transition.sources:
        names.append("state")
        values.append(transition.target)
    states = ", ".join("?" * len(transition.sources))
    query = (
        f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in names)} "  # noqa: S608
        f"WHERE id = ? AND state IN ({states})"
    )
    values += [id, *transition.sources]
    if attempt is not None:
        query += " AND attempt = ?"
        values.append(attempt)
    if not connection.execute(query, values).rowcount:
        raise refusal(connection, action, id, attempt)


def number_at(connection: Connection, action: Action, id: str, attempt: int) -> int:
    """The number of a job that is in a state and at an attempt in which something may be done.

    Raises:
        JobNotFound, WrongState, StaleAttempt: As `change`.
    """
    row = connection.execute(_AT, (id, attempt)).fetchone()
    if row is None or row[1] not in TRANSITIONS[action].sources:
        raise refusal(connection, action, id, attempt)
    return int(row[0])


def refusal(connection: Connection, action: Action, id: str, attempt: int | None) -> WrongState:
    """Why something can't be done to a job.

    Raises:
        JobNotFound: There is none of that id.
    """
    job, transition = summary(connection, id), TRANSITIONS[action]
    if attempt is not None and attempt != job.attempt:
        return StaleAttempt(
            f"{id} cannot be {transition.words} by this worker: its attempt has ended",
            given=f"attempt {attempt}",
            expected=f"attempt {job.attempt}, which is {job.state}",
        )
    return WrongState(
        f"{id} cannot be {transition.words}",
        given=describe_state(job.state, held=job.held, wanted=job.wanted),
        expected=" or ".join((*transition.sources, *(("running",) if transition.asks else ()))),
        hint=transition.hint if (job.state in ENDED) is not (action == "delete") else None,
    )


def append_queue_event(connection: Connection, id: str, kind: str, now: float, **data: Any) -> None:
    """Append an event of the queue's own."""
    connection.execute(_TELL, (kind, now, pack_well_formed({"data": data}), id))


def setting(connection: Connection, name: str) -> Any:
    """A value that belongs to the whole queue; None if it was never set."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def set_setting(connection: Connection, name: str, value: int | str | None) -> None:
    """Keep a value that belongs to the whole queue."""
    connection.execute(_SET, (name, value))


State = Literal["queued", "running", "finished", "failed", "cancelled"]
Interruption = Literal["cancel", "pause"]
"""What a running job's worker is asked to do."""
Action = Literal[
    "claim",
    "append",
    "finish",
    "fail",
    "stop",
    "requeue",
    "cancel",
    "interrupt",
    "hold",
    "unhold",
    "move",
    "prioritize",
    "retry",
    "delete",
]

STATES: tuple[State, ...] = get_args(State)
ENDED: tuple[State, ...] = ("finished", "failed", "cancelled")
_PARTICIPLES: Mapping[Interruption, str] = {"cancel": "cancelled", "pause": "paused"}
_WAITING: tuple[State, ...] = ("queued",)
_RUNNING: tuple[State, ...] = ("running",)
_ENDED = "It has already ended."


@dataclass(frozen=True, slots=True)
class Transition:
    """A change.

    Attributes:
        sources: States in which it may happen.
        target: State that it leads to; None if the job is gone then.
        words: What can't be done in any other state.
        hint: What to do where it can't be done any more, or not yet.
        asks: Whether a running job's worker is asked to see to it, by `interrupt`.
    """

    sources: tuple[State, ...]
    target: State | None
    words: str
    hint: str | None = None
    asks: bool = False


TRANSITIONS: Mapping[Action, Transition] = {
    "claim": Transition(_WAITING, "running", "claimed"),
    "append": Transition(_RUNNING, "running", "given events"),
    "finish": Transition(_RUNNING, "finished", "finished"),
    "fail": Transition(_RUNNING, "failed", "failed"),
    "stop": Transition(_RUNNING, "cancelled", "stopped"),
    "requeue": Transition(_RUNNING, "queued", "requeued"),
    "cancel": Transition(_WAITING, "cancelled", "cancelled", _ENDED, asks=True),
    "hold": Transition(_WAITING, "queued", "paused", _ENDED, asks=True),
    "unhold": Transition(_WAITING, "queued", "released", _ENDED, asks=True),
    "interrupt": Transition(_RUNNING, "running", "interrupted"),
    "move": Transition(_WAITING, "queued", "moved"),
    "prioritize": Transition(_WAITING, "queued", "given another priority"),
    "retry": Transition(("failed", "cancelled"), "queued", "retried", "Submit it again instead."),
    "delete": Transition(ENDED, None, "deleted", "Cancel it first."),
}


def describe_state(state: State, *, held: bool, wanted: Interruption | None) -> str:
    """A state in words, such as "running, to be cancelled"."""
    if held:
        return f"{state}, paused"
    return state if wanted is None else f"{state}, to be {_PARTICIPLES[wanted]}"


HELD, TIMED = 1, 2
"""Values of the column `held`; 0 for a job that may be claimed."""

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: none easily taken for another
_PREFIX = "job_"
SCHEDULE_PREFIX = "sch_"
_LENGTH = 26
_RANDOM_BITS = 80
_LARGEST_TIME = (1 << 48) - 1


def new_id(now: float, prefix: str = _PREFIX) -> str:
    """A name that no other job has.

    Args:
        now: Unix time; what is before 1970 counts as 1970.
        prefix: Of what else it is a name of.
    Returns:
        The prefix and 26 letters and digits: 48 bits of milliseconds, then 80 random ones.
    """
    milliseconds = min(max(int(now * 1000), 0), _LARGEST_TIME)
    number = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return prefix + "".join(_LETTERS[number >> 5 * at & 31] for at in reversed(range(_LENGTH)))


def storable(text: str) -> str:
    """A text of whatever origin, without what a database has no letters for."""
    well_formed: str = to_well_formed(text)
    return well_formed.replace("\0", "\ufffd")


def is_id(text: str) -> bool:
    """Whether a text could be the name of a job."""
    letters = text[len(_PREFIX) :]
    return text.startswith(_PREFIX) and len(letters) == _LENGTH and set(letters) <= set(_LETTERS)


_COLUMNS = (
    *("number", "id", "client", "name", "state", "held", "wanted", "priority", "created"),
    *("started", "finished", "attempt", "deaths", "worker", "tags", "not_before"),
)
_FAULT = ("$.code", "$.message", "$.node")
_FAULTS = ", ".join(f"json_extract(error, '{path}')" for path in _FAULT)
_SUMMARY = f"{', '.join(_COLUMNS)}, {_FAULTS}"
_SUMMED = len(_COLUMNS) + len(_FAULT)
"""Values of which a summary is made."""
_TOGETHER = 1_000
"""Jobs that are read by one statement."""
_BY_ID = f"SELECT {_SUMMARY} FROM jobs WHERE id = ?"  # noqa: S608 - names of columns
_WHOLE = f"""
SELECT {_SUMMARY.replace("number", "jobs.number")}, key, workflows.digest, requests.content,
    outputs, error, gpu, models
FROM jobs
JOIN requests ON requests.job = jobs.number
JOIN workflows ON workflows.number = jobs.workflow
WHERE id = ?
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a job failed, in short.

    Attributes:
        code: See `Problem`.
        node: At which it did, if it was one.
    """

    code: str
    message: str
    node: str | None


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job without what was asked for and what came of it.

    Attributes:
        number: Grows from job to job, whatever clocks say.
        held: Whether it waits until it is let go.
        wanted: What a running job's worker is asked to do.
        priority: -100 to 100; the highest goes first.
        created, started, finished: Unix times, for display; the last two of the last attempt, None
            until then.
        attempt: How often a worker has begun it.
        deaths: How often its worker died since it was last asked for.
        worker: That has it or had it last.
        fault: Why it failed, if it did.
        not_before: Unix time until which it waits; None if it waits for no time.
    """

    number: int
    id: str
    client: str
    name: str
    state: State
    held: bool
    wanted: Interruption | None
    priority: int
    created: float
    started: float | None
    finished: float | None
    attempt: int
    deaths: int
    worker: str | None
    tags: tuple[str, ...]
    fault: Fault | None
    not_before: float | None

    @property
    def is_timed(self) -> bool:
        """Whether it waits for its time, and for nothing else."""
        return self.not_before is not None and self.state == "queued" and not self.held


@dataclass(frozen=True, slots=True)
class Job(JobSummary):
    """A job with all that is kept of it.

    Attributes:
        key: Idempotency key.
        workflow: Digest of its text, see `JobQueue.workflow`.
        parameters: Values of named parameters of the workflow.
        targets: Nodes that are wanted; None for all outputs.
        options: How to run it.
        plan: What was foreseen when it was submitted.
        outputs: What it gave, by name: artifacts' digests and files.
        error: Why it failed, as `Problem.as_dict`.
        gpu, models, sampling: See `Submission`.
    """

    key: str | None
    workflow: str
    parameters: Mapping[str, Any]
    targets: Sequence[str] | None
    options: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    outputs: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    gpu: bool
    models: tuple[str, ...]
    sampling: str = ""


def _fields(row: Sequence[Any]) -> dict[str, Any]:
    """The attributes of a summary."""
    attributes = dict(zip(_COLUMNS, row, strict=False))
    attributes["held"] = attributes["held"] == HELD
    attributes["tags"] = () if attributes["tags"] is None else tuple(json.loads(attributes["tags"]))
    code, message, node = row[len(_COLUMNS) : _SUMMED]
    attributes["fault"] = None if code is None else Fault(str(code), str(message or ""), node)
    return attributes


def summary(connection: Connection, id: str) -> JobSummary:
    """The job of an id.

    Raises:
        JobNotFound: There is none.
    """
    row = connection.execute(_BY_ID, (id,)).fetchone()
    if row is None:
        raise not_found(id)
    return JobSummary(**_fields(row))


def summaries(connection: Connection, numbers: Sequence[int]) -> list[JobSummary]:
    """Jobs by number, in the order given; those that are gone are left out."""
    rows: dict[int, Sequence[Any]] = {}
    for start in range(0, len(numbers), _TOGETHER):
        some = numbers[start : start + _TOGETHER]
        query = f"SELECT {_SUMMARY} FROM jobs WHERE number IN ({placeholders(some)})"  # noqa: S608
        rows.update((row[0], row) for row in connection.execute(query, some))
    return [JobSummary(**_fields(rows[number])) for number in numbers if number in rows]


def get_job(connection: Connection, id: str) -> Job:
    """The job of an id, with all that is kept of it.

    Raises:
        JobNotFound: There is none.
    """
    row = connection.execute(_WHOLE, (id,)).fetchone()
    if row is None:
        raise not_found(id)
    key, workflow, content, outputs, error, gpu, models = row[_SUMMED:]
    request = json.loads(content)
    return Job(
        **_fields(row),
        key=key,
        workflow=workflow,
        parameters=request.get("parameters", {}),
        targets=request.get("targets"),
        options=request.get("options", {}),
        plan=request.get("plan"),
        outputs=None if outputs is None else read_kept(outputs),
        error=None if error is None else read_kept(error),
        gpu=bool(gpu),
        models=() if models is None else tuple(json.loads(models)),
        sampling=request.get("sampling", ""),
    )


def read_kept(text: str) -> Any:
    """The value of JSON that tells what came of a job.

    Earlier versions kept halves of surrogate pairs in it, escaped.
    """
    value = json.loads(text)
    return to_well_formed(value) if "\\ud" in text else value


def not_found(id: str) -> JobNotFound:
    """No job has this id."""
    hint = (
        "It may have been deleted from the history."
        if is_id(id)
        else "Ids of jobs are `job_` and 26 letters and digits."
    )
    return JobNotFound("there is no such job", given=id, hint=hint)
