"""Jobs as the API tells of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nodegraph.jobs import Job, JobSummary, State, Wanted
from nodegraph.server.artifacts.links import artifact_links

_ID = "job_01hzy3m7q8r9s0t1v2w3x4y5z6"
_PATH = "/api/v1/jobs"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class JobLinks(_Part):
    """Where there is more of a job."""

    self: str = Field(examples=[f"{_PATH}/{_ID}"])
    workflow: str = Field(examples=[f"{_PATH}/{_ID}/workflow"])
    events: str = Field(examples=[f"{_PATH}/{_ID}/events"])


class JobFault(_Part):
    """Why a job failed, in short."""

    code: str = Field(examples=["node-failed"])
    message: str = Field(examples=["out of memory"])
    node: str | None = Field(description="At which it did, if it was one.", examples=["sample"])


class JobEntry(_Part):
    """A job, without what was asked for and what came of it."""

    id: str = Field(examples=[_ID])
    client: str = Field(description="Whose it is.", examples=["studio"])
    name: str = Field(examples=["An apple"])
    state: State
    held: bool = Field(description="Whether it waits until it is let go.")
    wanted: Wanted | None = Field(description="What a running job's worker is asked to do.")
    priority: int = Field(examples=[0])
    created: float = Field(description="Unix time.", examples=[1.76e9])
    started: float | None = Field(description="Of the last attempt.")
    finished: float | None
    attempt: int = Field(description="How often a worker has begun it.")
    deaths: int = Field(description="How often its worker died.")
    worker: str | None = Field(description="That has it or had it last.", examples=["worker-1"])
    tags: list[str] = Field(examples=[["apples"]])
    fault: JobFault | None = Field(description="Of one that failed.")
    links: JobLinks


class JobList(_Part):
    """Some jobs."""

    items: list[JobEntry]
    next: str | None = Field(description="Cursor of the next page; none if this is the last.")


class OutputFile(_Part):
    """A file that a job gave."""

    name: str = Field(examples=["apple_00001.png"])
    node: str = Field(description="That wrote it.", examples=["save"])
    kind: str = Field(description="What it is to people.", examples=["image"])
    media_type: str = Field(examples=["image/png"])
    size: int = Field(description="Bytes.", examples=[48_213])
    width: int | None = Field(description="Pixels, of a picture.", examples=[640])
    height: int | None = Field(description="Pixels, of a picture.", examples=[480])
    digest: str = Field(description="blake3 of the bytes.")
    href: str = Field(examples=["/api/v1/artifacts/" + "a5f0c2e6" * 8])
    thumbnail: str | None = Field(description="None if it is no picture.")


class JobOutputs(BaseModel):
    """What a job gave."""

    model_config = ConfigDict(extra="allow")

    files: list[OutputFile] = []
    outputs: dict[str, str] = Field(
        default={}, description="Digests of what nodes gave, by ``node.port``."
    )
    nodes: dict[str, int] = Field(default={}, examples=[{"ran": 5, "cached": 1}])
    seconds: float = Field(default=0.0, examples=[2.7])
    run: str = Field(default="", description="Its record in the store, for `nodegraph runs`.")


class JobDetail(JobEntry):
    """A job with all that is kept of it."""

    workflow: str = Field(description="Digest of its text.")
    parameters: dict[str, Any]
    targets: list[str] | None
    options: dict[str, Any]
    plan: dict[str, Any] | None = Field(description="What was foreseen, if that was asked for.")
    outputs: JobOutputs | None
    error: dict[str, Any] | None = Field(
        description="The first problem, with all of them in `problems`."
    )


def job_path(id: str) -> str:
    """Where a job is."""
    return f"{_PATH}/{id}"


def job_entry(job: JobSummary) -> dict[str, Any]:
    """As `JobEntry` says."""
    place = job_path(job.id)
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
        "links": {"self": place, "workflow": f"{place}/workflow", "events": f"{place}/events"},
    }


def job_list(jobs: Iterable[JobSummary], next: str | None) -> dict[str, Any]:
    """As `JobList` says."""
    return {"items": [job_entry(job) for job in jobs], "next": next}


def job_detail(job: Job, shown: Callable[[Any], Any]) -> dict[str, Any]:
    """As `JobDetail` says.

    Args:
        shown: Parameters as clients are to see them.
    """
    return {
        **job_entry(job),
        "workflow": job.workflow,
        "parameters": shown(job.parameters),
        "targets": job.targets,
        "options": job.options,
        "plan": job.plan,
        "outputs": None if job.outputs is None else shown_outputs(job.outputs),
        "error": job.error,
    }


def shown_outputs(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a job gave, with addresses in place of this machine's paths."""
    files = [_file(each) for each in outputs.get("files", ())]
    return {**outputs, "files": files}


def _file(found: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in found.items() if name != "path"}
    name = PurePath(str(found.get("path", ""))).name
    links = artifact_links(found.get("digest", ""), found.get("media_type", ""))
    return {"name": name, "width": None, "height": None, **shown, **links}
