"""`nodegraph jobs delete`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.job_filters import (
    ENDED,
    OlderOption,
    StateOption,
    TagOption,
    TextOption,
    matching,
)
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import counted, print_json, say
from nodegraph.cli.steering import steered
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Client, JobSummary


def delete(
    common: Common,
    jobs: Annotated[
        list[str] | None,
        typer.Argument(metavar="JOB", help="A job's id, the start or end of it, or last."),
    ] = None,
    state: StateOption = None,
    tag: TagOption = None,
    text: TextOption = None,
    older_than: OlderOption = None,
    all_: Annotated[bool, typer.Option("--all", help="All that have ended.")] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Forget jobs that have ended.

    Those that are named, or all that match: `nodegraph jobs list` takes the same options, for a
    look beforehand. The files that they gave stay on the server.
    """
    which = matching(state, tag, text, older_than)
    if sum((bool(jobs), bool(which), all_)) != 1:
        raise InvalidValue(
            "it isn't said which jobs, or in two ways",
            expected="JOB..., or --state, --tag, --text, --older-than, or --all",
        )
    if jobs:
        return steered(server, jobs, _deleted, json=json, word="deleted")
    _check(state)
    with connected(server) as client:
        number = client.delete_all(**which)
    if json:
        print_json({"deleted": number})
    else:
        say(f"Deleted {counted(number, 'job')}.")
    return 0


def _deleted(client: Client, job: JobSummary) -> JobSummary:
    client.delete(job)
    return job


def _check(states: Sequence[str] | None) -> None:
    for state in states or ():
        if state not in ENDED:
            raise InvalidValue(
                "only jobs that have ended can be deleted",
                given=state,
                expected=", ".join(ENDED),
                hint="`nodegraph cancel` and `nodegraph queue clear` end those that wait.",
            )
