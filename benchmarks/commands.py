"""What whole commands take, from the start of the process to its end.

    python benchmarks/commands.py [--json] [--quick]

Byte code is cached, as it is where nodegraph is installed. The baseline is an interpreter that does
nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from common import Figure, best, options, show

GALLERY = Path(__file__).parents[1] / "workflows"
COMMAND = str(Path(sys.executable).with_name("nodegraph"))
BARE = [sys.executable, "-c", "pass"]


class Home:
    """A place that commands run in, with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._variables = {
            name: value
            for name, value in os.environ.items()
            if name != "PYTHONDONTWRITEBYTECODE"
            and (name == "NODEGRAPH_LEAVE_OUT" or not name.startswith("NODEGRAPH_"))
        } | {"NODEGRAPH_HOME": str(folder / "home")}

    def run(self, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command that must succeed."""
        return subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**self._variables, **variables},
        )

    def seconds(self, command: list[str], times: int) -> float:
        """What a command takes, once all that it caches is there; or just once."""
        if times > 1:
            self.run(command)
        return best(partial(self.run, command), times)


def picture(steps: int, *more: str) -> list[str]:
    """Make an image of the gallery."""
    workflow = str(GALLERY / "text_to_image.json")
    return [COMMAND, "run", workflow, "--set", f"sample.steps={steps}", *more]


def start_up(home: Home, bare: float, times: int) -> Iterator[Figure]:
    """Commands that compute nothing."""
    commands = {
        "import nodegraph": ([sys.executable, "-c", "import nodegraph"], None),
        "nodegraph --help": ([COMMAND, "--help"], None),
        "nodegraph validate": ([COMMAND, "validate", str(GALLERY / "text_to_image.json")], 150),
        "nodegraph nodes": ([COMMAND, "nodes"], 250),
        "nodegraph nodes --all": ([COMMAND, "nodes", "--all"], None),
    }
    for name, (command, aim) in commands.items():
        taken = home.seconds(command, times) * 1e3
        yield Figure(name, taken, "ms", aim, bare, "python -c pass")


def cached_run(home: Home, bare: float, steps: int, times: int) -> Iterator[Figure]:
    """A run of which everything is on disk, the image too."""
    command = picture(steps)
    home.run(command)
    home.run(command)  # the file's name counts up for a workflow that was never run like this
    assert ran(home, picture(steps, "--json")) == 0
    taken = home.seconds(command, times) * 1e3
    yield Figure("fully cached `nodegraph run`", taken, "ms", 400, bare, "python -c pass")
    heavy = modules(home, command) & {"torch", "numpy", "diffusers", "transformers", "PIL"}
    yield Figure("… heavy libraries that it imports", len(heavy), "", 0)


def ran(home: Home, command: list[str]) -> int:
    """How many nodes a run had to compute."""
    result: Mapping[str, Any] = json.loads(home.run(command).stdout)
    (run,) = result.get("runs", [result])
    return sum(node["status"] == "ran" for node in run["nodes"].values())


def modules(home: Home, command: list[str]) -> set[str]:
    """The packages that a command imports."""
    told = home.run(command, PYTHONPROFILEIMPORTTIME="1").stderr.splitlines()
    lines = [line for line in told if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def by_turns(home: Home, steps: int) -> Iterator[Figure]:
    """Two workflows one after the other, and again: the second time nothing runs."""
    both = [picture(steps, "--json", "--set", f"sample.seed={seed}") for seed in (11, 12)]
    first = sum(ran(home, command) for command in both)
    second = sum(ran(home, command) for command in both)
    assert first
    yield Figure("nodes that run of A, B, A, B the second time", second, "", 0, first, "the first")


def figures(*, quick: bool) -> Iterator[Figure]:
    times = 1 if quick else 11
    steps = 2 if quick else 20
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name))
        bare = home.seconds(BARE, times) * 1e3
        yield Figure("python -c pass", bare, "ms")
        yield from start_up(home, bare, times)
        yield from cached_run(home, bare, steps, times)
        yield from by_turns(home, steps)


def main() -> None:
    given = options(__doc__)
    show(figures(quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
