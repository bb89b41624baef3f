"""The commands of `nodegraph jobs`, `nodegraph cancel` and `nodegraph pull`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.job_selection import (
    FINAL_STATES,
    LAST,
    JobArgument,
    JobsArgument,
    OlderOption,
    StateOption,
    TagOption,
    TextOption,
    apply_to_jobs,
    find_job,
    job_filter,
    print_job,
    print_jobs,
    state_part,
)
from nodegraph.cli.options import CommonOptions, JsonOption, ServerOption, open_client
from nodegraph.cli.output import echo, echo_stderr, format_path, pluralize, print_json
from nodegraph.cli.progress import bytes_progress
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Client, Job, JobSummary, Pulled


def pull(
    common: CommonOptions,
    job: JobArgument = LAST,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write files here  [default: output]"),
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="Only the files of this node; may be repeated."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace other files with the same names.")
    ] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Download the files of a job.

    A file appears once it is complete and its digest is right. The next call resumes a
    download that broke off. Other files of the same name stay, unless you add --overwrite.
    """
    folder = out_folder(common, out)
    with open_client(server) as client:
        pulled_job = find_job(client, job)
        files = download_files(client, pulled_job, folder, node or None, overwrite=overwrite)
    if json:
        print_json({"job": pulled_job.id, "files": file_documents(files)})
        return 0
    print_pulled(files)
    if not files:
        echo_stderr("The job has no output files.")
    return 0


def out_folder(common: CommonOptions, out: str | None) -> Path:
    """Where files go: the folder that is given, or the usual one."""
    if out is not None:
        return Path(out).expanduser()
    return common.settings().outputs or Path("output")


def download_files(
    client: Client,
    job: Job,
    folder: Path,
    nodes: Sequence[str] | None = None,
    *,
    overwrite: bool = False,
) -> tuple[Pulled, ...]:
    """The files of a job, downloaded; how far that is shows on a terminal."""
    with bytes_progress("downloading", is_shown=True) as progress:
        return client.pull(job, folder, nodes=nodes, overwrite=overwrite, progress=progress)


def print_pulled(files: Sequence[Pulled]) -> None:
    """Print the files' paths, a line each."""
    for file in files:
        note = ("  (already there, unchanged)", "dim") if file.existed else ""
        echo(format_path(file.path), note)


def file_documents(files: Sequence[Pulled]) -> list[dict[str, Any]]:
    """Files, for JSON output."""
    return [
        {
            "path": str(file.path.absolute()),
            "node": file.file.node,
            "kind": file.file.kind,
            "digest": file.file.digest,
            "existed": file.existed,
        }
        for file in files
    ]


