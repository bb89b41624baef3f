"""`nodegraph queue resume`."""

from __future__ import annotations

from nodegraph.cli.connecting import ServerOption, connected
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.queue.show import print_state


def resume(common: Common, server: ServerOption = None, json: JsonOption = False) -> int:
    """Begin jobs again.

    Takes a token that may administer.
    """
    with connected(server) as client:
        print_state(client.queue.resume(), json=json)
    return 0
