"""`nodegraph cancel`."""

from __future__ import annotations

from nodegraph.cli.connecting import ServerOption
from nodegraph.cli.job_names import JobsArgument, apply_to_jobs
from nodegraph.cli.options import CommonOptions, JsonOption


def cancel(
    common: CommonOptions, jobs: JobsArgument, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Cancel jobs of a server.

    One that waits is cancelled at once, one that runs at its next step.
    """
    return apply_to_jobs(server, jobs, lambda client, job: client.cancel(job), json=json)
