"""Workers on a Ray cluster: what it adds to a job, how they share work, what they lose when killed.

    python benchmarks/cluster.py [--json] [--quick] [--seed N]

A real cluster of several nodes, all on this machine. First a worker of it and one beside the
server run the same small jobs by turns. Then jobs that wait, rather than compute, are shared out
among 1, 2 and 4 workers. At last small jobs run while workers' processes, actors, nodes, its head
and the server are killed at random; what isn't as promised is printed, and ends it with exit code
1. With --quick nothing is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from common import Figure, options, show

sys.path.insert(0, str(Path(__file__).parents[1]))

from nodegraph.jobs.supervisor.messages import Ended
from tests.jobs.cluster.machines import QUIET, Machines, machines
from tests.jobs.supervisor.crew import Crew, crew, sums
from tests.server.chaos import disturbed
from tests.server.chaos_checks import faults, happened, once, same
from tests.server.chaos_record import Outcome, moments
from tests.server.chaos_servers import PATIENCE, servers_at
from tests.server.chaos_work import pieces
from tests.server.hosting import prepared_home

SECONDS = 1.0
"""That a job waits."""
FULL = (300, 48, (1, 2, 4))
QUICK = (5, 2, (1, 2))
"""Jobs by turns; jobs that wait, and on how many workers."""
JOBS, CLIENTS, WORKERS, SERVERS = 500, 10, 12, 3
OTHERS = {"actors": 4, "nodes": 3, "heads": 2}
"""Jobs while workers, servers, actors, nodes and heads of the cluster are killed."""


async def taken_by(team: Crew, at: int) -> float:
    """Seconds from handing a worker a small job until it has told of its end."""
    await team.watch.until(lambda: team.supervisor.idle)
    ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
    team.watch.on_end = ended.set_result
    start = time.perf_counter()
    team.begin(sums(at), f"job {at}")
    assert (await ended).status == "finished"
    return time.perf_counter() - start


async def by_turns(address: str, folder: Path, count: int) -> list[tuple[float, float]]:
    """Seconds of small jobs on a worker beside the server, and on one of the cluster."""
    from nodegraph.jobs.cluster.distributed_run import join_cluster

    async with (
        join_cluster(address) as cluster,
        crew(folder / "near") as near,
        crew(folder / "far", starter=cluster.starter) as far,
    ):
        return [(await taken_by(near, at), await taken_by(far, at)) for at in range(count)]


def overhead(address: str, folder: Path, count: int) -> Iterator[Figure]:
    """What a job takes more on a cluster."""
    (folder / "near").mkdir()
    (folder / "far").mkdir()
    turns = asyncio.run(by_turns(address, folder, count))[count // 5 :]
    near, far = (statistics.median(part) * 1e3 for part in zip(*turns, strict=True))
    yield Figure("a small job on the cluster", far, "ms", None, near, "beside the server")
    yield Figure("… more than beside the server", far - near, "ms", 5)


def shared_out(address: str, folder: Path, count: int, crews: Sequence[int]) -> Iterator[Figure]:
    """Jobs that wait, on more and more workers."""
    from nodegraph.client import Client

    alone = 0.0
    for workers in crews:
        with (
            servers_at(prepared(folder, f"home-{workers}"), workers, address) as servers,
            Client(servers.url, "") as client,
        ):
            while sum(each.state == "idle" for each in client.system().workers) <= workers:
                time.sleep(0.1)
            client.queue.pause()
            jobs = [client.submit(waiting(at)) for at in range(count)]
            client.queue.resume()
            ended = [client.wait(job, timeout=PATIENCE) for job in jobs]
            begun = min(job.started or 0.0 for job in ended)
            seconds = max(job.finished or 0.0 for job in ended) - begun
        alone = alone or seconds
        part = alone / seconds / workers
        label = f"jobs that wait, on {workers} workers: part of {workers} times one's pace"
        yield Figure(label, part, "", 0.9, more_is_better=True)


def prepared(folder: Path, name: str) -> Path:
    """A home folder in which it is known what packs declare, as that takes seconds to read."""
    known = folder / "known"
    if not known.exists():
        prepared_home(known)
    return prepared_home(folder / name, known)


def waiting(at: int) -> dict[str, object]:
    """A job that does nothing for a while."""
    nodes = {
        "seed": {"type": "chaos_pack:Seed", "inputs": {"value": at}},
        "walk": {
            "type": "chaos_pack:Walk",
            "inputs": {"seed": {"from": "seed"}, "steps": 1, "pause": SECONDS},
        },
        "save": {
            "type": "chaos_pack:Save",
            "inputs": {"value": {"from": "walk"}, "name": f"waited-{at}"},
        },
    }
    return {"format": "nodegraph/1", "nodes": nodes}


def killed(found: Outcome, calm: Outcome, jobs: int) -> Iterator[Figure]:
    """What became of jobs while something was killed all the time."""
    for what, measured in (
        ("jobs finished exactly once", once(found)),
        ("… with what one machine gives, undisturbed", same(found, calm.results)),
    ):
        yield Figure(what, measured, "", jobs, more_is_better=True)
    for prey in ("worker", "actor", "node", "head", "server"):
        yield Figure(f"{prey}s killed", sum(kill.prey == prey for kill in found.kills), "")
    for what, kind, why in (
        ("attempts ended by a death", "job.requeued", "died"),
        ("attempts given back unblamed", "job.requeued", "released"),
    ):
        yield Figure(what, happened(found, kind, why), "")
    against = "on one machine, undisturbed"
    yield Figure("all jobs", found.seconds, "s", None, calm.seconds, against)


def disturb(cluster: Machines, folder: Path, seed: int) -> Iterator[Figure]:
    """Jobs while something is killed all the time."""
    work = pieces(JOBS)
    calm = disturbed(prepared(folder, "calm"), work, clients=CLIENTS)
    plan = moments(JOBS, WORKERS, SERVERS, seed, **OTHERS)
    home = prepared(folder, "home")
    found = disturbed(home, work, clients=CLIENTS, kills=plan, seed=seed, nodes=cluster)
    yield from killed(found, calm, JOBS)
    wrong = faults(found, work, calm.results)
    if wrong:
        sys.exit("\n".join(wrong))


def figures(cluster: Machines, folder: Path, *, quick: bool, seed: int) -> Iterator[Figure]:
    turns, waits, crews = QUICK if quick else FULL
    yield from overhead(cluster.address, folder, turns)
    yield from shared_out(cluster.address, folder, waits, crews)
    if not quick:
        yield from disturb(cluster, folder, seed)


def _seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="decides the moments")


def main() -> None:
    given = options(__doc__, _seed)
    for name in [name for name in os.environ if name.startswith("NODEGRAPH_")]:
        if name != "NODEGRAPH_LEAVE_OUT":
            del os.environ[name]
    os.environ.update(QUIET)
    count = (QUICK if given.quick else FULL)[-1][-1]
    with tempfile.TemporaryDirectory() as name, machines(count) as cluster:
        found = figures(cluster, Path(name), quick=given.quick, seed=given.seed)
        show(found, as_json=given.json)


if __name__ == "__main__":
    main()
