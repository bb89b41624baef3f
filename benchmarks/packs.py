"""What it costs that a pack has a process of its own.

    python benchmarks/packs.py [--json] [--quick]

Calls of one pack in this process and in its own, by turns: a number, and a float32 picture of 12 MB
there and back. Each as the best and as the median of all rounds, as other work on the machine makes
it slower. A plain copy of the same 12 MB, taken by turns with them, tells how fast the machine is
at that moment. The time that processors work, for all processes together, depends less on others.
A picture that comes new is copied twice, one that the pack made once. If all results are kept,
memory is new for each, in either process.

Then the time from the save of an isolated pack to the end of the next run, and the time to register
1,000 node types of isolated packs whose declarations are known, and the time to install a pack of
plain Python: whose needs are here, and with one that comes from pip's index.
"""

from __future__ import annotations

import ctypes
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import Figure, options, show

from nodegraph import Session, Settings, Workflow
from nodegraph.errors import PackError
from nodegraph.packs.installation.index import PackIndexes
from nodegraph.packs.installation.installed import PackFolder
from nodegraph.packs.installation.installers import Installer
from nodegraph.packs.installation.operations import PackOperations
from nodegraph.packs.installation.plans import InstallOptions
from nodegraph.packs.pack import Isolation, Pack, pack_at

_PACK = '''
from nodegraph import Image, node

@node
def Number(value: int = 1) -> int:
    """Count."""
    return value + {by}

@node
def Negative(image: Image) -> Image:
    """Invert it."""
    return 1 - image
'''
_NODE = '''
@node
def Node{number}(value: int = 1, factor: float = 0.5, text: str = "a") -> int:
    """A node."""
    return value
'''
_PROJECT = """
[project]
name = "pure"
version = "1.0"
license = "MIT"
dependencies = {needs}

[project.entry-points."nodegraph.nodes"]
pure = "pure"
"""
PACKS = 10
NODES = 100
MOST_KEPT = 40
"""Rounds of calls whose results are all kept: 24 MB each."""
SIDE = 1024
"""Pixels: a float32 picture of so many squared has 12 MB."""


class _Context:
    """What a call needs of its context, outside of a run."""

    node, device, footprint = "a", "cpu", "full"

    def __init__(self, session: Session) -> None:
        self.environment = session.environment

    def check_cancelled(self, *, waits: bool = True) -> None:
        return


def write(folder: Path, name: str, text: str, *, is_isolated: bool) -> Pack:
    """Write a pack of one file."""
    root = folder / name
    root.mkdir(parents=True, exist_ok=True)
    (root / "__init__.py").write_text(text)
    isolation = Isolation(sys.executable, "lock") if is_isolated else None
    return replace(pack_at(root), isolation=isolation)


Times = dict[str, list[float]]
"""Milliseconds of each action, by rounds."""


