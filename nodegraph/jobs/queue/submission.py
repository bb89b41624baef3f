"""What a client asks for, checked and brought into the form in which it is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.errors import InvalidValue

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
        raise InvalidValue(f"the job's workflow can't be kept as text: {error}") from error


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
    return digest_bytes(json.dumps(request, sort_keys=True).encode())


def _cost(seconds: float | None) -> float:
    if seconds is None:
        return 1.0
    if not math.isfinite(seconds) or seconds < 0:
        raise InvalidValue(
            "a job can't take so long", given=f"{seconds} s", expected="seconds, 0 or more"
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
            "this is no priority",
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
        raise InvalidValue(f"the job's {what} can't be kept as JSON: {error}") from error


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
            f"this can't be a job's {what}",
            given=repr(text) if len(repr(text)) < 40 else f"{len(text)} characters",
            expected=f"text of {least} to {_LONGEST_TEXT} characters",
        )
    # Half a surrogate pair has no UTF-8; a NUL ends a text for some who read it.
    if any("\ud800" <= letter <= "\udfff" or letter == "\0" for letter in text):
        raise InvalidValue(f"the job's {what} holds what is no character", given=ascii(text)[:80])
