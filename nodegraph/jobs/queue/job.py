"""A job: its id, how it is handed out, and how it is read from its row."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodegraph.core.words import to_well_formed
from nodegraph.jobs.queue.connection import Connection, placeholders
from nodegraph.jobs.queue.errors import JobNotFound
from nodegraph.jobs.queue.states import Interruption, State

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: none easily taken for another
_PREFIX = "job_"
_LENGTH = 26
_RANDOM_BITS = 80
_LARGEST_TIME = (1 << 48) - 1


def new_id(now: float) -> str:
    """A name that no other job has.

    Args:
        now: Unix time; what is before 1970 counts as 1970.
    Returns:
        "job_" and 26 letters and digits: 48 bits of milliseconds, then 80 random ones.
    """
    milliseconds = min(max(int(now * 1000), 0), _LARGEST_TIME)
    number = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return _PREFIX + "".join(_LETTERS[number >> 5 * at & 31] for at in reversed(range(_LENGTH)))


def is_id(text: str) -> bool:
    """Whether a text could be the name of a job."""
    letters = text[len(_PREFIX) :]
    return text.startswith(_PREFIX) and len(letters) == _LENGTH and set(letters) <= set(_LETTERS)


_COLUMNS = (
    *("number", "id", "client", "name", "state", "held", "wanted", "priority", "created"),
    *("started", "finished", "attempt", "deaths", "worker", "tags"),
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
    attributes["held"] = bool(attributes["held"])
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
