"""A run that is killed while it samples goes on from there, in real processes, to the same file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PATIENCE, process_arguments, rest_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals work differently there"),
]

GALLERY = Path(__file__).parents[2] / "workflows"
STEPS = 40
Event = dict[str, Any]


class Machine:
    """A home with a store, an output folder, and processes that run in it."""

    def __init__(self, folder: Path, specs: Path, checkpoint_seconds: float = 0.0) -> None:
        self.home = folder / "home"
        shutil.copytree(specs, self.home / "cache" / "specs")
        self.outputs = folder / "output"
        self._environment = {
            **os.environ,
            "NODEGRAPH_HOME": str(self.home),
            "NODEGRAPH_CHECKPOINT_SECONDS": str(checkpoint_seconds),
            "NODEGRAPH_DEVICE": "cpu",
        }
        self._started: list[subprocess.Popen[str]] = []

    def start(self, sampler: str = "dpmpp_2m", **inputs: Any) -> subprocess.Popen[str]:
        """Start `nodegraph run` of a gallery workflow."""
        given = {"steps": STEPS, "sampler": sampler, "schedule": "normal", **inputs}
        changes = [part for at in given for part in ("--set", f"sample.{at}={given[at]}")]
        workflow = GALLERY / "text_to_image.json"
        process = subprocess.Popen(
            process_arguments("run", workflow, "--events", "--out", self.outputs, *changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        self._started.append(process)
        return process

    def finish(self, **inputs: Any) -> list[Event]:
        """The events of a whole run."""
        process = self.start(**inputs)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def kill_at(self, step: int, **inputs: Any) -> tuple[int, int]:
        """Kill a run once it has told of a step and a checkpoint is in the store.

        Returns:
            The step of the checkpoint that was seen there, and the last step that was told of.
        """
        process = self.start(**inputs)
        told = self._read_to(process, step)
        saved = None
        while saved is None:
            assert process.poll() is None, "it ended before anything was saved"
            saved = self._saved_step()
        process.kill()
        out, _ = rest_of(process)
        assert process.returncode == -signal.SIGKILL
        # The last line may be cut off.
        rest = [json.loads(line) for line in out.splitlines() if line.endswith("}}")]
        return saved, max(steps_of([told, *rest]))

    def interrupt_at(self, step: int, **inputs: Any) -> int:
        """Press Ctrl-C once a step is told of; the last step that was."""
        process = self.start(**inputs)
        told = self._read_to(process, step)
        process.send_signal(signal.SIGINT)
        out, err = rest_of(process)
        assert process.returncode == 130, err
        return max(steps_of([told, *map(json.loads, out.splitlines())]))

    def _read_to(self, process: subprocess.Popen[str], step: int) -> Event:
        assert process.stdout is not None
        for line in process.stdout:
            event: Event = json.loads(line)
            if max(steps_of([event]), default=0) >= step:
                return event
        assert process.stderr is not None
        raise AssertionError(process.stderr.read())

    def _saved_step(self) -> int | None:
        for path in self.home.rglob("index.sqlite"):
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as index:
                for (step,) in index.execute("SELECT step FROM checkpoints"):
                    return int(step)
        return None

    @property
    def digest(self) -> str:
        """Of the one image that lies in the output folder."""
        (file,) = self.outputs.glob("*.png")
        return hashlib.sha256(file.read_bytes()).hexdigest()

    def close(self) -> None:
        """End what still runs."""
        for process in self._started:
            process.kill()
            process.communicate()


def steps_of(events: list[Event]) -> list[int]:
    """The steps that the sampler told of."""
    return [
        event["data"]["step"]
        for event in events
        if (event["kind"], event["node"]) == ("node.progress", "sample")
    ]


def restored_in(events: list[Event]) -> list[Event]:
    return [event["data"] for event in events if event["kind"] == "node.restored"]


@pytest.fixture
def machine(tmp_path: Path, known_specs: Path) -> Iterator[Machine]:
    made = Machine(tmp_path, known_specs)
    yield made
    made.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, known_specs: Path) -> dict[str, str]:
    """Digests of images by runs that nothing happened to, by sampler."""
    digests = {}
    for sampler in ("dpmpp_2m", "euler_ancestral"):
        machine = Machine(tmp_path_factory.mktemp(sampler), known_specs)
        try:
            events = machine.finish(sampler=sampler)
            assert steps_of(events) == list(range(1, STEPS + 1))
            digests[sampler] = machine.digest
        finally:
            machine.close()
    return digests


def test_a_killed_run_goes_on_from_its_checkpoint_to_the_same_file(
    machine: Machine, undisturbed: dict[str, str]
) -> None:
    saved, last = machine.kill_at(3, sampler="euler_ancestral")
    assert not list(machine.outputs.glob("*.png"))
    events = machine.finish(sampler="euler_ancestral")
    ((restored),) = restored_in(events)
    # What is written after its step was told of, and before the kill, is one step ahead at most.
    assert 1 <= saved <= restored["step"] <= last + 1
    assert restored["total"] == STEPS
    assert steps_of(events) == list(range(restored["step"] + 1, STEPS + 1))
    assert machine.digest == undisturbed["euler_ancestral"]
    assert machine._saved_step() is None, "a finished sampling leaves no checkpoint behind"


def test_a_run_killed_twice_does_no_step_again(
    machine: Machine, undisturbed: dict[str, str]
) -> None:
    first, _ = machine.kill_at(5)
    second, _ = machine.kill_at(20)
    assert second >= first
    events = machine.finish()
    ((restored),) = restored_in(events)
    assert restored["step"] >= second
    assert steps_of(events) == list(range(restored["step"] + 1, STEPS + 1))
    assert machine.digest == undisturbed["dpmpp_2m"]


def test_a_run_that_was_interrupted_goes_on_from_the_very_step(
    tmp_path: Path, known_specs: Path, undisturbed: dict[str, str]
) -> None:
    machine = Machine(tmp_path, known_specs, checkpoint_seconds=1000.0)
    try:
        last = machine.interrupt_at(7)
        events = machine.finish()
        assert restored_in(events) == [{"step": last, "total": STEPS}]
        assert steps_of(events) == list(range(last + 1, STEPS + 1))
        assert machine.digest == undisturbed["dpmpp_2m"]
    finally:
        machine.close()


def test_a_preview_that_stops_early_is_gone_on_with(
    machine: Machine, undisturbed: dict[str, str]
) -> None:
    events = machine.finish(end_step=15)
    assert steps_of(events) == list(range(1, 16))
    for picture in machine.outputs.glob("*.png"):
        picture.unlink()
    events = machine.finish()
    assert restored_in(events) == [{"step": 15, "total": STEPS}]
    assert steps_of(events) == list(range(16, STEPS + 1))
    assert machine.digest == undisturbed["dpmpp_2m"]
