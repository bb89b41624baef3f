"""How long each test file takes, for the order of files, for shards, and to notice growth.

    python -m tests.durations show RUN.json     # seconds, shares, and which grew by half
    python -m tests.durations keep RUN.json...  # take the figures of runs into tests/durations.json

A run writes its figures with ``pytest --timings=RUN.json``. Seconds differ between machines, so
only shares are compared, and no test judges them.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

KEPT = Path(__file__).with_name("durations.json")
PARTS = ("plain", "long")
GROWN = 1.5
"""Ratio of a folder's share to its kept share from which a warning is printed."""
NOTICED = 0.02
"""Shares below this are not compared: noise."""
_PIECES = 4
"""A file is split between shards where it takes more than one part in this many of a shard."""

Test = TypeVar("Test", bound=Hashable)


@dataclass(frozen=True)
class Durations:
    """Seconds of each test file, by its path from the repository's root, in each part.

    Attributes:
        plain: Of the tests that a plain run takes.
        long: Of those that only ``--all`` and ``--left-out`` take.
    """

    plain: dict[str, float] = field(default_factory=dict)
    long: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path = KEPT) -> Durations:
        """Read the figures of a file; none where it doesn't exist."""
        if not path.exists():
            return cls()
        parts = json.loads(path.read_text(encoding="utf-8"))
        return cls(*({**parts.get(name, {})} for name in PARTS))

    def save(self, path: Path = KEPT) -> None:
        """Write the figures, rounded to hundredths of a second."""
        parts = {
            name: {file: round(seconds, 2) for file, seconds in sorted(self.part(name).items())}
            for name in PARTS
        }
        path.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")

    def part(self, name: str) -> dict[str, float]:
        """Seconds of the files of one part."""
        return self.plain if name == "plain" else self.long

    def of(self, file: str) -> float:
        """Seconds of a file in both parts."""
        return self.plain.get(file, 0.0) + self.long.get(file, 0.0)

    def updated(self, runs: Iterable[Durations]) -> Durations:
        """These figures, with those of runs in place of older ones, of files that exist."""
        found = Durations({**self.plain}, {**self.long})
        root = KEPT.parents[1]
        for name in PARTS:
            part = found.part(name)
            for run in runs:
                part |= run.part(name)
            for file in [file for file in part if not (root / file).exists()]:
                del part[file]
        return found


def folder_of(file: str) -> str:
    """The folder below tests/ that a file counts for; a file on top counts alone."""
    parts = file.split("/")
    return "/".join(parts[:2])


def shares(part: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Seconds and share of each folder, the longest first."""
    seconds: dict[str, float] = defaultdict(float)
    for file, took in part.items():
        seconds[folder_of(file)] += took
    total = sum(seconds.values()) or 1.0
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return {folder: (took, took / total) for folder, took in ordered}


def grown(run: Mapping[str, float], kept: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Folders whose share grew by half: their share in a run, and the kept one.

    Only files of the run are compared, so a run of some files can be judged, too.
    """
    now = shares(run)
    before = shares({file: took for file, took in kept.items() if file in run})
    return {
        folder: (share, before[folder][1])
        for folder, (_, share) in now.items()
        if folder in before and share >= NOTICED and share > GROWN * before[folder][1]
    }


def shard(
    tests: Mapping[str, Sequence[Test]], seconds: Mapping[str, float], of: int
) -> list[set[Test]]:
    """Cut tests into shards of about equal time; the same cut wherever the figures are the same.

    Files stay whole, as their tests share fixtures, except those that would fill much of a shard.

    Args:
        tests: Of each file.
        seconds: What each file takes; a file without figures counts as the mean of the others.
        of: How many shards.

    Returns:
        The tests of each shard.
    """
    mean = sum(seconds.values()) / len(seconds) if seconds else 1.0
    took = {file: seconds.get(file, mean) for file in tests}
    target = sum(took.values()) / of or 1.0
    pieces: list[tuple[float, str, Sequence[Test]]] = []
    for file, items in tests.items():
        count = min(len(items), max(1, math.ceil(took[file] * _PIECES / target)))
        pieces += [(took[file] / count, file, items[turn::count]) for turn in range(count)]
    loads = [0.0] * of
    found: list[set[Test]] = [set() for _ in range(of)]
    for length, _, items in sorted(pieces, key=lambda piece: (-piece[0], piece[1])):
        least = loads.index(min(loads))
        loads[least] += length
        found[least].update(items)
    return found


def show(run: Durations, kept: Durations) -> Iterable[str]:
    """Lines that tell where the time of a run went, and which folders grew."""
    for name in PARTS:
        part = run.part(name)
        if not part:
            continue
        yield f"{name}: {sum(part.values()):.0f} s of tests"
        for folder, (took, share) in shares(part).items():
            if share >= NOTICED:
                yield f"  {folder:<24}{took:7.1f} s {share:6.1%}"
        for folder, (share, before) in grown(part, kept.part(name)).items():
            yield f"  WARNING: {folder} takes {share:.1%} of the time, {before:.1%} before"


def main() -> None:
    """Show or keep the figures of runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("show", "keep"))
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN.json")
    given = parser.parse_args()
    kept = Durations.load()
    runs = [Durations.load(path) for path in given.runs]
    if given.command == "keep":
        kept.updated(runs).save()
        return
    for line in show(Durations().updated(runs), kept):
        print(line)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
