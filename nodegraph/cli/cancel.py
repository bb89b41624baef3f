"""`nodegraph cancel`."""

from __future__ import annotations

from nodegraph.cli.connecting import ServerOption
from nodegraph.cli.job_names import JobsArgument, steered
from nodegraph.cli.options import Common, JsonOption


def cancel(
    common: Common, jobs: JobsArgument, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Cancel jobs of a server.

    One that waits is cancelled at once, one that runs at its next step.
    """
    return steered(server, jobs, lambda client, job: client.cancel(job), json=json)
