"""`nodegraph cancel`."""

from __future__ import annotations

from typing import Annotated

import typer

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.job_names import find_job
from nodegraph.cli.job_view import document, state_part
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import print_json, say


def cancel(
    common: Common,
    jobs: Annotated[
        list[str],
        typer.Argument(metavar="JOB", help="A job's id, the start or end of it, or last."),
    ],
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Cancel jobs of a server.

    One that waits is cancelled at once, one that runs at its next step.
    """
    with connected(server) as client:
        # All names first: a wrong one among them cancels none.
        found = [find_job(client, name) for name in jobs]
        done = [client.cancel(job) for job in found]
    if json:
        print_json({"jobs": [document(job) for job in done]})
    else:
        for job in done:
            say(job.id, "  ", state_part(job))
    return 0
