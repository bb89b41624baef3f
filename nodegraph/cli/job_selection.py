"""Select jobs of a server by name or filter, and print them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from time import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import open_client
from nodegraph.cli.output import (
    BAD_INPUT,
    CANCELLED,
    FAILED,
    FINE,
    StyledText,
    echo,
    echo_stderr,
    format_seconds,
    format_size,
    format_time,
    pluralize,
    print_json,
    print_problems,
    print_table,
    problems_document,
)
from nodegraph.cli.runs import format_title
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import parse_age
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Client, Job, JobSummary, Match
    from nodegraph.errors import Problem

_STYLES = {"finished": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}
_EXITS = {"failed": FAILED, "cancelled": CANCELLED}
_REQUESTED = {"cancel": "to be cancelled", "pause": "to be paused"}


def exit_code(job: JobSummary) -> int:
    """The exit code that tells how a job ended."""
    return _EXITS.get(job.state, FINE)


def state_part(job: JobSummary) -> StyledText:
    """A job's state in its color, with what is to become of it."""
    notes: list[str] = [job.state]
    if job.held:
        notes.append("held")
    if job.not_before is not None:
        notes.append(f"not before {format_time(job.not_before)}")
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
        echo_stderr(f"`nodegraph pull {job.id}` downloads the files.")


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


JobAction = Callable[["Client", "JobSummary"], "JobSummary"]
JobsArgument = Annotated[
    list[str],
    typer.Argument(metavar="JOB", help="A job's id, the start or end of an id, or last."),
]


def apply_to_jobs(
    server: str | None,
    names: Sequence[str],
    action: JobAction,
    *,
    json: bool,
    word: str | None = None,
) -> int:
    """Do something with some jobs, and print what has become of them; gives the exit code.

    What can't be done with one of them is told, and done with the others.

    Args:
        word: What has become of jobs that there are no more; with `json` their number stands under
            it.
    Raises:
        NodegraphError: A name stands for no job, and so nothing was done; or the server can't be
            asked.
    """
    from nodegraph.client import Conflict, JobNotFound

    problems: list[Problem] = []
    done: list[JobSummary] = []
    with open_client(server) as client:
        # All names first: a wrong one among them changes none.
        jobs = {job.id: job for job in (find_job(client, name) for name in names)}
        for job in jobs.values():
            try:
                done.append(action(client, job))
            except (Conflict, JobNotFound) as error:
                problems += error.problems
            else:
                if not json:
                    echo(done[-1].id, "  ", word or state_part(done[-1]))
    if json:
        document = {word: len(done)} if word else {"jobs": [asdict(job) for job in done]}
        print_json({**document, **problems_document(problems)} if problems else document)
    else:
        print_problems(problems)
    return BAD_INPUT if problems else FINE


STATES = ("queued", "running", "finished", "failed", "cancelled")
FINAL_STATES = STATES[2:]

StateOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STATE",
        help="queued, running, finished, failed or cancelled; may be repeated.",
    ),
]
TagOption = Annotated[str | None, typer.Option(metavar="TAG", help="Jobs with this tag.")]
TextOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Jobs whose name contains this.")
]
OlderOption = Annotated[
    str | None,
    typer.Option(metavar="AGE", help="Jobs submitted longer ago than this, such as 30d."),
]


def job_filter(
    state: list[str] | None, tag: str | None, text: str | None, older_than: str | None
) -> Match:
    """Which jobs the options mean; empty if none is given.

    Raises:
        InvalidValue: One of them can't be read.
    """
    for state_name in state or ():
        if state_name not in STATES:
            raise InvalidValue(
                "there is no such job state",
                given=state_name,
                hint=did_you_mean(state_name, STATES),
            )
    before = None if older_than is None else time() - parse_age(older_than, "--older-than")
    filters = {"state": state or None, "tag": tag, "text": text, "created_before": before}
    chosen: Any = {name: value for name, value in filters.items() if value is not None}
    match: Match = chosen
    return match


LAST = "last"
_WHOLE = re.compile(r"job_[0-9a-z]{26}")
_MOST = 5_000
"""Jobs that are looked through, the newest ones."""

JobArgument = Annotated[
    str,
    typer.Argument(metavar="JOB", help="A job's id, its start or its end, or last"),
]


def find_job(client: Client, name: str) -> Job:
    """The job that a name stands for.

    Raises:
        InvalidValue: It stands for none, or for several.
    """
    from nodegraph.client import JobNotFound

    try:
        if _WHOLE.fullmatch(name):
            return client.get(name)
        if name == LAST:
            return client.get(_newest(client))
    except JobNotFound as error:
        raise _unknown(name, _known_ids(client)) from error
    return client.get(_resolve_name(name, _known_ids(client)))


def _newest(client: Client) -> str:
    newest = next(client.list(most=1, limit=1), None)
    if newest is None:
        raise InvalidValue("there are no jobs yet", hint="`nodegraph submit` creates one.")
    return newest.id


def _known_ids(client: Client) -> list[str]:
    return [job.id for job in client.list(most=_MOST, limit=_MOST)]


def _resolve_name(name: str, known: Sequence[str]) -> str:
    matches = [each for each in known if _is_part(name, each)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(matches[:3]) + (
            f" and {len(matches) - 3} more" if len(matches) > 3 else ""
        )
        raise InvalidValue(
            "several jobs match this id", given=name, hint=f"Give more of the id: {shown}."
        )
    raise _unknown(name, known)


def _is_part(name: str, id: str) -> bool:
    return bool(name) and (id.startswith((name, f"job_{name}")) or id.endswith(name))


def _unknown(name: str, known: Sequence[str]) -> InvalidValue:
    from nodegraph.core.suggest import nearest

    near = _nearest_id(name, known) or nearest(name, known)
    hint = f"Did you mean `{near}`?" if near else "`nodegraph jobs` lists the jobs."
    return InvalidValue("there is no such job", given=name, hint=hint)


def _nearest_id(name: str, known: Sequence[str]) -> str | None:
    """The only id that begins like most of a name."""
    for length in range(len(name) - 1, len("job_") + 3, -1):
        matches = [each for each in known if each.startswith(name[:length])]
        if matches:
            return matches[0] if len(matches) == 1 else None
    return None
