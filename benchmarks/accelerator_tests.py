"""The tests that are marked `gpu`, as a part of `accelerator.py`."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from common import Figure
from parts import Action, Recorder, run_checks

ROOT = Path(__file__).parents[1]
FOLDERS = ("tests/accelerator", "tests/diffusion")
QUICK = ("tests/diffusion/test_offloading.py", "tests/accelerator/test_pretend.py")
"""Files in place of the folders, of which each test takes a moment."""
_MOST_FAILURES = 20
_MOST_PROCESSES = 8
_MOST_LINES = 40
"""Of a failure: the last ones say most."""


class Outcomes:
    """A plugin that says what came of each test as soon as that is known."""

    def __init__(self, records: Recorder) -> None:
        self._records = records
        self.counts: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for what prepares a test, for the test, and for what cleans up after it."""
        is_whole = report.when == "call" or not report.passed
        if is_whole:
            self.counts[report.outcome] += 1
            self._records.counts(self.counts)
        if report.failed:
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Called for each file that tests are looked for in."""
        if report.failed:
            self.counts["failed"] += 1
            self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        lines = report.longreprtext.splitlines()[-_MOST_LINES:]
        self._records.note("\n".join([f"failed: {report.nodeid}", *lines]))


def marked() -> list[Path]:
    """Files with such tests: to look for them in the thousands of others takes half a minute."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("test_*.py")]
    return sorted(path for path in paths if "mark.gpu" in path.read_text(encoding="utf-8"))


def checks(folder: Path, *, quick: bool, pretend: bool) -> Mapping[str, Action]:
    """All tests at once.

    Args:
        folder: For their files.
        quick: In this one process, and few.
        pretend: There need be no card: each test makes one.
    Raises:
        RuntimeError: There is no card that was to be there.
    """
    if not (pretend or torch.cuda.is_available()):
        raise RuntimeError("there is no card; --pretend does without")

    def run(records: Recorder) -> None:
        outcomes = Outcomes(records)
        # Other versions than those that the project was last tested with warn of other things.
        options = ["-m", "gpu", f"--maxfail={_MOST_FAILURES}", "-q", "-W", "default"]
        options += [f"--basetemp={folder / 'tests'}", "-p", "no:cacheprovider", "--durations=20"]
        # Tests of one large file go to all processes, too.
        many = min(os.cpu_count() or 1, _MOST_PROCESSES)
        options += ["-n", "0"] if quick else ["-n", str(many), "--dist", "worksteal"]
        paths = [str(ROOT / name) for name in (QUICK if quick else marked())]
        code = pytest.main([f"--rootdir={ROOT}", *options, *paths], plugins=[outcomes])
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise RuntimeError(f"pytest ended with {code!r}")
        counts = outcomes.counts
        records.figure(Figure("tests that failed", counts["failed"], "", 0))
        records.figure(Figure("tests that passed", counts["passed"], "", 1, more_is_better=True))

    return {"pytest -m gpu": run}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--pretend", action="store_true")
    parser.add_argument("--skip", action="append", default=[])
    given: Any = parser.parse_args()
    quick = given.quick or given.pretend
    run_checks(lambda: checks(given.folder, quick=quick, pretend=given.pretend), given.skip)


if __name__ == "__main__":
    main()
