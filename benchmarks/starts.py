"""What starts take: of commands, of the server, and until a first image.

    python benchmarks/starts.py [--json] [--quick] [--against CHECKOUT]

With another checkout, each start is taken with its code too, by turns, as the baseline. Times are
the best of several: of the processor, as far as they don't say otherwise. Without one, the baseline
is `import torch`. Memory is the proportional set size of the server, its worker and its planner.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from common import Figure, options, show
from serving import listening

HERE = Path(__file__).parents[1]
WORKFLOW = HERE / "workflows" / "text_to_image.json"
IDLE = 10
"""Seconds in which a worker without a job imports what images take."""
LIBRARIES = """
import time, torch
start = time.process_time()
from nodegraph.weights.lazy import diffusers
print(time.process_time() - start)
"""
_seeds = count(1)
_homes = count()


class Code:
    """A checkout to run, with temporary home folders.

    Args:
        folder: Where files of this benchmark may lie.
    """

    def __init__(self, checkout: Path, folder: Path) -> None:
        self._folder = folder
        packages = folder / "packages"
        packages.mkdir(parents=True)
        for name in ("nodes", "pipelines"):
            (packages / f"nodegraph_{name}").symlink_to(checkout.resolve() / name)
        self._path = f"{checkout.resolve()}{os.pathsep}{packages}"
        self.home = self.fresh()

    def fresh(self) -> Path:
        """A home folder that isn't there yet."""
        return self._folder / f"home-{next(_homes)}"

    def variables(self, home: Path) -> dict[str, str]:
        """The environment of a process of this code."""
        kept = {name: value for name, value in os.environ.items() if "NODEGRAPH" not in name}
        return {**kept, "PYTHONPATH": self._path, "NODEGRAPH_HOME": str(home)}

    def run(self, *arguments: str, home: Path | None = None) -> str:
        """What a process of Python prints, which must succeed."""
        return subprocess.run(
            [sys.executable, *arguments],
            check=True,
            capture_output=True,
            text=True,
            cwd=self._folder,
            env=self.variables(home or self.home),
        ).stdout

    def nodegraph(self, *arguments: str, home: Path | None = None) -> str:
        """What `nodegraph` prints."""
        return self.run("-m", "nodegraph", *arguments, home=home)

    def image(self, seed: int, command: Sequence[str] = ("run", "--device", "cpu")) -> str:
        """Make an image of one step with `nodegraph run`, or with `submit`."""
        values = ("--set", f"sample.seed={seed}", "--set", "sample.steps=1")
        return self.nodegraph(*command, str(WORKFLOW), *values)

    @contextmanager
    def serving(self, home: Path) -> Iterator[tuple[psutil.Process, int]]:
        """`nodegraph serve`, from its start on, and its port once it answers."""
        command = [sys.executable, "-m", "nodegraph", "serve", "--port", "0"]
        log = self._folder / "log.txt"
        with listening(command, self._folder, log, self.variables(home)) as (process, port):
            yield psutil.Process(process.pid), port


def processor(action: Callable[[], object]) -> float:
    """Seconds of the processor that the processes take which an action starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def elapsed(action: Callable[[], object]) -> float:
    """Seconds of the clock."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def first_nodes(code: Code) -> float:
    """The first list of the node types, in a home that nothing has been read in."""
    return processor(lambda: code.nodegraph("nodes", home=code.fresh()))


def cached_run(code: Code) -> float:
    """A run all of whose results are known."""
    return processor(lambda: code.image(0))


def new_seed(code: Code) -> float:
    """A run of which the sampling, and what follows it, is new."""
    return processor(lambda: code.image(next(_seeds)))


def new_seed_elapsed(code: Code) -> float:
    """The same, until the process has ended."""
    return elapsed(lambda: code.image(next(_seeds)))


def libraries(code: Code) -> float:
    """Importing what a UNet, a VAE and CLIP take, after torch."""
    return float(code.run("-c", LIBRARIES))


def answering(code: Code) -> float:
    """The server's own process, until it answers."""
    with code.serving(code.home) as (process, _):
        times = process.cpu_times()
        return float(times.user + times.system)


def memory(code: Code) -> float:
    """MiB of a server without jobs and of its processes, when libraries are imported."""
    with code.serving(code.home) as (process, _):
        time.sleep(IDLE)
        processes = [process, *process.children(recursive=True)]
        return float(sum(each.memory_full_info().pss for each in processes) / 2**20)


def first_image(code: Code) -> float:
    """From the start of a server in a fresh home until it has made an image of one step."""
    start = time.perf_counter()
    with code.serving(code.fresh()) as (_, port):
        workflow = json.loads(WORKFLOW.read_text("utf-8"))
        workflow["nodes"]["sample"]["inputs"]["steps"] = 1
        job = _request(port, "/jobs", {"workflow": workflow})
        while job["state"] in ("queued", "running"):
            time.sleep(0.01)
            job = _request(port, f"/jobs/{job['id']}")
        assert job["state"] == "finished", job
        return time.perf_counter() - start


def resident(code: Code) -> float:
    """An image of one step by a worker that has made one before, downloaded with `submit`."""
    with code.serving(code.home) as (_, port), tempfile.TemporaryDirectory() as folder:
        command = ("submit", "--server", f"http://127.0.0.1:{port}", "--out", folder)
        code.image(next(_seeds), command)
        return min(elapsed(lambda: code.image(next(_seeds), command)) for _ in range(3))


def _request(port: int, path: str, document: Any = None) -> Any:
    data = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/api/v1{path}"
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.load(answer)


STARTS: tuple[tuple[str, Callable[[Code], float], str, float | None], ...] = (
    ("first `nodegraph nodes` of a home", first_nodes, "s", 0.4),
    ("`nodegraph run`, cached", cached_run, "s", 0.2),
    ("`nodegraph run` with a new seed", new_seed, "s", 2.5),
    ("… by the clock", new_seed_elapsed, "s", 2.5),
    ("… by a server's worker, with `nodegraph submit --out`", resident, "s", 0.8),
    ("libraries of models, after torch", libraries, "s", None),
    ("`nodegraph serve`, until it answers", answering, "s", 0.6),
    ("… memory of its processes, without a job", memory, "MiB", 300),
    ("first image of a fresh home's server, by the clock", first_image, "s", 2.5),
)


def figures(against: Path | None, *, quick: bool) -> Iterator[Figure]:
    times = 1 if quick else 7
    with tempfile.TemporaryDirectory() as name:
        codes = [Code(HERE, Path(name) / "own")]
        if against is not None:
            codes.append(Code(against, Path(name) / "other"))
        for code in codes:
            for _ in range(2):  # the file's name counts up for a workflow that was never run so
                code.image(0)
        torch = min(processor(lambda: codes[0].run("-c", "import torch")) for _ in range(times))
        yield Figure("`import torch`", torch, "s")
        plain = "before" if against else "import torch"
        for what, start, unit, aim in STARTS:
            turns = [[start(code) for code in codes] for _ in range(times)]
            best = [min(column) for column in zip(*turns, strict=True)]
            is_memory = unit != "s"
            baseline = best[1] if against else None if is_memory else torch
            yield Figure(what, best[0], unit, aim, baseline, plain)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--against", type=Path, help="a checkout to compare with")


def main() -> None:
    given = options(__doc__, _more)
    show(figures(given.against, quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
