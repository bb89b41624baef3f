"""Doing something with jobs of a server, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.connecting import connected
from nodegraph.cli.job_names import find_job
from nodegraph.cli.job_view import state_part
from nodegraph.cli.output import BAD_INPUT, FINE, print_json, say
from nodegraph.cli.problems import print_problems, refusal

if TYPE_CHECKING:
    from nodegraph.client import Client, JobSummary
    from nodegraph.errors import Problem

SteeringAction = Callable[["Client", "JobSummary"], "JobSummary"]
JobsArgument = Annotated[
    list[str],
    typer.Argument(metavar="JOB", help="A job's id, the start or end of it, or last."),
]


def steered(
    server: str | None,
    names: Sequence[str],
    action: SteeringAction,
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
    with connected(server) as client:
        # All names first: a wrong one among them changes none.
        found = {job.id: job for job in (find_job(client, name) for name in names)}
        for job in found.values():
            try:
                done.append(action(client, job))
            except (Conflict, JobNotFound) as error:
                problems += error.problems
            else:
                if not json:
                    say(done[-1].id, "  ", word or state_part(done[-1]))
    if json:
        told = {word: len(done)} if word else {"jobs": [asdict(job) for job in done]}
        print_json({**told, **refusal(problems)} if problems else told)
    else:
        print_problems(problems)
    return BAD_INPUT if problems else FINE
