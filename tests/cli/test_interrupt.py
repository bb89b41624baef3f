"""Ctrl-C, with real processes and real signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import PATIENCE, WORKFLOW, changed, process_arguments, rest_of, saved

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals work differently there")

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(pack: Path) -> Iterator[Start]:
    """Start `nodegraph run` and wait until a node runs."""
    started: list[subprocess.Popen[str]] = []

    def run(node: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*process_arguments("run", "wf.json", "--pack", pack, "--events"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if (event["kind"], event["node"]) == ("node.started", node):
                return process
        raise AssertionError(process.stderr and process.stderr.read())

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_one_signal_stops_at_the_next_step(start: Start, number: int) -> None:
    saved(changed(WORKFLOW, "wait", steps=3000))
    process = start("wait")
    process.send_signal(number)
    out, err = rest_of(process)
    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1])["kind"] == "job.cancelled"
    assert "Cancelled after " in err
    assert "Traceback" not in err


SLEEPING = {
    "format": "nodegraph/1",
    "nodes": {
        "sleep": {"type": "toys:Sleep", "inputs": {"seconds": 300}},
        "write": {"type": "toys:Write", "inputs": {"text": {"from": "sleep"}, "name": "never"}},
    },
}


def test_a_second_signal_ends_at_once(start: Start) -> None:
    saved(SLEEPING)
    process = start("sleep")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    told = process.stderr.readline()
    assert told == "Stopping at the next step. Press Ctrl-C again to stop immediately.\n"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130


@pytest.mark.slow
def test_a_cancelled_series_starts_no_other_run(start: Start) -> None:
    saved(changed(WORKFLOW, "wait", steps=3000))
    process = start("wait", "--repeat", "5")
    process.send_signal(signal.SIGINT)
    out, err = rest_of(process)
    assert process.returncode == 130
    assert {json.loads(line)["run"] for line in out.splitlines()} == {0}
    assert "Cancelled 1 of 5 runs after " in err


def test_a_run_that_was_told_to_ignore_ctrl_c_does(start: Start) -> None:
    saved(changed(WORKFLOW, "wait", steps=40))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start("wait")
    finally:
        signal.signal(signal.SIGINT, before)
    process.send_signal(signal.SIGINT)
    rest_of(process)
    assert process.returncode == 0
