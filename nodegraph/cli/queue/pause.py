"""`nodegraph queue pause`."""

from __future__ import annotations

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.queue.show import print_state


def pause(common: Common, server: ServerOption = None, json: JsonOption = False) -> int:
    """Begin no more jobs.

    That holds after a restart of the server, too. What runs goes on. Takes a token that may
    administer.
    """
    with connected(server) as client:
        print_state(client.queue.pause(), json=json)
    return 0
