"""`nodegraph jobs list`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.job_filters import OlderOption, StateOption, TagOption, TextOption, matching
from nodegraph.cli.job_view import print_jobs
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import print_json, say, tell

if TYPE_CHECKING:
    from nodegraph.client import JobSummary

_LARGEST_PAGE = 1_000


def list_(
    common: Common,
    state: StateOption = None,
    tag: TagOption = None,
    text: TextOption = None,
    older_than: OlderOption = None,
    limit: Annotated[int, typer.Option(metavar="N", help="List so many at most", min=1)] = 20,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """List the jobs of a server, the newest first.

    A token's owner sees their own; one that may administer sees all. `nodegraph jobs` alone lists
    them, too.
    """
    which = matching(state, tag, text, older_than)
    with connected(server) as client:
        listed = list(client.list(most=limit, limit=min(limit, _LARGEST_PAGE), **which))
    if json:
        print_json({"jobs": [asdict(each) for each in listed]})
    else:
        _print(listed)
    return 0


def _print(listed: list[JobSummary]) -> None:
    if not listed:
        say("No jobs.")
        return
    print_jobs(listed)
    tell("`nodegraph jobs show JOB` tells more of one; the end of an id is enough.")
