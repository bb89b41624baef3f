"""Whose job is next: priorities are classes, and within a class clients share by start-time fair
queuing.

Each class has a virtual clock. A client's next job starts, in virtual time, where its last one
ended, but never before the class's clock; it ends its cost divided by the client's weight later.
The job that starts first goes first, and the clock moves to its start. So each client with waiting
jobs gets its weight's part of what is done, one that comes late goes next, and nobody saves up for
later by asking for nothing.

A client's tag is its next job's start. Bringing it up to the clock when a job is picked, rather
than when the client comes back, gives the same order, as the smallest tag is picked first anyway.

Source: Goyal, Vin, Cheng 1996, "Start-time Fair Queueing", section 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

INFINITE = 1 << 62


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may have.

    Attributes:
        weight: Its part of the work compared to others', above 0.
        waiting: Jobs of its own that may wait, those held included.
        running: Jobs of its own that may run at a time.
        bytes: That its large workflows may take, those of ended jobs included.
    """

    weight: float = 1.0
    waiting: int = 10_000
    running: int = INFINITE
    bytes: int = INFINITE

    def __post_init__(self) -> None:
        if not self.weight > 0 or self.waiting < 0 or self.running < 1:
            raise ValueError(f"no limits: {self}")


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that may be claimed, as far as its turn depends on it."""

    number: int
    client: str
    cost: float


def charged(tag: float, clock: float, cost: float, weight: float) -> tuple[float, float]:
    """The client's tag and the class's clock once a job was picked."""
    start = max(tag, clock)
    return start + cost / weight, start


def order(
    waiting: Iterable[WaitingJob],
    tags: Mapping[str, float],
    clock: float,
    weights: Mapping[str, float],
) -> Iterator[WaitingJob]:
    """The jobs of one class in the order in which they would be picked.

    Args:
        waiting: Each client's jobs in its own order.
        tags: Of the clients; 0 for those that it doesn't hold.
        weights: Of the clients; 1 for those that it doesn't hold.
    """
    queues: dict[str, list[WaitingJob]] = {}
    for job in waiting:
        queues.setdefault(job.client, []).append(job)
    heap = [(tags.get(client, 0.0), client) for client in queues]
    for queue in queues.values():
        queue.reverse()
    heapify(heap)
    while heap:
        tag, client = heap[0]
        job = queues[client].pop()
        tag, clock = charged(tag, clock, job.cost, weights.get(client, 1.0))
        yield job
        if queues[client]:
            heapreplace(heap, (tag, client))
        else:
            heappop(heap)
