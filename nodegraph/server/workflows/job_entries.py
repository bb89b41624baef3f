"""Jobs and artifacts as JSON entries of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.jobs import JOBS
from nodegraph.client.shapes.schema import build_shape
from nodegraph.jobs.queue import Job, JobSummary
from nodegraph.server.content.artifacts import Artifact, Artifacts
from nodegraph.server.http.errors import NotFound
from nodegraph.server.root_path import public_path

_SHOWN = (
    *("image/", "video/", "audio/", "model/", "chemical/x-mdl-sdfile", "chemical/x-pdb"),
    *("application/x-openraster", "application/x-photoshop"),
)
"""Prefixes of media types with thumbnails."""
_NOT_SHOWN = "image/svg+xml"
_PLOT = "plot"


def artifact_links(digest: Any, media_type: Any, kind: Any) -> dict[str, str | None]:
    """Return the address of a file and of its thumbnail; None if there is no thumbnail.

    Args:
        kind: Kind of the file, for people.
    """
    href = public_path(f"/api/v1/artifacts/{digest}")
    has_picture = str(media_type).startswith(_SHOWN) and media_type != _NOT_SHOWN
    # The media type of a plot is JSON.
    has_picture |= kind == _PLOT and str(media_type) == "application/json"
    return {"href": href, "thumbnail": f"{href}/thumbnail" if has_picture else None}


_SUMMED = {field.name for field in fields(shapes.JobSummary)}
_DETAILS = tuple(each.name for each in fields(shapes.Job) if each.name not in _SUMMED)


class JobList(BaseModel):
    """A page of jobs."""

    model_config = ConfigDict(extra="forbid")

    items: list[shapes.JobSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


def job_path(id: str) -> str:
    """Return the path of a job."""
    return public_path(f"{JOBS}/{id}")


def job_entry(job: JobSummary) -> dict[str, Any]:
    """Return the fields of `shapes.JobSummary`."""
    path = job_path(job.id)
    # Spelled out, as lists of thousands are made of it: by name it takes twice as long.
    return {
        "id": job.id,
        "client": job.client,
        "name": job.name,
        "state": job.state,
        "held": job.held,
        "wanted": job.wanted,
        "priority": job.priority,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "attempt": job.attempt,
        "deaths": job.deaths,
        "worker": job.worker,
        "tags": list(job.tags),
        "fault": None if job.fault is None else asdict(job.fault),
        "not_before": job.not_before,
        "links": {"self": path, "workflow": f"{path}/workflow", "events": f"{path}/events"},
    }


def job_list(jobs: Iterable[JobSummary], next: str | None) -> dict[str, Any]:
    """Return the fields of `JobList`."""
    return {"items": [job_entry(job) for job in jobs], "next": next}


def job_detail(job: Job, shown: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the fields of `shapes.Job`.

    Args:
        shown: Converts parameters for clients.
    """
    entry = job_entry(job) | {name: getattr(job, name) for name in _DETAILS}
    entry["parameters"] = shown(job.parameters)
    entry["outputs"] = None if job.outputs is None else public_outputs(job.outputs)
    return entry


def public_outputs(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs of a job, with addresses instead of local paths."""
    files = [_file(each) for each in outputs.get("files", ())]
    # Jobs of earlier versions have neither.
    return {"warnings": [], "ui": {}, **outputs, "files": files}


def _file(output: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in output.items() if name != "path"}
    name = PurePath(str(output.get("path", ""))).name
    links = artifact_links(
        output.get("digest", ""), output.get("media_type", ""), output.get("kind")
    )
    return {"name": name, "width": None, "height": None, "existed": False, **shown, **links}


def artifact_entry(artifact: Artifact) -> shapes.Artifact:
    """Return an artifact as an entry of a list."""
    name = PurePath(artifact.path).name
    links = artifact_links(artifact.digest, artifact.media_type, artifact.kind)
    return build_shape(shapes.Artifact, artifact, name=name, created=artifact.at, **links)


def plan_with_files(
    plan: Mapping[str, Any], artifacts: Artifacts, client: str | None
) -> dict[str, Any]:
    """Return a plan with the files of its cache hits, except files of other clients' jobs."""
    nodes = {
        name: {**node, "files": [*_listed(node["files"], artifacts, client)]}
        if node.get("files")
        else node
        for name, node in plan.get("nodes", {}).items()
    }
    return {**plan, "nodes": nodes}


def _listed(
    digests: Iterable[str], artifacts: Artifacts, client: str | None
) -> Iterator[dict[str, Any]]:
    for digest in digests:
        with suppress(NotFound):
            yield asdict(artifact_entry(artifacts.find(digest, client)))
