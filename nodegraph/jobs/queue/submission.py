"""Submissions: check what a client asks for, and insert it as a job."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue.backend import Connection
from nodegraph.jobs.queue.errors import KeyReused, QueueFull, TooMuchKept
from nodegraph.jobs.queue.job import JobSummary, append_queue_event, new_id, summary
from nodegraph.jobs.queue.job_order import Limits, initial_position
from nodegraph.jobs.queue.schedules import initial_hold, parse_moment
from nodegraph.jobs.queue.webhooks import Webhook, check_webhook
from nodegraph.jobs.queue.webhooks import add as add_webhook

_BY_KEY = "SELECT id, request FROM jobs WHERE client = ? AND key = ?"
_WAITING = (
    "SELECT coalesce(sum(count), 0) FROM tallies WHERE client = ? AND state IN ('queued', 'held')"
)
_ALL_WAITING = "SELECT coalesce(sum(count), 0) FROM tallies WHERE state IN ('queued', 'held')"
_LAST = "SELECT value FROM counters WHERE name = 'jobs'"
_INSERT = """
INSERT INTO jobs (
    number, id, client, name, state, held, priority, position, cost, created, attempt, deaths,
    workflow, tags, key, request, size, gpu, models, not_before
) VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SIZE = "SELECT coalesce(sum(bytes), 0) FROM sizes WHERE client = ?"
_ADD = "INSERT INTO workflows (digest, content) VALUES (?, ?) RETURNING number"
_SMALL = 16 << 10
"""Bytes up to which jobs aren't counted but by their number."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job that a submission has become.

    Attributes:
        is_new: False if it was there already, under the same idempotency key.
    """

    job: JobSummary
    is_new: bool


def submit(
    connection: Connection,
    wanted: Sequence[PreparedSubmission],
    limits: Limits,
    most_waiting: int,
    now: float,
) -> list[Submitted]:
    """Take in some jobs of one client.

    Raises:
        QueueFull: They are more than may wait, or take more space than may be.
        KeyReused: A key came with another request before.
    """
    client = wanted[0].submission.client
    submitted = []
    added = 0
    for each in wanted:
        known = _known(connection, each)
        if known is None:
            added += 1
            submitted.append(Submitted(_insert(connection, each, now), True))
        else:
            submitted.append(Submitted(summary(connection, known), False))
    if added:
        # Counted last, as those under known keys take no place; a refusal takes all back.
        check_room(connection, client, limits.waiting, most_waiting, added)
        _check_size(connection, client, limits.bytes)
    return submitted


def _known(connection: Connection, wanted: PreparedSubmission) -> str | None:
    submission = wanted.submission
    if submission.key is None:
        return None
    row = connection.execute(_BY_KEY, (submission.client, submission.key)).fetchone()
    if row is None:
        return None
    if row[1] != wanted.request_digest:
        raise KeyReused(submission.key, row[0])
    return str(row[0])


def check_room(
    connection: Connection, client: str, limit: int, most_waiting: int, added: int
) -> None:
    """See that no more jobs wait than may, now that some were added.

    Raises:
        QueueFull: They do.
    """
    (own,) = connection.execute(_WAITING, (client,)).fetchone()
    if own > limit:
        raise QueueFull(f"the queue of {client} is", int(own) - added, limit, added)
    (all_,) = connection.execute(_ALL_WAITING).fetchone()
    if all_ > most_waiting:
        raise QueueFull("the queue is", int(all_) - added, most_waiting, added)


def _check_size(connection: Connection, client: str, limit: int) -> None:
    (size,) = connection.execute(_SIZE, (client,)).fetchone()
    if size > limit:
        raise TooMuchKept(client, int(size), limit)


