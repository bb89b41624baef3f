"""For as long as one likes: ``python -m tests.adversarial.long --steps 200000``.

Prints how many steps of each kind were taken and every divergence with the fewest steps that were
found to lead to it. ``--world N`` does that world of a seed once more, alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.adversarial.driving import Driver
from tests.adversarial.play import WEIGHTS, Divergence, Play, Step, some_step
from tests.adversarial.process import Nursery, Remote
from tests.adversarial.serving import Commanded, Served
from tests.adversarial.world import World, known_specs

STEPS_OF_A_WORLD = 500
_TOLD_SECONDS = 60.0
_TRIES = 60
_NUMBERS = iter(range(1, 1 << 30))


@dataclass(frozen=True)
class Kind:
    """What runs workflows in a world; most of what takes a while is in few of them.

    Attributes:
        begin: Makes each runner.
        fresh: Makes a process that lives for one run.
        also: Kinds of steps that only some worlds have, with how often they are taken.
    """

    begin: Mapping[str, Callable[[Path], Any]]
    fresh: Callable[[Path], Any] | None = None
    also: Mapping[str, int] = field(default_factory=dict)


def kind_of(world: int, nursery: Nursery) -> Kind:
    """Of a world: half of them are one process with two sessions."""
    alone: dict[str, Callable[[Path], Any]] = {"live": Driver, "other": Driver}
    if world % 2 == 0:
        return Kind(alone)
    forked = alone | {"child": nursery.begin}
    among: dict[str, int] = {"process": 1, "end_process": 1, "at_once": 2}
    if world % 20 == 5:
        return Kind(forked | {"server": Served}, nursery.begin, among | {"serve": 4})
    if world % 20 == 15:
        return Kind(forked | {"command": Commanded}, Remote, among | {"command": 1})
    return Kind(forked, nursery.begin, among)


def played(
    steps: Sequence[Step],
    counts: Counter[str],
    specs: Path,
    kind: Kind,
    until: float = float("inf"),
) -> tuple[int, str]:
    """Do steps in a new world; how many were done, and what diverged, if anything did.

    Args:
        until: Time of the steady clock after which no more are done.
    """
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), next(_NUMBERS), specs)
        play = Play(world, kind.begin, kind.fresh)
        try:
            for at, step in enumerate(steps):
                if time.monotonic() > until:
                    return at, ""
                try:
                    play.do(step)
                except Divergence as error:
                    return at + 1, str(error)
            return len(steps), ""
        finally:
            play.close()
            counts.update(play.counts)


def fewest(steps: Sequence[Step], specs: Path, kind: Kind, tries: int = _TRIES) -> list[Step]:
    """Fewer steps that diverge, too: what can be left out is."""
    kept = list(steps)
    size = len(kept) // 2
    while size and tries:
        at = 0
        while at < len(kept) - 1 and tries:
            shorter = kept[:at] + kept[at + size :]
            tries -= 1
            done, told = played(shorter, Counter(), specs, kind)
            if told:
                kept = shorter[:done]
            else:
                at += size
        size //= 2
    return kept


def steps_of(seed: int, world: int, count: int, kind: Kind) -> list[Step]:
    """The steps of a world."""
    random = Random(f"{seed} {world}")
    weights = {**WEIGHTS, **kind.also}
    return [some_step(random, weights) for _ in range(count)]


def walk(
    count: int,
    seconds: float,
    seed: int,
    only: int | None,
    tries: int,
    specs: Path,
    nursery: Nursery,
) -> dict[str, Any]:
    """Do so many steps in worlds of at most `STEPS_OF_A_WORLD`."""
    counts: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    since = told = time.monotonic()
    taken, number = 0, only or 0
    while taken < count and time.monotonic() - since < seconds:
        kind = kind_of(number, nursery)
        steps = steps_of(seed, number, min(STEPS_OF_A_WORLD, count - taken), kind)
        done, what = played(steps, counts, specs, kind, since + seconds)
        taken += done
        if what:
            found.append({"world": number, "after": done, "in all": taken, "what": what})
            if tries:
                found[-1]["fewest"] = fewest(steps[:done], specs, kind, tries)
            sys.stderr.write(f"{json.dumps(found[-1], indent=1)}\n")
        if time.monotonic() - told > _TOLD_SECONDS:
            told = time.monotonic()
            of_kinds = json.dumps(dict(sorted(counts.items())))
            sys.stderr.write(
                f"{taken} of {count} steps, {len(found)} divergences, "
                f"{told - since:.0f} s: {of_kinds}\n"
            )
        if only is not None:
            break
        number += 1
    return {
        "seed": seed,
        "steps": taken,
        "worlds": number + 1,
        "seconds": round(time.monotonic() - since, 1),
        "counts": dict(sorted(counts.items())),
        "divergences": found,
    }


def main() -> int:
    """Run it; 1 if anything diverged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--world", type=int, help="only this one of the seed's worlds")
    parser.add_argument("--tries", type=int, default=_TRIES, help="to find the fewest steps")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    with tempfile.TemporaryDirectory() as folder, Nursery() as nursery:
        found = walk(
            options.steps,
            options.seconds,
            options.seed,
            options.world,
            options.tries,
            known_specs(Path(folder)),
            nursery,
        )
    sys.stdout.write(f"{json.dumps(found, indent=2)}\n")
    return 1 if found["divergences"] else 0


if __name__ == "__main__":
    sys.exit(main())
