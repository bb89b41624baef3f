"""What the server costs: latencies, jobs a second, lists, watchers, memory.

    python benchmarks/server.py [--json] [--quick] [--only NAME]

NAME is one of latency, throughput, submits, listing, watchers, large, memory, first. Each starts
real servers, and load generators in processes of their own, see `load.py`. Processor time for each
job is told beside, as it hardly depends on what else the machine does. The baselines are the floor,
a bare FastAPI server with two commits, a pipe and a websocket (`bare_server.py`), the same jobs in
a session without a server, and diffusers in a process that has imported everything.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import turns
from common import Figure, options, show
from serving import (
    Server,
    bare,
    cpu,
    load,
    loading,
    prepared,
    sampling,
    serving,
    stepping,
    tiny,
)

from nodegraph import Session, Workflow
from nodegraph.jobs.queue import JobFilter, QueueReader
from nodegraph.session.settings import Settings

CONNECTIONS = 16
IDLE = 10
"""Seconds in which a worker without a job imports what images take."""
_fresh = count()


def new(many: int) -> list[int]:
    """Values that no job had before, so that nothing is known of its results."""
    return [next(_fresh) for _ in range(many)]


def median_ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1e3


def late_ms(seconds: Sequence[float]) -> float:
    """Within which 95 of 100 are."""
    return statistics.quantiles(seconds, n=20)[-1] * 1e3


def latency(home: Path, quick: bool) -> Iterator[Figure]:
    """From submitting a job to hearing that it finished, with nothing else to do."""
    many = 20 if quick else 1_000
    plain = median_ms(in_process(home, many))
    with serving(home) as server, bare(home) as port:
        floor, found = [], []
        for _ in range(5):  # by turns, as the machine's speed varies
            each = {"values": new(many // 5), "by": "http"}
            floor += load("latency", port=port, **each)["seconds"]
            found += load("latency", port=server.port, **each)["seconds"]
        label = "submitted by http, until finished is heard"
        yield Figure(
            f"{label}: median", median_ms(found), "ms", None, median_ms(floor), "the floor"
        )
        yield Figure("… 95 of 100 within", late_ms(found), "ms", None, late_ms(floor), "the floor")
        found = load("latency", port=server.port, values=new(many), by="websocket")["seconds"]
        label = "submitted by websocket, until finished is heard"
        yield Figure(f"{label}: median", median_ms(found), "ms", 6, plain, "without a server")
        yield Figure("… 95 of 100 within", late_ms(found), "ms")


def alone(home: Path) -> Settings:
    """A session with results of its own, for which packs need not be read once more."""
    cache = home / "cache-alone"
    shutil.copytree(home / "cache" / "specs", cache / "specs")
    return Settings(home=home, cache=cache)


def in_process(home: Path, many: int) -> list[float]:
    """Seconds of the same jobs, one after the other in a session."""
    found = []
    with Session(alone(home)) as session:
        for value in new(many + 10):
            workflow = Workflow.from_dict(tiny(0)["workflow"])
            start = time.perf_counter()
            session.run(workflow, parameters={"value": value})
            found.append(time.perf_counter() - start)
    return found[10:]


def throughput(home: Path, quick: bool) -> Iterator[Figure]:
    """Jobs a second from several connections, with their processor time."""
    many, times = (100, 1) if quick else (2_000, 3)
    with serving(home) as server, bare(home) as port:
        for label in ("new to it", "known results"):
            is_new = label == "new to it"
            runs, floors = [], []
            for _ in range(times):
                floors.append(
                    load("throughput", port=port, values=new(many), connections=CONNECTIONS)
                )
                runs.append(_measured(server, new(many) if is_new else [-1] * many))
            speed, floor = (max(many / run["seconds"] for run in each) for each in (runs, floors))
            taken, bare_taken = (
                max(many / run["taken"] for run in each) for each in (runs, floors)
            )
            what = f"jobs from {CONNECTIONS} connections, {label}"
            against = "the floor"
            yield Figure(what, speed, "/s", 400, floor, against, more_is_better=True)
            yield Figure("… taken in", taken, "/s", None, bare_taken, against, more_is_better=True)
            for part in ("server", "worker", "client"):
                used = min(run[part] for run in runs)
                yield Figure(f"… processor time of the {part}, a job", used * 1e3 / many, "ms")


def _taken(port: int, many: int) -> dict[str, Any]:
    found: dict[str, Any] = load(
        "throughput", port=port, values=new(many), connections=CONNECTIONS, follow=False
    )
    return found


def _measured(server: Server, values: list[int]) -> dict[str, float]:
    worker = server.worker()
    before = cpu(server.process), cpu(worker)
    found = load("throughput", port=server.port, values=values, connections=CONNECTIONS)
    return {
        "seconds": found["seconds"],
        "taken": found["taken"],
        "client": found["cpu"],
        "server": cpu(server.process) - before[0],
        "worker": cpu(worker) - before[1],
    }


def submits(home: Path, quick: bool) -> Iterator[Figure]:
    """How long a submission takes while a worker samples."""
    many = 20 if quick else 1_000
    given: dict[str, Any] = {"values": new(many), "pause": 0.01, "connections": 4}
    with serving(home) as server, bare(home) as port:
        server.run(sampling(2, 0))  # loads libraries and the model
        job = server.submit(sampling(10_000, 1))
        server.until(job, "running")
        ours = load("submits", port=server.port, **given)["answers"]
        plain = load("submits", port=port, **given)["answers"]
        pictures = [_submitted(server, seed) for seed in range(many // 5)]
        assert server.state(job) == "running", "the sampling is over already"
        server.client.post(f"/jobs/{job}/cancel")
    what = "submitting beside a sampling, 95 of 100 within"
    yield Figure(what, late_ms(ours), "ms", 20, late_ms(plain), "bare")
    yield Figure("… median", median_ms(ours), "ms", None, median_ms(plain), "bare")
    what = "… an image of a new prompt, 95 of 100 within"
    yield Figure(what, late_ms(pictures), "ms", 20, late_ms(plain), "bare, of a sum")
    yield Figure("… median", median_ms(pictures), "ms", None, median_ms(plain), "bare, of a sum")


def _submitted(server: Server, seed: int) -> float:
    """Seconds of submitting an image of something new: packs are asked whether it can be run."""
    request = sampling(2, seed, prompt=f"apple {seed}")
    start = time.perf_counter()
    server.submit(request)
    return time.perf_counter() - start


def listing(home: Path, quick: bool) -> Iterator[Figure]:
    """A list of all that waits, in one page."""
    waiting, times = (200, 3) if quick else (2_000, 30)
    with serving(home) as server:
        server.pause()
        _taken(server.port, waiting)
        seconds, used = [], cpu(server.process)
        for _ in range(times):
            start = time.perf_counter()
            answer = server.client.get(f"/jobs?state=queued&limit={waiting}")
            seconds.append(time.perf_counter() - start)
            assert len(answer.json()["items"]) == waiting
        used = (cpu(server.process) - used) / times
        with QueueReader(home / "queue.sqlite") as queue:
            plain = min(_rows(queue, waiting) for _ in range(times))
    label = f"listing {waiting:,} waiting jobs"
    yield Figure(label, min(seconds) * 1e3, "ms", 50, plain * 1e3, "reading their rows")
    yield Figure("… median", median_ms(seconds), "ms")
    yield Figure("… processor time of the server", used * 1e3, "ms")


def _rows(queue: QueueReader, waiting: int) -> float:
    start = time.perf_counter()
    assert len(queue.page(JobFilter(states=["queued"]), limit=waiting).jobs) == waiting
    return time.perf_counter() - start


def watchers(home: Path, quick: bool) -> Iterator[Figure]:
    """A job with previews that many watch, and one that nobody does, by turns."""
    watching, steps, times = (20, 5, 1) if quick else (200, 200, 7)
    ratios, frames, used = [], [], []
    with serving(home) as server:
        server.run(stepping(1, 0))
        for turn in range(times):
            alone = float(server.run(stepping(steps, 2 * turn + 1))["outputs"]["seconds"])
            server.pause()
            job = server.submit(stepping(steps, 2 * turn + 2))
            with loading("watch", port=server.port, job=job, count=watching) as found:
                before = cpu(server.process)
                server.resume()
                watched = float(server.until(job, "finished")["outputs"]["seconds"])
            ratios.append(watched / alone)
            frames.append(found[0]["frames"] / watching)
            used.append((cpu(server.process) - before) / watched)
    label = f"a job with previews, {watching} watching"
    slower = (statistics.median(ratios) - 1) * 100
    yield Figure(f"{label}: slower by", slower, "%", 5)
    yield Figure("… messages to each, for each step", statistics.median(frames) / steps, "")
    yield Figure("… of a core, for the server", statistics.median(used) * 100, "%")


def large(home: Path, quick: bool) -> Iterator[Figure]:
    """A large workflow whose results are all known: looked through, checked, told of."""
    many, times = (101, 3) if quick else (5_001, 15)
    nodes: dict[str, Any] = {"n0": {"type": "bench:Number", "inputs": {"value": 1}}}
    for at in range(1, many):
        inputs = {"a": {"from": "n0"}, "b": at}
        nodes[f"n{at}"] = {"type": "bench:Sum", "inputs": inputs}
    document = {"format": "nodegraph/1", "nodes": nodes}
    targets = list(nodes)[1:]
    request = {"workflow": document, "targets": targets}
    plain, served = [], []
    with serving(home) as server, Session(alone(home)) as session:
        server.run(request)
        workflow = Workflow.from_dict(document)
        session.run(workflow, targets=targets, values=False)
        for _ in range(times):
            start = time.perf_counter()
            session.run(workflow, targets=targets, values=False)
            middle = time.perf_counter()
            job = server.run(request)["id"]
            plain.append(middle - start)
            served.append(time.perf_counter() - middle)
        size = len(server.client.get(f"/jobs/{job}/events", params={"limit": 1000}).content)
    what = f"fan of {many:,} known nodes"
    yield Figure(what, median_ms(served), "ms", 350, median_ms(plain), "without a server")
    yield Figure("… bytes of its events, a node", size / many, "B")


def memory(home: Path, quick: bool) -> Iterator[Figure]:
    """Memory over many jobs, once what is remembered of the last ones is full."""
    warm, rounds, each = (50, 3, 20) if quick else (1_500, 20, 100)
    found: dict[str, list[int]] = {"server": [], "worker": []}
    with serving(home) as server:
        processes = {"server": server.process, "worker": server.worker()}
        load("throughput", port=server.port, values=new(warm), connections=CONNECTIONS)
        for _ in range(rounds):
            load("throughput", port=server.port, values=new(each), connections=CONNECTIONS)
            for name, process in processes.items():
                found[name].append(process.memory_info().rss)
    third = rounds // 3
    for name, sizes in found.items():
        first, last = statistics.median(sizes[:third]), statistics.median(sizes[-third:])
        label = f"memory of the {name} over {rounds * each:,} jobs: change"
        yield Figure(label, abs(last / first - 1) * 100, "%", 5)
        yield Figure("… at the end", last / 1e6, "MB")


def first(home: Path, quick: bool) -> Iterator[Figure]:
    """The first image of a worker with a large model, and the second one, of a new prompt."""
    folder = home / "models" / "large"
    turns.write([folder], quick=quick)
    plain = turns.bare([folder])
    found: tuple[list[float], list[float]] = ([], [])
    for at in range(1 if quick else 3):
        with serving(shutil.copytree(home, home.with_name(f"first-{at}"), symlinks=True)) as server:
            time.sleep(0 if quick else IDLE)
            for number, times in enumerate(found):
                request = {"workflow": turns.picture("large", 2 * at + number, "float32")}
                start = time.perf_counter()
                server.run({**request, "targets": ["decode"]})
                times.append(time.perf_counter() - start)
    what = f"image of one step at 64 pixels, model as large as SD 1.5, {IDLE} s after the start"
    against = "diffusers, everything imported"
    yield Figure(f"{what}: first", median_ms(found[0]) / 1e3, "s", 1.5, plain, against)
    yield Figure("… second", median_ms(found[1]) / 1e3, "s", 0.45, plain, against)


KINDS: Mapping[str, Callable[[Path, bool], Iterator[Figure]]] = {
    each.__name__: each
    for each in (latency, throughput, submits, listing, watchers, large, memory, first)
}


def figures(names: Sequence[str], *, quick: bool) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        fresh = prepared(Path(folder) / "fresh")
        for name in names:
            yield from KINDS[name](shutil.copytree(fresh, Path(folder) / name), quick)


def _only(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", choices=list(KINDS), action="append", help="may be repeated")


def main() -> None:
    given = options(__doc__, _only)
    show(figures(given.only or list(KINDS), quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
