"""`nodegraph jobs retry`."""

from __future__ import annotations

from nodegraph.cli.connecting import ServerOption
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.steering import JobsArgument, steered


def retry(
    common: Common, jobs: JobsArgument, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Let jobs that failed or were cancelled wait once more.

    They go on from their last checkpoint.
    """
    return steered(server, jobs, lambda client, job: client.retry(job), json=json)
