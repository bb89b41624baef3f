"""`nodegraph jobs move`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.job_names import find_job
from nodegraph.cli.job_view import state_part
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import print_json, say, tell
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import JobSummary


def move(
    common: Common,
    job: Annotated[
        str, typer.Argument(metavar="JOB", help="A job's id, its start or its end, or last.")
    ],
    first: Annotated[bool, typer.Option("--first", help="Before the others.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Behind the others.")] = False,
    before: Annotated[
        str | None, typer.Option(metavar="JOB", help="Right before this one.")
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
            "it isn't said where to", expected="--first, --last, --before JOB or --priority N"
        )
    with connected(server) as client:
        found: JobSummary = find_job(client, job)
        other = None if before is None else find_job(client, before)
        if priority is not None:
            found = client.prioritise(found, priority)
        if other is not None:
            found = client.move(found, before=other)
        elif places:
            found = client.move(found, "first" if first else "last")
    if json:
        print_json(asdict(found))
    else:
        say(found.id, "  ", state_part(found), f", priority {found.priority}")
        tell("`nodegraph queue` shows what comes next.")
    return 0
