"""`nodegraph watch`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.exits import CANCELLED
from nodegraph.cli.following import followed
from nodegraph.cli.job_names import LAST, JobArgument, find_job
from nodegraph.cli.job_view import document, exit_code, print_closing
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import print_json, tell
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Client, Job

EventsOption = Annotated[
    bool, typer.Option("--events", help="Print what happens as lines of JSON.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but the files' names and errors.")
]


def watch(
    common: Common,
    job: JobArgument = LAST,
    server: ServerOption = None,
    json: JsonOption = False,
    events: EventsOption = False,
    quiet: QuietOption = False,
) -> int:
    """Watch a job of a server until it ends.

    What has happened already is shown, too. If the connection breaks, it is taken up again; Ctrl-C
    ends the watching, not the job.
    """
    check_outputs(json=json, events=events)
    with connected(server) as client:
        found = find_job(client, job).id
        ended = watched(client, found, types_of(client, found), events=events, quiet=quiet or json)
    if ended is None:
        return CANCELLED
    show_end(ended, json=json, events=events, quiet=quiet)
    return exit_code(ended)


def check_outputs(*, json: bool, events: bool) -> None:
    """Refuse two things for stdout.

    Raises:
        InvalidValue: They were both asked for.
    """
    if json and events:
        raise InvalidValue("--json and --events both want stdout", hint="Choose one of them.")


def types_of(client: Client, id: str) -> dict[str, str]:
    """The node types of a job's workflow by node.

    Raises:
        NodegraphError: There is no such job.
    """
    nodes = client.workflow(id).get("nodes", {})
    return {name: str(node.get("type", "")) for name, node in nodes.items()}


def watched(
    client: Client, id: str, types: dict[str, str], *, events: bool, quiet: bool
) -> Job | None:
    """A job once it has ended; None if the user has had enough before."""
    try:
        return followed(client, id, types, events=events, quiet=quiet)
    except KeyboardInterrupt:
        tell(f"The job goes on: `nodegraph watch {id}` shows it, `nodegraph cancel {id}` ends it.")
        return None


def show_end(job: Job, *, json: bool, events: bool, quiet: bool) -> None:
    """Print how a job has ended."""
    if json:
        print_json(document(job))
        return
    # Beside events, stdout has no room for people.
    with redirect_stdout(sys.stderr if events else sys.stdout):
        print_closing(job, quiet=quiet)
