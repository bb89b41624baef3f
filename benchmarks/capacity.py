"""How many GPUs one server can keep busy, and what an image costs: measured, then simulated.

    python benchmarks/capacity.py [--json] [--quick] [--picture SECONDS ...] [--steps N]
        [--gpu-price PRICE] [--head-price PRICE] [--plot FILE.svg] [--costs FILE.json]

What a job costs the server is measured with a real one: processor time of its process to take jobs
in, to serve them, and to tell of steps with previews to one who follows; what the disk takes for a
commit; and how many commits a job needs. A simulation with these figures (`capacity_model.py`) is
held against real servers whose workers wait rather than compute, and then says what there would be
with up to 1,000 GPUs. What an image takes and what machines cost an hour isn't measured: both are
given. With --costs, what was measured is kept in a file, or taken from it if it is there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import jobs
from capacity_model import Costs, Found, Simulation, cost_of_one
from common import Figure, options, show
from serving import Server, cpu, load, loading, pictured, prepared, serving

from nodegraph.jobs.queue import JobQueue, Submission

GPUS = (1, 4, 16, 64, 128, 256, 512, 1000)
PICTURES = (1.0, 3.0, 10.0)
STEPS = 20
CONNECTIONS = 16
LOAD = 0.8
"""Part of what is possible at which waiting is looked at: at 1 it is without end."""
WAITED, WAITED_STEPS = 0.25, 4
"""Seconds and steps of the jobs by which the simulation is held against a real server."""
_fresh = count()


def new(many: int) -> list[int]:
    """Values that no job had before."""
    return [next(_fresh) for _ in range(many)]


# What is measured.


def measured(folder: Path, quick: bool) -> tuple[Costs, float]:
    """What a job costs, and how many commits it needs when jobs come one by one."""
    fresh = prepared(folder / "fresh")
    rounds, many, pictures = (1, 20, 1) if quick else (8, 100, 10)
    rest = 0.5 if quick else 5.0
    with serving(_home(fresh, "take"), workers=0) as server:
        take = [_taking(server, many) for _ in range(rounds)]
    taking = statistics.fmean(take)
    with serving(_home(fresh, "serve")) as server:
        whole = [_serving(server, many) for _ in range(rounds)]
        serve = [max(each - taking, 0.0) for each in whole]
        small = taking + statistics.fmean(serve)
        step, quiet = (
            max(_picturing(server, pictures, watching, rest) - small, 0.0) / STEPS
            for watching in (1, 0)
        )
    # A worker that has done small jobs is handed some ahead, which those that take longer aren't.
    with serving(_home(fresh, "alone")) as server:
        alone = _waited(server, 1, 2 * pictures) / (2 * pictures)
    commit, commits = _committing(folder / "queue.sqlite", 10 if quick else 100)
    costs = Costs(tuple(take), tuple(serve), step, tuple(commit), 0.0, quiet)
    # Of the clock: a worker has to wait for its machine's other work, as real ones have.
    plain = Simulation(costs, 1, WAITED, WAITED_STEPS).all_at_once(100).seconds / 100
    return replace(costs, own=max(alone - plain, 0.0)), commits


def read(path: Path) -> tuple[Costs, float]:
    """What was measured before."""
    found: dict[str, Any] = json.loads(path.read_text())
    commits = float(found.pop("commits"))
    for name in ("take", "serve", "commit"):
        found[name] = tuple(found[name])
    return Costs(**found), commits


def _home(fresh: Path, name: str) -> Path:
    return Path(shutil.copytree(fresh, fresh.with_name(name)))


def _taking(server: Server, many: int) -> float:
    """Seconds of the server's processor, for a job that it takes in."""
    before = cpu(server.process)
    values = new(many)
    load("throughput", port=server.port, values=values, connections=CONNECTIONS, follow=False)
    return (cpu(server.process) - before) / many


