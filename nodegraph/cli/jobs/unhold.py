"""`nodegraph jobs unhold`."""

from __future__ import annotations

from nodegraph.cli.connecting import ServerOption
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.steering import JobsArgument, steered


def unhold(
    common: Common, jobs: JobsArgument, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Let paused jobs go.

    They wait for their turn again.
    """
    return steered(server, jobs, lambda client, job: client.unhold(job), json=json)
