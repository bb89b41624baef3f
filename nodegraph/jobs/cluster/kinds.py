"""What kinds of workers a cluster is to have, and how many of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nodegraph.jobs.supervisor.rules import Needs, WorkerSpec

if TYPE_CHECKING:
    from nodegraph.jobs.cluster.connection import Node


@dataclass(frozen=True, slots=True)
class WorkerKind:
    """Workers that are alike.

    Attributes:
        spec: Of each; its name is that of the kind.
        least, most: How many there are to be.
    """

    spec: WorkerSpec
    least: int
    most: int

    def member(self, number: int) -> WorkerSpec:
        """One of them; numbers begin at 1."""
        return replace(self.spec, name=f"{self.spec.name}-{number}")


def usual_device(nodes: Sequence[Node]) -> str:
    """What workers compute on where nobody says: cards, where there are any."""
    return "cuda" if any(_count(node, "GPU") >= 1 for node in nodes) else "cpu"


def needs_of(device: str) -> Needs:
    """What a worker needs for a device: all of it, so that each has its own."""
    return Needs() if device == "cpu" else Needs(gpus=1.0)


def count_worker_slots(nodes: Sequence[Node], needs: Needs) -> int:
    """How many workers there is room for now: one for each card, else one for each machine.

    A worker without a card computes with all processors of its machine, whatever it asks for.
    """
    return sum(_places(node, needs) for node in nodes if node.is_alive)


def _places(node: Node, needs: Needs) -> int:
    demands = {"GPU": needs.gpus, "CPU": needs.cpus, "memory": float(needs.memory)}
    room = [
        _count(node, name) / much
        for name, much in (demands | dict(needs.resources)).items()
        if much
    ]
    fits = all(node.labels.get(name) == value for name, value in needs.labels.items())
    most = int(min(room, default=1.0)) if fits else 0
    return most if needs.gpus else min(most, 1)


def _count(node: Node, resource: str) -> float:
    return float(node.resources.get(resource, 0.0)) if node.is_alive else 0.0
