"""An app's pages: its form, and what became of a job. They need no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import HTMLResponse

from nodegraph.errors import Problem
from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.states import ENDED
from nodegraph.server.content.apps.app import App
from nodegraph.server.content.apps.fields import field
from nodegraph.server.content.apps.schema import app_path
from nodegraph.server.content.pages.html import Child, Markup, element
from nodegraph.server.content.pages.page import page
from nodegraph.server.workflows.job_entries import shown_outputs

_SECONDS = 2
"""After which a page that waits is loaded again."""
_WAITS = {"queued": "It waits for its turn.", "running": "It is being worked on."}


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
        found = wrong.get((parameter.node, parameter.port.name))
        entered = None if texts is None else texts.get(parameter.name, ())
        said = "" if found is None else _said(found)
        fields[parameter.port.advanced].append(field(parameter, entered, said))
        placed.update([] if found is None else [found])
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
        found = [Problem.from_dict(each) for each in error.get("problems") or [error]]
        return page(title, "", element("main", _problems(found), back))
    files = shown_outputs(job.outputs or {})["files"]
    shown: list[Child] = [_file(each) for each in files]
    return page(title, "", element("main", *(shown or [element("p", "It gave no files.")]), back))


def _problems(problems: Sequence[Problem]) -> Markup:
    if not problems:
        return Markup()
    items = [element("li", _with_place(problem)) for problem in problems]
    listed = element("ul", *items)
    return element("div", "This can't be done:", listed, class_="problems", role="alert")


def _with_place(problem: Problem) -> str:
    return f"{problem.place}: {_said(problem)}" if problem.place else _said(problem)


def _said(problem: Problem) -> str:
    expected = f" Expected: {problem.expected}." if problem.expected else ""
    return f"{problem.message}.{expected} {problem.hint or ''}".strip()


def _file(file: Mapping[str, Any]) -> Markup:
    link = element("a", str(file["name"]), href=file["href"], download=file["name"])
    caption = element("figcaption", link, f", {file['size']:,} bytes, of {file['node']}")
    if str(file["media_type"]).startswith("image/"):
        shown = element("img", src=file["href"], alt=file["name"])
        return element("figure", element("a", shown, href=file["href"]), caption)
    return element("figure", caption)
