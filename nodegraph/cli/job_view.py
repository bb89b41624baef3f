"""Jobs of a server, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.cli.output import (
    CANCELLED,
    FAILED,
    FINE,
    StyledText,
    echo,
    echo_stderr,
    format_seconds,
    format_size,
    pluralize,
    print_table,
)
from nodegraph.cli.problems import print_problems
from nodegraph.cli.runs import format_title
from nodegraph.cli.times import format_time

if TYPE_CHECKING:
    from nodegraph.client import Job, JobSummary

_STYLES = {"finished": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}
_EXITS = {"failed": FAILED, "cancelled": CANCELLED}
_REQUESTED = {"cancel": "to be cancelled", "pause": "to be paused"}


def exit_code(job: JobSummary) -> int:
    """The exit code that tells how a job ended."""
    return _EXITS.get(job.state, FINE)


def state_part(job: JobSummary) -> StyledText:
    """A job's state in its colour, with what is to become of it."""
    notes: list[str] = [job.state]
    if job.held:
        notes.append("held")
    if job.wanted:
        notes.append(_REQUESTED.get(job.wanted, job.wanted))
    text = ", ".join(notes)
    return (text, _STYLES[job.state]) if job.state in _STYLES else text


def print_jobs(jobs: Sequence[JobSummary]) -> None:
    """Print a table of jobs."""
    heads = [(head, "bold") for head in ("id", "created", "state", "took", "name")]
    print_table([heads, *(_row(job) for job in jobs)])


def _row(job: JobSummary) -> list[StyledText]:
    took = _duration_text(job)
    name = format_title(job.name)
    return [job.id, format_time(job.created), state_part(job), took, name]


def _duration_text(job: JobSummary) -> str:
    if job.started is None or job.finished is None:
        return ""
    return format_seconds(max(job.finished - job.started, 0.0))


def print_job(job: Job) -> None:
    """Print all that is kept of a job."""
    echo((job.id, "bold"), f"  {format_title(job.name)}" if job.name else "")
    took = f" after {_duration_text(job)}" if _duration_text(job) else ""
    echo(state_part(job), took, f", submitted {format_time(job.created)} by {job.client}")
    if job.worker:
        attempts = pluralize(job.attempt, "attempt")
        deaths = f", its worker died {pluralize(job.deaths, 'time')}" if job.deaths else ""
        echo(f"{attempts}, the last on {job.worker}{deaths}")
    if job.tags:
        echo(f"tags: {', '.join(job.tags)}")
    if job.parameters:
        echo()
        echo(("Parameters", "bold"))
        print_table([(name, str(value)) for name, value in job.parameters.items()], indent=2)
    if job.files:
        echo()
        echo(("Files", "bold"))
        print_files(job)
    if job.warnings:
        echo()
        echo(("Warnings", "bold"))
        print_table([(each.node or "", each.message) for each in job.warnings], indent=2)
    if job.problems:
        echo()
        print_problems(job.problems, line=echo)


def print_files(job: Job) -> None:
    """Print the files that a job gave, a line each."""
    print_table([(file.name, format_size(file.size), file.node) for file in job.files], indent=2)


def print_outcome(job: Job, *, quiet: bool = False) -> None:
    """Print how a job that was waited for has ended."""
    if job.state == "failed":
        print_problems(job.problems)
    if quiet:
        for file in job.files:
            echo(file.name)
        return
    echo((job.state.capitalize(), _STYLES.get(job.state, "bold")), *_summary_line(job), ".")
    print_files(job)
    if job.files:
        echo_stderr(f"`nodegraph pull {job.id}` brings the files here.")


def _summary_line(job: Job) -> list[StyledText]:
    outputs = job.outputs
    if outputs is None:
        return [f" after {_duration_text(job)}"] if _duration_text(job) else []
    ran, cached = outputs.nodes.get("ran", 0), outputs.nodes.get("cached", 0)
    counts = [pluralize(ran, "node") + " run"] if ran or not cached else []
    if cached:
        counts.append(
            f"{cached} from the cache" if counts else f"{pluralize(cached, 'node')} from the cache"
        )
    return [f" in {format_seconds(outputs.seconds)}: {', '.join(counts)}"]
