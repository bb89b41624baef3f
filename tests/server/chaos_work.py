"""The jobs of the load, and what each of them gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from nodegraph.client import Job

PACK = Path(__file__).with_name("chaos_pack.py")
STEPS = 20
SHARED = "shared"
"""What files of several jobs begin with, so that these vie for numbers."""


@dataclass(frozen=True)
class Piece:
    """One job.

    Attributes:
        at: Its number among all.
        file: What its file's name begins with.
    """

    at: int
    workflow: dict[str, Any]
    targets: tuple[str, ...]
    file: str

    @property
    def key(self) -> str:
        """Under which it is submitted, however often."""
        return f"piece-{self.at}"


@dataclass(frozen=True)
class Given:
    """What a job gave, whatever it went through.

    Attributes:
        outputs: Digests of its targets' values.
        files: Node, size and digest of each file; the name, too, where no other job has it.
    """

    outputs: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, int, str, str], ...]


def given(piece: Piece, job: Job) -> Given:
    """What a finished job gave."""
    assert job.outputs is not None, job
    files = [
        (each.node, each.size, each.digest, "" if piece.file == SHARED else each.name)
        for each in job.files
    ]
    return Given(tuple(sorted(job.outputs.outputs.items())), tuple(sorted(files)))


def pieces(count: int, seed: int = 0, pause: float = 0.01) -> list[Piece]:
    """Small jobs of three kinds, no two of which give the same.

    Args:
        pause: Seconds that a step of those takes that go step by step.
    """
    random = Random(seed)
    return [
        _piece(at, random.choices("swd", (60, 30, 10))[0], pause, random.random() < 0.1)
        for at in range(count)
    ]


def walk(at: int, gate: Path) -> Piece:
    """A job that goes step by step, and waits for a file before the last one."""
    inputs = {"seed": {"from": "seed"}, "steps": STEPS, "gate": str(gate)}
    nodes = {"seed": _node("Seed", value=at), "walk": _node("Walk", **inputs)}
    return _saved(at, nodes, "walk", f"piece-{at:04}")


def walked(at: int) -> str:
    """What stands in the file of `walk`."""
    found = 1.0 / (at + 2)
    for _ in range(STEPS):
        found = 3.99 * found * (1.0 - found)
    return f"{found!r}\n"


def _piece(at: int, kind: str, pause: float, is_shared: bool) -> Piece:
    file = SHARED if is_shared else f"piece-{at:04}"
    nodes = {"seed": _node("Seed", value=at)}
    steps = {"seed": {"from": "seed"}, "pause": pause}
    if kind == "s":
        nodes["sum"] = _node("Sum", a={"from": "seed"}, b=0.5)
        return _saved(at, nodes, "sum", file)
    nodes["walk"] = _node("Walk", steps=STEPS, **steps)
    if kind == "w":
        return _saved(at, nodes, "walk", file)
    nodes["second"] = _node("Walk", steps=STEPS // 2, **steps)
    nodes["sum"] = _node("Sum", a={"from": "walk"}, b={"from": "second"})
    return _saved(at, nodes, "sum", file)


def _saved(at: int, nodes: dict[str, Any], last: str, file: str) -> Piece:
    nodes["save"] = _node("Save", value={"from": last}, name=file)
    return Piece(at, {"format": "nodegraph/1", "nodes": nodes}, (last, "save"), file)


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"type": f"chaos_pack:{kind}", "inputs": inputs}


def names_on_disk(folder: Path) -> Sequence[str]:
    """Names of all files that jobs have written, those included that were never to be seen."""
    return sorted(path.name for path in folder.iterdir())
