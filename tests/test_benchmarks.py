"""The benchmarks run, and say what they measured; how much it was is not for tests to judge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PARTS = {
    "common.py",
    "bare_server.py",
    "capacity_model.py",
    "large.py",
    "load.py",
    "published_models.py",
    "rivals.py",
    "serving.py",
}
"""Modules that the scripts share, and processes that they start."""
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if path.name not in PARTS)


QUICK = {"lanes.py": ("--rounds", "2")}
"""Options that keep a benchmark short, where it isn't `--quick`."""


def run(script: str, *options: str) -> str:
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
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_benchmark_runs(script: str) -> None:
    assert json.loads(run(script, *QUICK.get(script, ("--quick",)), "--json"))


def test_every_benchmark_is_told_of() -> None:
    told = (BENCHMARKS.parent / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [script for script in SCRIPTS if f"benchmarks/{script}" not in told] == []
