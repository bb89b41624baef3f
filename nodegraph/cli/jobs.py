"""`nodegraph jobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.job_names import find_job
from nodegraph.cli.job_view import document, print_job, print_jobs
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import print_json, say, tell
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Filters, JobSummary

_STATES = ("queued", "running", "finished", "failed", "cancelled")


def jobs(
    common: Common,
    job: Annotated[
        str | None,
        typer.Argument(metavar="JOB", help="Show this one: its id, the start or end of it, last."),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            help="queued, running, finished, failed or cancelled; may be repeated.",
        ),
    ] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="With this tag.")] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="With this as a part of the name.")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", help="List so many at most  [default: 20]", min=1)
    ] = 20,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """List the jobs of a server, or show one of them.

    The newest come first. A token's owner sees their own; one that may administer sees all.
    """
    which = _filters(state, tag, text)
    if job is not None and which:
        raise InvalidValue(
            "a job is shown, or some are listed", hint="Leave out the job, or the other options."
        )
    with connected(server) as client:
        if job is not None:
            found = find_job(client, job)
            print_json(document(found)) if json else print_job(found)
            return 0
        which["limit"] = min(limit, 1_000)
        listed = list(client.list(most=limit, **which))
    if json:
        print_json({"jobs": [document(each) for each in listed]})
    else:
        _print(listed)
    return 0


def _filters(state: list[str] | None, tag: str | None, text: str | None) -> Filters:
    for given in state or ():
        if given not in _STATES:
            raise InvalidValue(
                "there is no such state of jobs", given=given, hint=did_you_mean(given, _STATES)
            )
    found: dict[str, Any] = {"state": state or None, "tag": tag, "text": text}
    chosen: Any = {name: value for name, value in found.items() if value is not None}
    filters: Filters = chosen
    return filters


def _print(listed: list[JobSummary]) -> None:
    if not listed:
        say("No jobs.")
        return
    print_jobs(listed)
    tell("`nodegraph jobs JOB` tells more of one; the end of an id is enough.")
