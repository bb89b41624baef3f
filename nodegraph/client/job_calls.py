"""What can be asked about jobs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypedDict

from nodegraph.client.calls import Call
from nodegraph.client.reading import Page, as_count, as_mapping, as_nothing, as_one, as_page
from nodegraph.client.requests import Request, json_request, place, query
from nodegraph.client.shapes import EventPage, Job, JobSummary, State
from nodegraph.errors import InvalidValue

_JOBS = "/jobs"
PLAN_SECONDS = 60.0
"""That the server gives its planner."""


class AsDocument(Protocol):
    """A `nodegraph.Workflow`, or whatever else can say what its file says."""

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Saved:
    """A workflow that is saved on the server.

    Attributes:
        version: Its number; None for the newest.
    """

    name: str
    version: int | None = None


AnyWorkflow = Mapping[str, Any] | AsDocument | Saved
End = Literal["first", "last"]


class WishFields(TypedDict, total=False):
    """What may be said of a workflow that is to be checked, planned or run.

    Attributes:
        parameters: Values of the workflow's named parameters.
        targets: Nodes to run, with what they need; all that write something if not given.
    """

    parameters: Mapping[str, Any]
    targets: Sequence[str] | None


class RunOptions(TypedDict, total=False):
    """How a job is run.

    Attributes:
        deadline: Seconds of running after which it is cancelled.
        check_mutation: Find nodes that change their inputs; slow.
        stall_seconds: Without news, after which a node counts as stalled: for all, or by node.
    """

    deadline: float
    check_mutation: bool
    stall_seconds: float | Mapping[str, float]


class JobFields(WishFields, total=False):
    """What may be said of a job.

    Attributes:
        name: For display; the workflow's title if not given.
        tags: To find it by.
        priority: -100 to 100; the highest goes first.
        held: Let it wait until it is let go.
        options: How to run it.
        plan: Plan it first, and keep the plan with it. Takes longer.
    """

    name: str
    tags: Sequence[str]
    priority: int
    held: bool
    options: RunOptions
    plan: bool


class Match(TypedDict, total=False):
    """Which jobs are meant: those that match everything that is given.

    Attributes:
        state: In it, or in one of several.
        text: A part of the name.
        client: Whose.
        created_after, created_before: Unix times, the first one included.
    """

    state: State | Sequence[State]
    tag: str
    text: str
    client: str
    created_after: float
    created_before: float


class Filters(Match, total=False):
    """Which jobs are listed, and in which order.

    Attributes:
        order: ``newest`` or ``oldest``, whichever comes first.
        limit: Asked for at a time.
    """

    order: Literal["newest", "oldest"]
    limit: int


def wish(workflow: AnyWorkflow, fields: WishFields | JobFields) -> dict[str, Any]:
    """A workflow and what is said of it, as they are sent."""
    return {"workflow": _workflow(workflow), **fields}


def _workflow(given: AnyWorkflow) -> Mapping[str, Any]:
    if isinstance(given, Saved):
        return {"saved": given.name, "version": given.version}
    return document_of(given)


def document_of(workflow: Mapping[str, Any] | AsDocument) -> Mapping[str, Any]:
    """What the file of a workflow says."""
    return workflow if isinstance(workflow, Mapping) else workflow.to_dict()


def submit(workflow: AnyWorkflow, fields: JobFields, key: str | None) -> Call[JobSummary]:
    """Have a workflow run.

    Args:
        key: Under which there is one job however often this is sent; made if not given.
    """
    headers = {"Idempotency-Key": key or secrets.token_hex(16)}
    request = json_request("POST", _JOBS, wish(workflow, fields), headers)
    if fields.get("plan"):
        request = replace(request, seconds=PLAN_SECONDS)
    return Call(request, as_one(JobSummary))


def get(id: str) -> Call[Job]:
    """A job with all that is kept of it."""
    return Call(Request("GET", _JOBS + place(id)), as_one(Job))


def get_workflow(id: str, is_filled: bool) -> Call[Mapping[str, Any]]:
    """The workflow of a job.

    Args:
        is_filled: Whether the values of its parameters are to be in it.
    """
    asked = query(parameters=is_filled or None)
    return Call(Request("GET", _JOBS + place(id, "workflow"), asked), as_mapping)


def page(cursor: str | None, which: Filters) -> Call[Page[JobSummary]]:
    """Some jobs."""
    return Call(Request("GET", _JOBS, query(**which, cursor=cursor)), as_page(JobSummary))


def steer(id: str, action: str) -> Call[JobSummary]:
    """Do something with a job that a second time may mean something else."""
    return Call(Request("POST", _JOBS + place(id, action)), as_one(JobSummary), is_repeatable=False)


def prioritise(id: str, priority: int) -> Call[JobSummary]:
    """Give a job another priority."""
    request = json_request("PATCH", _JOBS + place(id), {"priority": priority})
    return Call(request, as_one(JobSummary))


def move(id: str, to: End | None, before: str | None) -> Call[JobSummary]:
    """Give a job another place.

    Raises:
        InvalidValue: None, or two of them.
    """
    if (to is None) == (before is None):
        raise InvalidValue(
            "a job is moved to an end, or before another one", expected="one of them"
        )
    where = {"to": to} if before is None else {"before": before}
    request = json_request("POST", _JOBS + place(id, "move"), where)
    return Call(request, as_one(JobSummary), is_repeatable=False)


def delete(id: str) -> Call[None]:
    """Forget a job."""
    return Call(Request("DELETE", _JOBS + place(id)), as_nothing, done_before=404)


def delete_all(which: Match) -> Call[int]:
    """Forget jobs; how many."""
    # Sent once more, it would tell of none.
    request = Request("DELETE", _JOBS, query(**which))
    return Call(request, as_count("deleted"), is_repeatable=False)


def events(after: int, id: str | None = None, limit: int = 1_000) -> Call[EventPage]:
    """What happened to a job, or to all, after an event."""
    path = "/events" if id is None else _JOBS + place(id, "events")
    return Call(Request("GET", path, query(after=after, limit=limit)), as_one(EventPage))
