"""What an app answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodegraph.errors import Problem
from nodegraph.jobs.queue import Job
from nodegraph.server.content.apps.app import App
from nodegraph.server.content.apps.schema import app_path, whole_schema
from nodegraph.server.http.errors import NotAcceptable, Refused
from nodegraph.server.workflows.job_entries import job_entry, job_path, shown_outputs


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
        found = [Problem.from_dict(each) for each in listed if isinstance(each, Mapping)]
        return found or (self.problem,)

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Location": job_path(self.job.id)}


def _text(found: Mapping[str, Any], name: str) -> str | None:
    return None if found.get(name) is None else str(found[name])


def described(app: App) -> dict[str, Any]:
    """An app as `shapes.App` says."""
    return {
        "name": app.name,
        "title": app.title,
        "description": app.description,
        "version": app.version,
        "digest": app.digest,
        "parameters": whole_schema(app),
        "outputs": [
            {"node": output.node, "label": output.label, "type": output.type}
            for output in app.outputs
        ],
        "problems": [problem.as_dict() for problem in app.problems],
        "href": app_path(app.name),
    }


def answer(job: Job) -> dict[str, Any]:
    """A job as `shapes.AppRun` says."""
    if job.outputs is None:
        return {"job": job_entry(job), "outputs": None}
    outputs: dict[str, list[dict[str, Any]]] = {}
    for file in shown_outputs(job.outputs)["files"]:
        outputs.setdefault(file["node"], []).append(file)
    return {"job": job_entry(job), "outputs": outputs}


def only_picture(job: Job) -> str:
    """Digest of the picture that a job gave.

    Raises:
        NotAcceptable: It gave none, or several.
    """
    files = shown_outputs(job.outputs or {})["files"]
    pictures = [each for each in files if str(each["media_type"]).startswith("image/")]
    if len(pictures) != 1:
        raise NotAcceptable(
            f"the app gave {len(pictures)} pictures",
            given=job.id,
            expected="exactly one, to be sent as it is",
            hint="Ask for application/json; that lists what it gave.",
        )
    return str(pictures[0]["digest"])
