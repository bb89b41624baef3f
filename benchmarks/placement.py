"""Two workers with memory for one model each, jobs of two: with models told to the queue, or not.

    python benchmarks/placement.py [--jobs N] [--seed N] [--json] [--quick]

Writes 1.1 GB of random weights into a temporary folder. Both times the same jobs wait when the
workers begin, in a random order; where none says which model it needs, they go by turns alone.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any

from common import Figure, options, sampling_nodes, show
from serving import prepared
from turns import NAMES, TEXT, UNET, VAE, write

from nodegraph.jobs.queue import JobEvent, JobQueue, Submission, Submitted
from nodegraph.jobs.supervisor.dispatcher import Dispatcher
from nodegraph.jobs.supervisor.queue_reads import EventTail
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.jobs.supervisor.worker_spec import WorkerSpec

WORKERS = 2
_ENDS = ("job.finished", "job.failed", "job.cancelled")
_KIND = "DiffusionModel"
PARTS = ("unet", "text_encoder")


def wish(model: str, number: int, *, is_told: bool) -> Submission:
    """A job that samples by a model."""
    nodes: dict[str, Any] = sampling_nodes("an apple", size=64, steps=1, seed=number)
    nodes["model"]["inputs"] |= {"model": model, "dtype": "bfloat16"}
    document = {"format": "nodegraph/1", "nodes": nodes}
    told = [model] if is_told else []
    return Submission("client", document, targets=["sample"], models=told, name=model)


class Loads:
    """Counts the models that come into workers' memory, as of the end of each job.

    Attributes:
        count: So far.
        ended: Jobs by how they ended.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._there: dict[str, set[str]] = {}
        self.count = 0
        self.ended: Counter[str] = Counter()

    def happened(self, events: Sequence[JobEvent]) -> None:
        """Look at the workers whenever jobs have ended."""
        self.ended.update(event.kind for event in events if event.kind in _ENDS)
        for worker in self._supervisor.workers:
            there = {name for name in worker.weights if f"'{_KIND}'" in name}
            self.count += len(there - self._there.get(worker.name, set()))
            self._there[worker.name] = there


async def waited(is_so: Any) -> None:
    """Wait until something is so."""
    while not is_so():
        await asyncio.sleep(0.01)


async def ran(folder: Path, models: Path, order: Sequence[str], budget: int, is_told: bool) -> Any:
    """Models loaded, and seconds, that some jobs take."""
    settings = {
        "home": str(folder),
        "models": [str(models)],
        "device": "cpu",
        "host_weights_budget": budget,
    }
    names = [f"worker-{at}" for at in range(1, WORKERS + 1)]
    with JobQueue(folder / "queue.sqlite") as queue:
        tail = EventTail(queue)
        dispatcher = Dispatcher(queue, tail, lambda _: None)
        supervisor = Supervisor([WorkerSpec(name, settings=settings) for name in names], dispatcher)
        loads = Loads(supervisor)
        tail.listen(loads.happened)
        await dispatcher.start(supervisor)
        await supervisor.start()
        try:
            await waited(lambda: len(supervisor.idle) == WORKERS)
            # What isn't known yet is imported, and their own models are there.
            await ended(queue, loads, [wish("tiny", at, is_told=False) for at in range(4)])
            before, start = loads.count, time.perf_counter()
            jobs = [wish(model, at, is_told=is_told) for at, model in enumerate(order)]
            await ended(queue, loads, jobs)
            return loads.count - before, time.perf_counter() - start
        finally:
            await dispatcher.stop()
            tail.close()


async def ended(queue: JobQueue, loads: Loads, jobs: Sequence[Submission]) -> None:
    """Submit some jobs, and wait until all have finished."""
    wanted = loads.ended.total() + len(jobs)
    submitted: Future[list[Submitted]] = queue.submit_all(jobs)
    await asyncio.wrap_future(submitted)
    await waited(lambda: loads.ended.total() >= wanted)
    if loads.ended["job.finished"] < wanted:
        raise RuntimeError(f"not all jobs have finished: {dict(loads.ended)}")


def figures(jobs: int, seed: int, *, quick: bool) -> Iterator[Figure]:
    UNET["block_out_channels"] = VAE["block_out_channels"] = (128, 256, 512, 512)
    TEXT["num_hidden_layers"] = 2
    order = [NAMES[at % 2] for at in range(jobs)]
    Random(seed).shuffle(order)
    with tempfile.TemporaryDirectory() as name:
        models = Path(name) / "models"
        folders = [models / each for each in NAMES]
        write(folders, quick=quick)
        # What samples; in memory it is as large as in its files.
        files = [path for part in PARTS for path in (folders[0] / part).rglob("*.safetensors")]
        size = sum(path.stat().st_size for path in files)
        fresh = prepared(Path(name) / "fresh")
        found = {
            is_told: asyncio.run(
                ran(
                    shutil.copytree(fresh, Path(name) / f"home {is_told}"),
                    models,
                    order,
                    int(1.4 * size),
                    is_told,
                )
            )
            for is_told in (False, True)
        }
    (loads, seconds), (plain_loads, plain_seconds) = found[True], found[False]
    what = f"{jobs} jobs of two models on {WORKERS} workers: models loaded"
    yield Figure(what, loads, "", plain_loads / 2, plain_loads, "by turns alone")
    yield Figure(
        "… seconds for all of them", seconds, "s", plain_seconds, plain_seconds, "the same"
    )


def main() -> None:
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--jobs", type=int, default=40)
        parser.add_argument("--seed", type=int, default=1)

    given = options(__doc__, more)
    jobs = 4 if given.quick else given.jobs
    show(figures(jobs, given.seed, quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