def _insert(connection: Connection, wanted: PreparedSubmission, now: float) -> JobSummary:
    submission = wanted.submission
    last = connection.execute(_LAST).fetchone()
    hold, not_before = initial_hold(submission.held, submission.not_before, now)
    job = JobSummary(
        number=1 if last is None else last[0] + 1,
        id=new_id(now),
        client=submission.client,
        name=submission.name,
        state="queued",
        held=submission.held,
        wanted=None,
        priority=submission.priority,
        created=now,
        started=None,
        finished=None,
        attempt=0,
        deaths=0,
        worker=None,
        tags=wanted.tags,
        fault=None,
        not_before=not_before,
    )
    about = (job.number, job.id, job.client, job.name, hold, job.priority)
    position, (workflow, size) = initial_position(job.number), _workflow(connection, wanted)
    size += len(wanted.request)
    tags = json_text(job.tags, "tags") if job.tags else None
    request_columns = (
        workflow,
        tags,
        submission.key,
        wanted.request_digest,
        size if size > _SMALL else 0,
    )
    models = json_text(list(submission.models), "models") if submission.models else None
    needs = int(submission.gpu), models, not_before
    connection.execute(_INSERT, (*about, position, wanted.cost, now, *request_columns, *needs))
    connection.execute("INSERT INTO requests VALUES (?, ?)", (job.number, wanted.request))
    if tags:
        rows = [(tag, job.number) for tag in job.tags]
        connection.executemany("INSERT INTO tags VALUES (?, ?)", rows)
    if submission.webhook is not None:
        add_webhook(connection, job.number, job.client, submission.webhook, now)
    data = {} if not_before is None else {"not_before": not_before}
    append_queue_event(connection, job.id, "job.queued", now, **data)
    return job


def _workflow(connection: Connection, wanted: PreparedSubmission) -> tuple[int, int]:
    """The number of its workflow, which is stored once, and the bytes that it takes more."""
    query = "SELECT number FROM workflows WHERE digest = ?"
    row = connection.execute(query, (wanted.digest,)).fetchone()
    if row is not None:
        return int(row[0]), 0
    (number,) = connection.execute(_ADD, (wanted.digest, wanted.workflow)).fetchone()
    return int(number), len(wanted.workflow)


LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100
_LONGEST_TEXT = 256
_MOST_TAGS = 32
_LEAST_COST = 0.001
"""Seconds; what costs nothing would never give others their turn."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to be.

    Attributes:
        workflow: As its JSON text or as the value of that.
        name: For display.
        parameters, targets, options, plan: See `Job`; all plain JSON values.
        tags: To find it by.
        priority: -100 to 100; the highest goes first, before all jobs of lower ones.
        key: Idempotency key: with the same one, a client gets the same job.
        seconds: That it will take, if the plan knows; counts in its client's share.
        held: Whether it waits until it is let go.
        gpu: Whether it needs a GPU, where there are any.
        models: Whose weights it needs, by names that say the same for the same weights.
        sampling: Says the same for jobs with the same models whose samplings may share batches;
            empty if it shares none.
        not_before: Unix time until which it waits; None if it waits for no time.
        webhook: Where its events are sent.
    """

    client: str
    workflow: str | Mapping[str, Any]
    name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    targets: Sequence[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] | None = None
    tags: Sequence[str] = ()
    priority: int = 0
    key: str | None = None
    seconds: float | None = None
    held: bool = False
    gpu: bool = True
    models: Sequence[str] = ()
    sampling: str = ""
    not_before: float | None = None
    webhook: Webhook | None = None


@dataclass(frozen=True, slots=True)
class PreparedSubmission:
    """A submission in the form in which it is kept.

    Attributes:
        digest: Of the workflow's text.
        request: JSON of what else is needed to run it.
        request_digest: Of all that makes two requests under one key the same; None without a key.
        tags: Each once.
    """

    submission: Submission
    workflow: str
    digest: Digest
    request: str
    request_digest: Digest | None
    tags: tuple[str, ...]
    cost: float


