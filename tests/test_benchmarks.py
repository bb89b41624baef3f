"""The benchmarks run, and say what they measured; how much it was is not for tests to judge.

The one for a machine with a card keeps what it measured, whatever fails or takes too long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PARTS = {
    "accelerator_checks.py",
    "accelerator_tests.py",
    "common.py",
    "bare_server.py",
    "capacity_model.py",
    "large.py",
    "load.py",
    "painting.py",
    "parts.py",
    "published_models.py",
    "rivals.py",
    "sage_attention.py",
    "serving.py",
}
"""Modules that the scripts share, and processes that they start."""
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if path.name not in PARTS)


QUICK = {"lanes.py": ("--rounds", "2")}
"""Options that keep a benchmark short, where it isn't `--quick`."""
ON_PRETEND = ("--quick", "--pretend", "--budget", "1600")


def run(script: str, *options: str | Path) -> str:
    """What a benchmark prints."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, *options],
        capture_output=True,
        text=True,
        timeout=1800,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "NODEGRAPH_SERVER_WARM": "false"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "accelerator.py"])
def test_a_benchmark_runs(script: str) -> None:
    assert json.loads(run(script, *QUICK.get(script, ("--quick",)), "--json"))


@pytest.mark.slow
def test_all_parts_run_on_an_accelerator(tmp_path: Path) -> None:
    printed = json.loads(run("accelerator.py", *ON_PRETEND, "--out", tmp_path / "found", "--json"))
    found = json.loads((tmp_path / "found").read_text())
    assert found["machine"]["card"] == "Pretend"
    failed = {check["name"]: check["error"] for check in checks(found) if check["error"]}
    assert failed == {}
    assert {check["state"] for check in checks(found)} == {"done"}
    figures = [figure for check in checks(found) for figure in check["figures"]]
    assert len(printed) == len(figures) + 2, "all of them, and how many checks failed or were late"
    # On a pretend one the bits are the CPU's, also of what came in parts or went on.
    apart = {row["what"]: row["measured"] for row in figures if "difference" in row["what"]}
    assert len(apart) == 11
    assert set(apart.values()) == {0}


def checks(document: Any) -> list[Any]:
    return [check for part in document["parts"] for check in part["checks"]]


PART = """
import os, sys, time
from pathlib import Path
from common import Figure
from parts import run_checks

def measure(tell):
    print("as libraries do")
    tell.figure(Figure("first", 1, "s"))
    tell.counts({"passed": 1})
    tell.counts({"passed": 2})

def fail(tell):
    tell.figure(Figure("second", 2, "s"))
    raise ValueError("no such kernel")

def crash(tell):
    os._exit(3)

def hang(tell):
    tell.note("it hangs")
    tell.figure(Figure("third", 3, "s"))
    time.sleep(3600)

def never():
    raise LookupError("no card")

made = {"checks": {"measure": measure, "fail": fail, "crash": crash, "hang": hang, "late": hang}}
run_checks(lambda: made.get(sys.argv[1]) or never(), sys.argv[3::2], lambda: {"card": "none"})
"""
"""A process of a part, whose name is its argument."""


class Clock:
    """Stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.slow
def test_what_was_measured_stays_whatever_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from parts import Launch, Part, Parts, Report

    file, clock, seen = tmp_path / "found.json", Clock(), []
    parts = [Part("nothing", 1), Part("checks", 3, most=50), Part("after", 1)]
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS)}

    def launch(part: Part) -> Launch:
        return Launch([sys.executable, "-c", PART, part.name], environment)

    report = Report(file, parts, {"budget": 80})
    assert [part["state"] for part in json.loads(file.read_text())["parts"]] == ["waiting"] * 3
    for figure in Parts(report, 80, launch, clock).figures():
        whole = json.loads(file.read_text())
        seen.append((figure.what, whole["parts"][1]["checks"]))
        if figure.what == "third":
            clock.now = 1000.0

    assert [what for what, _ in seen[:3]] == ["first", "second", "third"]
    states = ["done", "running", "waiting", "waiting", "waiting"]
    assert [check["state"] for check in seen[1][1]] == states
    found = json.loads(file.read_text())
    assert (found["budget"], found["machine"]) == (80, {"card": "none"})
    nothing, some, after = found["parts"]
    assert (nothing["state"], nothing["given"]) == ("failed", 16)
    assert nothing["error"].endswith("LookupError: no card\n")
    states = ["done", "failed", "failed", "cut off", "left out"]
    assert [check["state"] for check in some["checks"]] == states
    assert (some["state"], some["given"]) == ("cut off", 50)
    measured, failed, crashed, hung, _ = some["checks"]
    assert [row["what"] for row in measured["figures"]] == ["first"]
    assert measured["counts"] == {"passed": 2}
    assert [row["what"] for row in failed["figures"]] == ["second"]
    assert failed["error"].endswith("ValueError: no such kernel\n")
    assert "3" in crashed["error"]
    assert hung["notes"] == ["it hangs"]
    assert (after["state"], after["checks"]) == ("left out", [])
    assert [figure for figure, _ in seen[3:]] == [
        "parts and checks that failed",
        "… that there was no time for",
    ]


def test_seconds_that_a_part_leaves_go_to_those_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from parts import Part, seconds_of

    parts = [Part("first", 90, most=90), Part("second", 110), Part("third", 220)]
    assert [seconds_of(parts, left) for left in (420, 4200, -1)] == [90, 90, 0]
    assert seconds_of(parts[1:], 420 - 60) == 120
    assert seconds_of(parts[2:], 10) == 10


def test_every_benchmark_is_told_of() -> None:
    told = (BENCHMARKS.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [script for script in SCRIPTS if f"benchmarks/{script}" not in told] == []