def by_turns(
    actions: dict[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Times of actions that are done once each per round."""
    times: Times = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            since = clock()
            result = action()
            times[name].append(1000 * (clock() - since))
            del result
    return times


def processor_clock(session: Session) -> Callable[[], float]:
    """A clock of the seconds that processors work for this process and those of packs (Linux)."""
    numbers = [state.number for state in session.node_types.isolated.states()]
    # As the C library makes the number of another process's clock: CPUCLOCK_SCHED is 2.
    clocks = [~number << 3 | 2 for number in numbers if number is not None]
    return lambda: time.process_time() + sum(map(time.clock_gettime, clocks))


def calls(rounds: int) -> Times:
    """Times of calls: ``number`` and ``picture`` in this process, and ``far`` in its own.

    ``copy`` is a plain copy of as many bytes as the picture has.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        packs = [
            write(folder, "near", _PACK.format(by=1), is_isolated=False),
            write(folder, "far", _PACK.format(by=1), is_isolated=True),
        ]
        with Session(Settings(home=folder / "home"), packs=packs) as session:
            context, picture = _Context(session), torch.rand(1, SIDE, SIDE, 3)

            def call(node_type: str, **inputs: Any) -> Callable[[], Any]:
                definition = session.registry.definition(node_type)
                more = {} if definition.context is None else {definition.context: context}
                return lambda: definition.function(**inputs, **more)

            near, far = (call(f"{name}:Negative", image=picture) for name in ("near", "far"))
            inside, copied, kept = far()[0], torch.empty_like(picture), list[Any]()
            times = by_turns(
                {
                    "number far": call("far:Number", value=1),
                    "copy": lambda: ctypes.memmove(
                        copied.data_ptr(), picture.data_ptr(), picture.nbytes
                    ),
                    "picture": near,
                    "picture far": far,
                    "picture onwards": call("far:Negative", image=inside),
                },
                rounds,
            )
            keeping = {
                "picture kept": lambda: kept.append(near()),
                "picture far kept": lambda: kept.append(far()),
            }
            times |= by_turns(keeping, min(rounds, MOST_KEPT))
            working = {"picture work": near, "picture far work": far}
            return times | by_turns(working, rounds, processor_clock(session))


def edits(rounds: int) -> float:
    """Median seconds from the save of an isolated pack to the end of the next run."""
    workflow = Workflow.from_dict(
        {"format": "nodegraph/1", "nodes": {"a": {"type": "far:Number", "inputs": {"value": 1}}}}
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pack = write(folder, "far", _PACK.format(by=1), is_isolated=True)
        with Session(Settings(home=folder / "home"), packs=[pack]) as session:
            session.run(workflow, targets=["a"])
            seconds = []
            for by in range(2, rounds + 2):
                write(folder, "far", _PACK.format(by=by), is_isolated=True)
                since = time.perf_counter()
                result = session.run(workflow, targets=["a"])
                seconds.append(time.perf_counter() - since)
                assert result.outputs["a.number"] == 1 + by
    return statistics.median(seconds)


def registering(rounds: int) -> float:
    """Best seconds to register 1,000 node types of isolated packs that were read before."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        text = "from nodegraph import node\n" + "".join(
            _NODE.format(number=number) for number in range(NODES)
        )
        packs = [write(folder, f"pack{number}", text, is_isolated=True) for number in range(PACKS)]
        best = float("inf")
        for _ in range(rounds + 1):
            settings = Settings(home=folder / "home", leave_out=("diffusers",))
            with Session(settings, packs=packs) as session:
                since = time.perf_counter()
                types = session.registry.node_types()
                best = min(best, time.perf_counter() - since)
                assert sum(":Node" in name for name in types) == PACKS * NODES
    return best


def installing(rounds: int, needs: Sequence[str] = (), installer: Installer = "auto") -> float:
    """Median seconds of `pack add` of a pack without compiled code.

    Raises:
        PackError: What it needs cannot be had.
    """
    seconds = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            root = folder / "pure"
            (root / "src" / "pure").mkdir(parents=True)
            (root / "pyproject.toml").write_text(_PROJECT.format(needs=list(needs)))
            (root / "src" / "pure" / "__init__.py").write_text(_PACK.format(by=1))
            home = PackFolder(folder / "packs")
            since = time.perf_counter()
            options = InstallOptions(installer=installer)
            PackOperations(home, PackIndexes((), home)).add(str(root), options)
            seconds.append(time.perf_counter() - since)
    return statistics.median(seconds)


def figures(*, is_quick: bool) -> Iterator[Figure]:
    """All figures."""
    times = calls(20 if is_quick else 200)
    for name, choose in (("best", min), ("median", statistics.median)):
        number, copy, near, far, onwards, near_kept, far_kept, near_work, far_work = (
            choose(times[action])
            for action in (
                "number far",
                "copy",
                "picture",
                "picture far",
                "picture onwards",
                "picture kept",
                "picture far kept",
                "picture work",
                "picture far work",
            )
        )
        here, plain = "this process", "a plain copy"
        aim = 4.0 if name == "best" else None
        yield Figure(f"call of an isolated pack, {name}", number, "ms", 1.0 if aim else None)
        yield Figure(f"plain copy of 12 MB, {name}", copy, "ms")
        yield Figure(f"picture of 12 MB, there and back, {name}", far, "ms", None, near, here)
        yield Figure("… more than in this process", far - near, "ms", aim, copy, plain)
        yield Figure(
            "… in processor time, all sides", far_work - near_work, "ms", None, copy, plain
        )
        yield Figure("… of one that the pack made", onwards - near, "ms", aim, copy, plain)
        yield Figure("… if all results are kept", far_kept - near_kept, "ms", aim, copy, plain)
    yield Figure("an edit of an isolated pack, live", edits(3 if is_quick else 9), "s", 2.0)
    warm = registering(2 if is_quick else 5)
    yield Figure("1,000 node types registered, warm", 1000 * warm, "ms", 150)
    rounds = 1 if is_quick else 3
    yield Figure("`pack add` of a pure pack", installing(rounds), "s", 3.0)
    installers: tuple[Installer, ...] = ("uv", "pip")
    for installer in installers:
        try:
            seconds = installing(rounds, ["einops"], installer)
        except PackError as error:
            print(f"`pack add` by {installer} is not measured: {error}", file=sys.stderr)
        else:
            yield Figure(f"… that needs a package, by {installer}", seconds, "s", 3.0)


if __name__ == "__main__":
    arguments = options(__doc__)
    show(figures(is_quick=arguments.quick), as_json=arguments.json)