def cancel(
    common: CommonOptions, jobs: JobsArgument, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Cancel jobs of a server.

    A waiting job is cancelled at once, a running one at its next step.
    """
    return apply_to_jobs(server, jobs, lambda client, job: client.cancel(job), json=json)


def delete(
    common: CommonOptions,
    jobs: Annotated[
        list[str] | None,
        typer.Argument(metavar="JOB", help="A job's id, the start or end of an id, or last."),
    ] = None,
    state: StateOption = None,
    tag: TagOption = None,
    text: TextOption = None,
    older_than: OlderOption = None,
    all_: Annotated[bool, typer.Option("--all", help="All jobs that have ended.")] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Delete jobs that have ended.

    The named jobs, or all that match the options: `nodegraph jobs list` takes the same
    options for a preview. Their files stay on the server.
    """
    which = job_filter(state, tag, text, older_than)
    if sum((bool(jobs), bool(which), all_)) != 1:
        raise InvalidValue(
            "give either jobs or a filter",
            expected="JOB..., or --state, --tag, --text, --older-than, or --all",
        )
    if jobs:
        return apply_to_jobs(server, jobs, _deleted, json=json, word="deleted")
    _check(state)
    with open_client(server) as client:
        number = client.delete_all(**which)
    if json:
        print_json({"deleted": number})
    else:
        echo(f"Deleted {pluralize(number, 'job')}.")
    return 0


def _deleted(client: Client, job: JobSummary) -> JobSummary:
    client.delete(job)
    return job


def _check(states: Sequence[str] | None) -> None:
    for state in states or ():
        if state not in FINAL_STATES:
            raise InvalidValue(
                "only jobs that have ended can be deleted",
                given=state,
                expected=", ".join(FINAL_STATES),
                hint="`nodegraph cancel` and `nodegraph queue clear` cancel the jobs that wait.",
            )


def move(
    common: CommonOptions,
    job: Annotated[
        str, typer.Argument(metavar="JOB", help="A job's id, the start or end of an id, or last.")
    ],
    first: Annotated[bool, typer.Option("--first", help="Move it before all others.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Move it after all others.")] = False,
    before: Annotated[
        str | None, typer.Option(metavar="JOB", help="Move it directly before this one.")
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Give it another priority; the highest goes first.", min=-100, max=100
        ),
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Change a waiting job's place in the queue.

    --first, --last and --before are about the jobs of its client and priority.
    """
    places = first + last + (before is not None)
    if places > 1:
        raise InvalidValue("--first, --last and --before exclude each other", hint="Choose one.")
    if not places and priority is None:
        raise InvalidValue(
            "no new position is given", expected="--first, --last, --before JOB or --priority N"
        )
    with open_client(server) as client:
        summary: JobSummary = find_job(client, job)
        other = None if before is None else find_job(client, before)
        if priority is not None:
            summary = client.prioritise(summary, priority)
        if other is not None:
            summary = client.move(summary, before=other)
        elif places:
            summary = client.move(summary, "first" if first else "last")
    if json:
        print_json(asdict(summary))
    else:
        echo(summary.id, "  ", state_part(summary), f", priority {summary.priority}")
        echo_stderr("`nodegraph queue` shows which jobs come next.")
    return 0


def unhold(
    common: CommonOptions, jobs: JobsArgument, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Release paused jobs.

    They wait for their turn again.
    """
    return apply_to_jobs(server, jobs, lambda client, job: client.unhold(job), json=json)


def hold(
    common: CommonOptions, jobs: JobsArgument, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Pause jobs.

    A waiting job is held until `jobs unhold`; a running one is requeued at its next step.
    """
    return apply_to_jobs(server, jobs, lambda client, job: client.hold(job), json=json)


def retry(
    common: CommonOptions, jobs: JobsArgument, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Queue failed or cancelled jobs again.

    They resume from their last checkpoint.
    """
    return apply_to_jobs(server, jobs, lambda client, job: client.retry(job), json=json)


_LARGEST_PAGE = 1_000


def list_(
    common: CommonOptions,
    state: StateOption = None,
    tag: TagOption = None,
    text: TextOption = None,
    older_than: OlderOption = None,
    limit: Annotated[int, typer.Option(metavar="N", help="List at most this many", min=1)] = 20,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """List the jobs of a server, the newest first.

    A token sees its owner's jobs; an admin token sees all. `nodegraph jobs` alone lists
    them, too.
    """
    which = job_filter(state, tag, text, older_than)
    with open_client(server) as client:
        listed = list(client.list(most=limit, limit=min(limit, _LARGEST_PAGE), **which))
    if json:
        print_json({"jobs": [asdict(each) for each in listed]})
    else:
        _print(listed)
    return 0


def _print(listed: list[JobSummary]) -> None:
    if not listed:
        echo("No jobs.")
        return
    print_jobs(listed)
    echo_stderr("`nodegraph jobs show JOB` shows more about one; the end of an id is enough.")


def show(
    common: CommonOptions,
    job: JobArgument = LAST,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Show a job.

    What it was asked to do, its state, its files, or why it failed.
    """
    with open_client(server) as client:
        details = find_job(client, job)
    print_json(asdict(details)) if json else print_job(details)
    return 0
