"""How much code a job enters: from a command to its image, and from POST /jobs to *finished*.

    python benchmarks/trips.py [--json] [--quick] [--list TRIP]

Counted are distinct modules and functions of nodegraph, by `sys.setprofile` in each process that
takes part; calls are all that were made. A count differs a little from run to run, as threads
differ: compare two of them by more than a few.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common import Figure, options, show
from serving import prepared, serving

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / "workflows" / "text_to_image.json"
_TRIPS = ("command", "server", "worker")
_SETTLE = 0.3
"""Seconds for each process to notice that counting begins or has ended."""
_PROFILER = """
import atexit, os, sys, threading, time

folder = os.environ["TRIPS_FOLDER"]
flag = os.path.join(folder, "counting")
counts = {}
is_counting = False

def profile(frame, event, argument):
    code = frame.f_code
    # The bodies of classes and modules, which run as they are imported, are no functions.
    if is_counting and event == "call" and code.co_flags & 1:
        counts[code] = counts.get(code, 0) + 1

def write():
    kind = os.environ.get("TRIPS_KIND") or (
        "worker" if "nodegraph.jobs.worker" in " ".join(sys.orig_argv) else "server"
    )
    lines = []
    for code, count in list(counts.items()):
        name = code.co_qualname if hasattr(code, "co_qualname") else code.co_name
        lines.append(f"{kind}\\t{code.co_filename}\\t{name}\\t{code.co_firstlineno}\\t{count}\\n")
    with open(os.path.join(folder, f"{os.getpid()}.tsv"), "w") as file:
        file.writelines(lines)

def watch():
    global is_counting
    while os.path.isdir(folder):
        wanted = os.path.exists(flag)
        if is_counting and not wanted:
            is_counting = False
            write()
        is_counting = wanted
        time.sleep(0.02)

if os.environ.get("TRIPS_KIND"):
    is_counting = True
    atexit.register(write)
else:
    threading.Thread(target=watch, daemon=True).start()
threading.setprofile(profile)
sys.setprofile(profile)
"""


@dataclass(frozen=True)
class Trip:
    """What was entered on the way.

    Attributes:
        functions: Calls of each, by file, name and line.
    """

    functions: Counter[tuple[str, str, str]]

    @property
    def modules(self) -> set[str]:
        return {file for file, _, _ in self.functions}


def _read(folder: Path, kind: str) -> Trip:
    """What the processes of a kind noted, as far as it is nodegraph's own."""
    functions: Counter[tuple[str, str, str]] = Counter()
    for path in folder.glob("*.tsv"):
        for line in path.read_text("utf-8").splitlines():
            process, file, name, first, count = line.split("\t")
            is_own = any(Path(file).is_relative_to(ROOT / one) for one in ("nodegraph", "nodes"))
            # A comprehension is a part of its function, whatever Python makes of it.
            is_function = not name.endswith(("comp>", "genexpr>", "<module>"))
            if process == kind and is_own and is_function:
                functions[str(Path(file).relative_to(ROOT)), name, first] += int(count)
    return Trip(functions)


@contextmanager
def _profiled(kind: str = "") -> Iterator[Path]:
    """Let processes that are started note what they enter; the folder is where they do."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "sitecustomize.py").write_text(_PROFILER)
        before = dict(os.environ)
        os.environ |= {
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(folder), os.environ.get("PYTHONPATH")])
            ),
            "TRIPS_FOLDER": str(folder),
            "TRIPS_KIND": kind,
        }
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(before)


def command_trip() -> Trip:
    """From `nodegraph run` to an image, with a warm home and a prompt that is new."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "nodegraph", "--home", home, "run", str(WORKFLOW)]
        run = [*command, "--steps", "2", "--prompt"]
        subprocess.run([*run, "a lemon"], check=True, capture_output=True, cwd=home)
        with _profiled("command") as folder:
            subprocess.run([*run, "a red apple"], check=True, capture_output=True, cwd=home)
            return _read(folder, "command")


def job_trips() -> tuple[Trip, Trip]:
    """From POST /jobs to *finished*, of a server and a worker that have made an image before."""
    request = {
        "workflow": json.loads(WORKFLOW.read_text("utf-8")),
        "parameters": {"steps": 2, "prompt": "a lemon"},
    }
    with (
        tempfile.TemporaryDirectory() as made,
        _profiled() as folder,
        serving(prepared(Path(made) / "home")) as server,
    ):
        server.run(request)
        server.plan(request)  # once the planner has read all packs
        (folder / "counting").touch()
        time.sleep(_SETTLE)
        request["parameters"]["prompt"] = "a red apple"
        server.run(request)
        (folder / "counting").unlink()
        time.sleep(_SETTLE)
        return _read(folder, "server"), _read(folder, "worker")


def figures(trips: Iterable[tuple[str, Trip]]) -> Iterator[Figure]:
    for name, trip in trips:
        yield Figure(f"{name}: modules entered", len(trip.modules), "modules")
        yield Figure(f"{name}: functions entered", len(trip.functions), "functions")
        yield Figure(f"{name}: calls", trip.functions.total(), "calls")


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--list", choices=_TRIPS, help="print what this trip enters instead")


def main() -> None:
    given = options(__doc__, _add_list)
    trips = dict(zip(_TRIPS, (command_trip(), *job_trips()), strict=True))
    if given.list:
        for (file, name, line), count in sorted(trips[given.list].functions.items()):
            print(f"{count:>7}  {file}:{line}  {name}")
        return
    show(figures(trips.items()), as_json=given.json)


if __name__ == "__main__":
    main()
