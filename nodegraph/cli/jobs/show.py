"""`nodegraph jobs show`."""

from __future__ import annotations

from dataclasses import asdict

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.job_names import LAST, JobArgument, find_job
from nodegraph.cli.job_view import print_job
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import print_json


def show(
    common: Common, job: JobArgument = LAST, server: ServerOption = None, json: JsonOption = False
) -> int:
    """Show a job.

    What was asked for, how it fared, which files it gave or why it failed.
    """
    with connected(server) as client:
        found = find_job(client, job)
    print_json(asdict(found)) if json else print_job(found)
    return 0
