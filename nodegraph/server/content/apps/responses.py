"""Responses of an app as JSON, HTML pages or an image."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from fastapi.responses import HTMLResponse

from nodegraph.client import shapes
from nodegraph.client.shapes.schema import shape_fields
from nodegraph.core.file_access import upload_digest
from nodegraph.core.text_format import format_size
from nodegraph.errors import Problem
from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.job import ENDED
from nodegraph.server.content.apps.app import App, AppParameter, app_path, whole_schema
from nodegraph.server.content.pages import (
    Child,
    Markup,
    PageValue,
    element,
    joined,
    page,
)
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
    """JSON, a page or an image, whichever a client likes most; JSON if it doesn't say.

    A client that names types of images among others, as browsers do, wants none here.
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
    """Digest of the image that a job gave.

    Raises:
        NotAcceptable: It gave none, or several.
    """
    files = public_outputs(job.outputs or {})["files"]
    pictures = [each for each in files if str(each["media_type"]).startswith("image/")]
    if len(pictures) != 1:
        raise NotAcceptable(
            f"the app returned {len(pictures)} images",
            given=job.id,
            expected="exactly one, which is sent directly",
            hint="Request application/json, which lists all outputs.",
        )
    return str(pictures[0]["digest"])


_ACCEPTED = {"file:image": "image/png,image/jpeg,image/webp,image/gif"}
_SECONDS = 2
"""After which a page that waits is loaded again."""
_WAITS = {"queued": "It waits for its turn.", "running": "It is running."}


def field(parameter: AppParameter, texts: Sequence[str] | None, wrong: str = "") -> Markup:
    """What a parameter is entered with.

    Args:
        texts: What was entered before; None shows what the workflow itself gives.
        wrong: What is wrong with that.
    """
    field_id = f"field-{parameter.name}"
    text = _shown(parameter.default) if texts is None else "\n".join(texts)
    described = f"{field_id}-help" if parameter.help else None
    shared: dict[str, PageValue] = {
        "id": field_id,
        "name": parameter.name,
        "required": parameter.is_required and not parameter.is_file,
        "aria_describedby": described,
        "aria_invalid": "true" if wrong else None,
    }
    parts = [element("label", parameter.label, for_=field_id), _control(parameter, text, shared)]
    if parameter.help:
        parts.append(element("p", parameter.help, class_="help", id=described))
    if wrong:
        parts.append(element("p", wrong, class_="wrong"))
    return element("div", *parts)


def _control(parameter: AppParameter, text: str, shared: dict[str, PageValue]) -> Markup:
    port, schema = parameter.port, parameter.port.json_schema or {}
    kind = schema.get("type")
    if "enum" in schema:
        return _select([_shown(choice) for choice in schema["enum"]], text, parameter, shared)
    if kind == "boolean":
        return _select(["true", "false"], text, parameter, shared)
    if parameter.is_file:
        return _file_field(parameter, text, shared)
    if kind in ("integer", "number"):
        return _number(schema, text, shared)
    if kind == "string" and port.widget != "multiline":
        return element("input", type="text", value=text, autocomplete="off", **shared)
    spelling = None if kind == "string" else "false"
    # A line break right after the tag is no part of the text.
    return element("textarea", f"\n{text}", spellcheck=spelling, **shared)


def _select(
    choices: Sequence[str], text: str, parameter: AppParameter, shared: dict[str, PageValue]
) -> Markup:
    options: list[Child] = []
    if not parameter.is_required and (parameter.port.nullable or text not in choices):
        options.append(element("option", "as it is", value="", selected=text not in choices))
    options += [
        element("option", choice, value=choice, selected=choice == text) for choice in choices
    ]
    return element("select", *options, **shared)


def _file_field(parameter: AppParameter, text: str, shared: dict[str, PageValue]) -> Markup:
    accept = _ACCEPTED.get(parameter.port.widget)
    chooser = element("input", type="file", accept=accept, **shared)
    if not text:
        return chooser
    # What was brought already needn't be chosen again.
    kept = element("input", type="hidden", name=parameter.name, value=text)
    name = text.partition("/")[2] if upload_digest(text) else text
    return joined([kept, chooser, element("p", f"Otherwise {name}.", class_="help")])


