"""`nodegraph jobs hold`."""

from __future__ import annotations

from nodegraph.cli.connecting import ServerOption
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.steering import JobsArgument, steered


def hold(
    common: Common, jobs: JobsArgument, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Pause jobs.

    One that waits is left out until it is let go; one that runs is put back at its next step.
    """
    return steered(server, jobs, lambda client, job: client.hold(job), json=json)
