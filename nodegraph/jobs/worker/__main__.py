"""`python -m nodegraph.jobs.worker`: started by the server, not by people."""

from __future__ import annotations

import logging
import sys

from nodegraph.jobs.supervisor import platforms
from nodegraph.jobs.supervisor.worker_spec import Launch
from nodegraph.jobs.worker.pipes import take_pipes


def main(argument: str) -> None:
    """Be what the argument describes, see `Launch`, until the server wants it no more."""
    launch = Launch.read(argument)
    # First of all: whatever is printed from here on would be taken for a frame.
    pipes = take_pipes()
    platforms.die_with_parent(launch.parent)
    platforms.offer_traces()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    from nodegraph.jobs.worker.process import Process

    Process(launch, pipes).run()


if __name__ == "__main__":
    main(sys.argv[1])
