"""`python -m nodegraph.runner`: started by the server, not by people."""

from __future__ import annotations

import logging
import sys

from nodegraph.runner.pipes import take_pipes
from nodegraph.workers import platforms
from nodegraph.workers.launch import Launch


def main(argument: str) -> None:
    """Be what the argument describes, see `Launch`, until the server wants it no more."""
    launch = Launch.read(argument)
    # First of all: whatever is printed from here on would be taken for a frame.
    pipes = take_pipes()
    platforms.die_with_parent(launch.parent)
    platforms.offer_traces()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    from nodegraph.runner.process import Process

    Process(launch, pipes).run()


if __name__ == "__main__":
    main(sys.argv[1])
