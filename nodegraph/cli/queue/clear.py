"""`nodegraph queue clear`."""

from __future__ import annotations

from typing import Annotated

import typer

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.job_filters import TagOption
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import counted, print_json, say


def clear(
    common: Common,
    tag: TagOption = None,
    client: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the owner of this token.")
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Cancel all jobs that wait.

    A token's owner cancels their own; one that may administer cancels everybody's, or with
    --client one's. What runs goes on.
    """
    with connected(server) as asked:
        number = asked.queue.clear(client=client, tag=tag)
    if json:
        print_json({"cancelled": number})
    else:
        say(f"Cancelled {counted(number, 'job')}.")
    return 0