def _serving(server: Server, many: int) -> float:
    """Seconds of the server's processor, for a small job from end to end."""
    before = cpu(server.process)
    load("throughput", port=server.port, values=new(many), connections=CONNECTIONS)
    return (cpu(server.process) - before) / many


def _picturing(server: Server, many: int, watching: int, rest: float) -> float:
    """Seconds of the server's processor for a job of many steps, with so many who follow it.

    Args:
        rest: Seconds in which it is found what the server takes for nothing.
    """
    idle = cpu(server.process)
    time.sleep(rest)
    idle = (cpu(server.process) - idle) / rest
    used = []
    for value in new(many):
        server.pause()
        job = server.submit(pictured(STEPS, 1.0, value))
        with loading("watch", port=server.port, job=job, count=watching):
            before = cpu(server.process)
            server.resume()
        if not watching:
            time.sleep(1.5)  # asking whether it has finished would take the processor, too
        used.append(cpu(server.process) - before)
        server.until(job, "finished")
    # The system counts in hundredths, so that a median would be one of few values.
    return max(statistics.fmean(used) - idle, 0.0)


def _committing(path: Path, many: int) -> tuple[list[float], float]:
    """Seconds that a commit takes, and how many a job needs that is the only one."""
    seconds, commits = [], 0

    def committed() -> None:
        nonlocal commits
        commits += 1

    with JobQueue(path) as queue:
        end = queue.listen(committed)
        for at in range(many):
            jobs.run_one(queue, 0, at)
        needed = commits / many
        for _ in range(many):
            start = time.perf_counter()
            queue.submit(Submission("client", jobs.WORKFLOW)).result()
            seconds.append(time.perf_counter() - start)
        end()
    return seconds, needed


# What is simulated.


def against_real(folder: Path, costs: Costs, quick: bool) -> Iterator[Figure]:
    """The simulation beside real servers whose workers wait."""
    each = 2 if quick else 40
    for workers in (2,) if quick else (2, 4):
        home = _home(folder / "fresh", f"real-{workers}")
        with serving(home, workers=workers) as server:
            real = _waited(server, workers, each * workers)
        found = Simulation(costs, workers, WAITED, WAITED_STEPS).all_at_once(each * workers)
        label = f"{each * workers} jobs of {WAITED:g} s on {workers} workers, simulated"
        yield Figure(label, found.seconds, "s", None, real, "a real server")
        off = abs(found.seconds / real - 1) * 100
        yield Figure("… off by", off, "%", 10)


def _waited(server: Server, workers: int, many: int) -> float:
    """Seconds from the first job's start to the last one's end."""
    while _idle(server) < workers:
        time.sleep(0.1)
    server.pause()
    waiting = [server.submit(pictured(WAITED_STEPS, WAITED, value)) for value in new(many)]
    server.resume()
    # Asking often would take the head's time.
    while server.state(waiting[-1]) != "finished":
        time.sleep(0.5)
    ended = [server.until(job, "finished") for job in waiting]
    return float(max(job["finished"] for job in ended) - min(job["started"] for job in ended))


def _idle(server: Server) -> int:
    found = server.client.get("/system").json()["workers"]
    return sum(each["role"] == "worker" and each["state"] == "idle" for each in found)


def simulated(costs: Costs, workers: int, seconds: float, steps: int) -> tuple[Found, Found]:
    """With work without end, and with jobs that come by chance at `LOAD` of what is possible."""
    within = 2 * workers + 16
    many = max(500, 6 * within)
    full = Simulation(costs, workers, seconds, steps).never_idle(many, within)
    rate = LOAD * costs.bound(workers, seconds, steps)
    return full, Simulation(costs, workers, seconds, steps, seed=1).arriving(many, rate)


def curves(
    costs: Costs, pictures: Sequence[float], given: argparse.Namespace
) -> Iterator[tuple[float, int, Found, Found, float]]:
    """For each image and each number of GPUs: what was found, and what an image costs."""
    for seconds in pictures:
        for workers in GPUS[:2] if given.quick else GPUS:
            full, waiting = simulated(costs, workers, seconds, given.steps)
            price = cost_of_one(full.rate, workers, given.gpu_price, given.head_price)
            yield seconds, workers, full, waiting, price