def _number(schema: dict[str, Any], text: str, shared: dict[str, PageValue]) -> Markup:
    # Its editor's step isn't the rule: it would keep a browser from sending other numbers.
    usual: PageValue = "any" if schema.get("type") == "number" else 1
    multiple = schema.get("multipleOf")
    return element(
        "input",
        type="number",
        value=text,
        min=schema.get("minimum"),
        max=schema.get("maximum"),
        step=multiple if multiple and not schema.get("minimum", 0) % multiple else usual,
        **shared,
    )


def _shown(value: Any) -> str:
    """A value as it is entered."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def form_page(
    app: App,
    *,
    texts: Mapping[str, Sequence[str]] | None = None,
    problems: Sequence[Problem] = (),
    status: int = 200,
) -> HTMLResponse:
    """The form with which an app is run.

    Args:
        texts: What was entered before, by field.
        problems: What is wrong with that.
    """
    wrong = {(problem.node, problem.port): problem for problem in problems}
    fields: dict[bool, list[Child]] = {False: [], True: []}
    placed: set[Problem] = set()
    for parameter in app.parameters:
        fault = wrong.get((parameter.node, parameter.port.name))
        entered = None if texts is None else texts.get(parameter.name, ())
        message = "" if fault is None else _problem_text(fault)
        fields[parameter.port.advanced].append(field(parameter, entered, message))
        placed.update([] if fault is None else [fault])
    others = [problem for problem in (*app.problems, *problems) if problem not in placed]
    parts: list[Child] = [_problems(others), *fields[False]]
    if fields[True]:
        inner = element("div", *fields[True])
        parts.append(element("details", element("summary", "More"), inner, open=bool(placed)))
    parts.append(element("button", "Run", type="submit"))
    form = element(
        *("form", *parts), method="post", enctype="multipart/form-data", action=app_path(app.name)
    )
    return page(app.title, app.description, form, status=status)


def job_page(name: str, title: str, job: Job) -> HTMLResponse:
    """What became of a job; one that goes on is looked at again and again."""
    back = element("p", element("a", "Back to the form", href=app_path(name)))
    if job.state not in ENDED:
        waits = [element("p", _WAITS[job.state]), element("progress")]
        return page(title, "", element("main", *waits, back), refresh=_SECONDS)
    if job.state != "finished":
        error = job.error or {"code": "cancelled", "message": "It was cancelled."}
        problems = [Problem.from_dict(each) for each in error.get("problems") or [error]]
        return page(title, "", element("main", _problems(problems), back))
    files = public_outputs(job.outputs or {})["files"]
    shown: list[Child] = [_file(each) for each in files]
    return page(
        title, "", element("main", *(shown or [element("p", "It has no output files.")]), back)
    )


def _problems(problems: Sequence[Problem]) -> Markup:
    if not problems:
        return Markup()
    items = [element("li", _with_place(problem)) for problem in problems]
    listed = element("ul", *items)
    return element("div", "This is not possible:", listed, class_="problems", role="alert")


def _with_place(problem: Problem) -> str:
    return f"{problem.place}: {_problem_text(problem)}" if problem.place else _problem_text(problem)


def _problem_text(problem: Problem) -> str:
    expected = f" Expected: {problem.expected}." if problem.expected else ""
    return f"{problem.message}.{expected} {problem.hint or ''}".strip()


def _file(file: Mapping[str, Any]) -> Markup:
    link = element("a", str(file["name"]), href=file["href"], download=file["name"])
    caption = element("figcaption", link, f", {format_size(file['size'])}, from {file['node']}")
    if str(file["media_type"]).startswith("image/"):
        shown = element("img", src=file["href"], alt=file["name"])
        return element("figure", element("a", shown, href=file["href"]), caption)
    return element("figure", caption)
