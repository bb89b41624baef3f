"""An app's pages: its form, field by field, and what became of a job. They need no script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import HTMLResponse

from nodegraph.core.uploads import upload_digest
from nodegraph.errors import Problem
from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.states import ENDED
from nodegraph.server.content.apps.app import App, AppParameter, app_path
from nodegraph.server.content.pages.page import Child, Markup, PageValue, element, joined, page
from nodegraph.server.workflows.job_entries import public_outputs

_ACCEPTED = {"file:image": "image/png,image/jpeg,image/webp,image/gif"}
_SECONDS = 2
"""After which a page that waits is loaded again."""
_WAITS = {"queued": "It waits for its turn.", "running": "It is being worked on."}


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
    return page(title, "", element("main", *(shown or [element("p", "It gave no files.")]), back))


def _problems(problems: Sequence[Problem]) -> Markup:
    if not problems:
        return Markup()
    items = [element("li", _with_place(problem)) for problem in problems]
    listed = element("ul", *items)
    return element("div", "This can't be done:", listed, class_="problems", role="alert")


def _with_place(problem: Problem) -> str:
    return f"{problem.place}: {_problem_text(problem)}" if problem.place else _problem_text(problem)


def _problem_text(problem: Problem) -> str:
    expected = f" Expected: {problem.expected}." if problem.expected else ""
    return f"{problem.message}.{expected} {problem.hint or ''}".strip()


def _file(file: Mapping[str, Any]) -> Markup:
    link = element("a", str(file["name"]), href=file["href"], download=file["name"])
    caption = element("figcaption", link, f", {file['size']:,} bytes, of {file['node']}")
    if str(file["media_type"]).startswith("image/"):
        shown = element("img", src=file["href"], alt=file["name"])
        return element("figure", element("a", shown, href=file["href"]), caption)
    return element("figure", caption)