def plotted(
    found: Sequence[tuple[float, int, Found, Found, float]], costs: Costs, to: Path
) -> None:
    """Images a second over GPUs, as an SVG."""
    from nodegraph.core.plots import Plot, Series
    from nodegraph.media.plots.rendering import plot_svg

    series = []
    for seconds in dict.fromkeys(row[0] for row in found):
        rows = [row for row in found if row[0] == seconds]
        x, y = tuple(float(row[1]) for row in rows), tuple(row[2].rate for row in rows)
        series.append(Series(f"an image takes {seconds:g} s", x, y))
    most = costs.most(STEPS)
    series.append(Series("the head's end", (1.0, float(GPUS[-1])), (most, most)))
    title = "Images a second that one server gives, simulated"
    plot = Plot(title, "GPUs", "images a second", tuple(series), "log", "log")
    to.write_text(plot_svg(plot, 720, 420), encoding="utf-8")


def figures(given: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        is_known = given.costs is not None and given.costs.exists()
        costs, commits = read(given.costs) if is_known else measured(Path(name), given.quick)
        if given.costs is not None and not is_known:
            given.costs.write_text(json.dumps({"commits": commits, **asdict(costs)}))
        yield Figure("measured: taking a job in", statistics.fmean(costs.take) * 1e3, "ms")
        yield Figure("measured: serving it", statistics.fmean(costs.serve) * 1e3, "ms")
        yield Figure("measured: a step with a preview, followed", costs.step * 1e3, "ms")
        quiet = costs.quiet_step * 1e3
        yield Figure("measured: a step with a preview, not followed", quiet, "ms")
        yield Figure("measured: a commit", statistics.median(costs.commit) * 1e3, "ms")
        yield Figure("measured: commits a job, alone", commits, "")
        yield Figure("measured: a worker's own time a job", costs.own * 1e3, "ms")
        if not is_known:
            yield from against_real(Path(name), costs, given.quick)
    for which, each in (("all followed", costs), ("none followed", costs.quiet)):
        label = f"the head's end, images of {given.steps} steps, {which}"
        yield Figure(label, each.most(given.steps), "/s")
        for seconds in given.picture:
            most = each.workers_at_most(seconds, given.steps)
            yield Figure(f"… GPUs of images that take {seconds:g} s", most, "")
    rows = []
    for row in curves(costs, given.picture, given):
        rows.append(row)
        seconds, workers, full, waiting, price = row
        yield Figure(f"{workers} GPUs, {seconds:g} s an image", full.rate, "/s")
        yield Figure("… head busy", full.head * 100, "%")
        yield Figure("… GPUs busy", full.workers * 100, "%")
        yield Figure("… a thousand images cost", price * 1e3, "")
        label = f"… waiting at {LOAD:.0%} of that, 95 of 100 within"
        yield Figure(label, waiting.late_wait, "s")
    if given.plot is not None:
        plotted(rows, costs, given.plot)


def _given(parser: argparse.ArgumentParser) -> None:
    seconds = "that an image takes on a GPU; not measured"
    parser.add_argument("--picture", type=float, nargs="+", default=PICTURES, help=seconds)
    parser.add_argument("--steps", type=int, default=STEPS, help="of an image")
    price = "an hour of a GPU, in any currency; not measured"
    parser.add_argument("--gpu-price", type=float, default=2.0, help=price)
    price = "an hour of the server's machine"
    parser.add_argument("--head-price", type=float, default=0.2, help=price)
    parser.add_argument("--plot", type=Path, help="an SVG to write")
    parser.add_argument("--costs", type=Path, help="keeps what was measured, or has it")


def main() -> None:
    given = options(__doc__, _given)
    show(figures(given), as_json=given.json)


if __name__ == "__main__":
    main()
