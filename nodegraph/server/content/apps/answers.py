"""What an app answers with: in the form that a client wants, and after the time it gives."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from nodegraph.client import shapes
from nodegraph.client.shapes.telling import shape_fields
from nodegraph.errors import Problem
from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.states import ENDED
from nodegraph.server.content.apps.app import App, app_path, whole_schema
from nodegraph.server.events.hub import HubClosed, SlowConsumer
from nodegraph.server.http.errors import NotAcceptable, Refused
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import job_entry, job_path, public_outputs

AnswerForm = Literal["json", "html", "image"]
LONGEST_WAIT = 120.0
"""Seconds."""
_TYPES: Sequence[tuple[AnswerForm, str]] = (("json", "application/json"), ("html", "text/html"))
_RANGE = re.compile(r"\s*([a-z*]+)/([a-z0-9.+*-]+)\s*(?:;(.*))?")
_QUALITY = re.compile(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*")
_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,9})\"?\s*")
_ENDS = frozenset(f"job.{state}" for state in ENDED)


def negotiate_format(header: str | None) -> AnswerForm:
    """JSON, a page or a picture, whichever a client likes most; JSON if it doesn't say.

    A client that names types of pictures among others, as browsers do, wants none here.
    """
    ranges = _ranges(header or "*/*")
    liked = {form: _quality(media_type, ranges) for form, media_type in _TYPES}
    pictures = (quality for name, quality in ranges if name.startswith("image/"))
    liked["image"] = max(pictures, default=0.0)
    best = max(liked.values())
    return next((form for form in ("json", "html", "image") if liked[form] == best), "json")


def accepts_type(header: str | None, media_type: str) -> bool:
    """Whether a client takes a type."""
    return _quality(media_type, _ranges(header or "*/*")) > 0


def requested_wait(headers: Sequence[str]) -> float | None:
    """Seconds that a client asks to be waited for, as far as it may; None if it doesn't ask."""
    for preference in ",".join(headers).lower().split(","):
        match = _WAIT.fullmatch(preference.partition(";")[0])
        if match:
            return min(float(match[1]), LONGEST_WAIT)
    return None


def _ranges(header: str) -> list[tuple[str, float]]:
    ranges = []
    for part in header.lower().split(","):
        match = _RANGE.fullmatch(part)
        if match:
            ranges.append((f"{match[1]}/{match[2]}", _read_quality(match[3] or "")))
    return ranges


def _read_quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        if match := _QUALITY.fullmatch(parameter):
            return min(float(match[1]), 1.0)
    return 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """How much a type is liked: what is said of it in particular counts before what is general."""
    group = media_type.partition("/")[0]
    for name in (media_type, f"{group}/*", "*/*"):
        liked = [quality for accepted, quality in ranges if accepted == name]
        if liked:
            return max(liked)
    return 0.0


async def wait_for_job(services: Services, id: str, seconds: float) -> Job:
    """A job once it has ended; as it is then, if it hasn't within so many seconds.

    Raises:
        JobNotFound: There is none, or it was deleted meanwhile.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        # Before the first look, so that no end is missed in between.
        subscription = services.hub.subscribe([id], live=False)
    except HubClosed:
        return await services.queue_reads.run(services.queue.get, id)
    try:
        job = await services.queue_reads.run(services.queue.get, id)
        while job.state not in ENDED and loop.time() < end:
            batch = await subscription.next(end - loop.time())
            if not batch.messages or any(message.kind in _ENDS for message in batch.messages):
                job = await services.queue_reads.run(services.queue.get, id)
    except (HubClosed, SlowConsumer):
        return await services.queue_reads.run(services.queue.get, id)
    finally:
        subscription.close()
    return job


class AppFailed(Refused):
    """The app's job failed, or was cancelled; carries all that is wrong."""

    code = "app-failed"
    status = 422

    def __init__(self, job: Job) -> None:
        error = job.error or {}
        message = _text(error, "message") or "the job was cancelled"
        super().__init__(message, given=job.id, hint=_text(error, "hint"))
        self.job = job

    @property
    def problems(self) -> Sequence[Problem]:
        listed = (self.job.error or {}).get("problems") or ()
        reported = [Problem.from_dict(each) for each in listed if isinstance(each, Mapping)]
        return reported or (self.problem,)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Location": job_path(self.job.id)}


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    return None if fields.get(name) is None else str(fields[name])


def app_document(app: App) -> dict[str, Any]:
    """An app as `shapes.App` says."""
    return shape_fields(
        shapes.App,
        app,
        parameters=whole_schema(app),
        outputs=[asdict(output) for output in app.outputs],
        problems=[problem.as_dict() for problem in app.problems],
        href=app_path(app.name),
    )


def run_document(job: Job) -> dict[str, Any]:
    """A job as `shapes.AppRun` says."""
    if job.outputs is None:
        return {"job": job_entry(job), "outputs": None}
    outputs: dict[str, list[dict[str, Any]]] = {}
    for file in public_outputs(job.outputs)["files"]:
        outputs.setdefault(file["node"], []).append(file)
    return {"job": job_entry(job), "outputs": outputs}


def only_picture(job: Job) -> str:
    """Digest of the picture that a job gave.

    Raises:
        NotAcceptable: It gave none, or several.
    """
    files = public_outputs(job.outputs or {})["files"]
    pictures = [each for each in files if str(each["media_type"]).startswith("image/")]
    if len(pictures) != 1:
        raise NotAcceptable(
            f"the app gave {len(pictures)} pictures",
            given=job.id,
            expected="exactly one, to be sent as it is",
            hint="Ask for application/json; that lists what it gave.",
        )
    return str(pictures[0]["digest"])
