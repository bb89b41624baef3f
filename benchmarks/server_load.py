"""Load on a server of which workers, and itself, are killed at random moments.

    python benchmarks/server_load.py [--json] [--quick] [--seed N]

1,000 small jobs of 20 clients, on two workers: once undisturbed, and once while workers are killed
50 times by SIGKILL, and the server 10 times. What isn't as promised is printed, and ends it with
exit code 1. Which moments are random is decided by the seed; what runs then, by the machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common import Figure, options, show

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.server.chaos import disturbed
from tests.server.chaos_checks import by_job, faults, happened, once, same
from tests.server.chaos_record import Outcome, moments
from tests.server.chaos_work import pieces

FULL = (1_000, 20, 50, 10)
QUICK = (40, 4, 3, 1)
"""Jobs, clients, workers that are killed, servers."""


def figures(
    found: Outcome, calm: Outcome, jobs: int, workers: int, servers: int
) -> Iterator[Figure]:
    """What happened."""
    for what, measured, aim in (
        ("jobs accepted", len(found.accepted), jobs),
        ("… finished exactly once", once(found), jobs),
        ("… with what an undisturbed run gives", same(found, calm.results), jobs),
        ("workers killed", found.killed("worker"), workers),
        ("servers killed, and started again", found.killed("server"), servers),
    ):
        yield Figure(what, measured, "", aim, more_is_better=True)
    blamed = happened(found, "job.requeued", "died") + happened(found, "job.failed")
    attempts = happened(found, "job.claimed") - 1  # the last job is none of those
    for what, count in (
        ("attempts", attempts),
        ("… ended by the death of a worker", blamed),
        ("… by that of a server", happened(found, "job.requeued", "recovered")),
        (
            "… given back before they had begun",
            happened(found, "job.requeued", "released"),
        ),
        ("nodes that went on from a checkpoint", happened(found, "node.restored")),
        ("jobs failed after two deaths, and retried", sum(map(len, found.parked.values()))),
        ("most attempts at one job", max(_attempts(found))),
        ("numbered events, told once each to a follower", len(found.told)),
        ("half-written files left over, hidden", sum(name[0] == "." for name in found.files)),
    ):
        yield Figure(what, count, "")
    against = "the same jobs, undisturbed"
    yield Figure("all jobs", found.seconds, "s", None, calm.seconds, against)


def _attempts(found: Outcome) -> Iterator[int]:
    for events in by_job(found).values():
        yield sum(event.kind == "job.claimed" for event in events)


def _seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")


def main() -> None:
    given = options(__doc__, _seed)
    jobs, clients, workers, servers = QUICK if given.quick else FULL
    for name in [name for name in os.environ if name.startswith("NODEGRAPH_")]:
        if name != "NODEGRAPH_LEAVE_OUT":
            del os.environ[name]
    work = pieces(jobs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calm = disturbed(folder / "calm", work, clients=clients)
        plan = moments(jobs, workers, servers, given.seed)
        found = disturbed(folder / "home", work, clients=clients, kills=plan, seed=given.seed)
    show(figures(found, calm, jobs, workers, servers), as_json=given.json)
    wrong = [*faults(calm, work, calm.results), *faults(found, work, calm.results)]
    for fault in wrong:
        print(fault, file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