def prepare_submission(submission: Submission) -> PreparedSubmission:
    """Check a submission.

    Raises:
        InvalidValue: A value that can't be kept.
    """
    _check_text("client", submission.client)
    _check_text("name", submission.name, least=0)
    if submission.key is not None:
        _check_text("idempotency key", submission.key)
    tags = list(dict.fromkeys(submission.tags))
    _check_tags(tags)
    checked_priority(submission.priority)
    if submission.not_before is not None:
        parse_moment(submission.not_before)
    if submission.webhook is not None:
        check_webhook(submission.webhook)
    text = submission.workflow
    if not isinstance(text, str):
        text = json_text(text, "workflow")
    digest = _digest(text)
    return PreparedSubmission(
        submission,
        text,
        digest,
        json_text(_request(submission), "request"),
        None if submission.key is None else _request_digest(submission, digest, tags),
        tuple(tags),
        _cost(submission.seconds),
    )


def _digest(workflow: str) -> Digest:
    try:
        return digest_bytes(workflow.encode())
    except UnicodeEncodeError as error:
        raise InvalidValue(f"the job's workflow cannot be stored as text: {error}") from error


def _request(submission: Submission) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if submission.parameters:
        request["parameters"] = dict(submission.parameters)
    if submission.targets is not None:
        request["targets"] = list(submission.targets)
    if submission.options:
        request["options"] = dict(submission.options)
    if submission.plan is not None:
        request["plan"] = submission.plan
    if submission.sampling:
        request["sampling"] = submission.sampling
    return request


def _request_digest(submission: Submission, workflow: Digest, tags: list[str]) -> Digest:
    # Not the plan, nor the time it foresees: they depend on what else has run meanwhile. What it
    # needs is told by the workflow.
    request = _request(replace(submission, sampling="")) | {
        "plan": None,
        "workflow": workflow,
        "name": submission.name,
        "tags": tags,
        "priority": submission.priority,
        "held": submission.held,
    }
    # Only where they are given, so that keys of earlier versions stay good.
    if submission.not_before is not None:
        request["not_before"] = submission.not_before
    if submission.webhook is not None:
        request["webhook"] = [submission.webhook.url, *submission.webhook.events]
    return digest_bytes(json.dumps(request, sort_keys=True).encode())


def _cost(seconds: float | None) -> float:
    if seconds is None:
        return 1.0
    if not math.isfinite(seconds) or seconds < 0:
        raise InvalidValue(
            "a job cannot run that long", given=f"{seconds} s", expected="seconds, 0 or more"
        )
    return max(seconds, _LEAST_COST)


def checked_priority(priority: int) -> int:
    """The priority.

    Raises:
        InvalidValue: It is none.
    """
    is_number = isinstance(priority, int) and not isinstance(priority, bool)
    if not is_number or not LOWEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
        raise InvalidValue(
            "this is not a priority",
            given=str(priority),
            expected=f"a whole number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}",
        )
    return priority


def json_text(value: Any, what: str) -> str:
    """Compact JSON.

    Raises:
        InvalidValue: JSON can't hold it.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"the job's {what} cannot be stored as JSON: {error}") from error


def _check_tags(tags: Sequence[str]) -> None:
    if len(tags) > _MOST_TAGS:
        raise InvalidValue(
            "too many tags for one job", given=str(len(tags)), expected=f"at most {_MOST_TAGS}"
        )
    for tag in tags:
        _check_text("tag", tag)


def _check_text(what: str, text: str, *, least: int = 1) -> None:
    if not isinstance(text, str) or not least <= len(text) <= _LONGEST_TEXT:
        raise InvalidValue(
            f"this cannot be a job's {what}",
            given=repr(text) if len(repr(text)) < 40 else f"{len(text)} characters",
            expected=f"text of {least} to {_LONGEST_TEXT} characters",
        )
    # Half a surrogate pair has no UTF-8; a NUL ends a text for some who read it.
    if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in text):
        raise InvalidValue(
            f"the job's {what} has something that is not a character", given=ascii(text)[:80]
        )
