"""Autoscaling: how many workers of each kind a cluster runs for the queue's jobs."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from nodegraph.jobs.queue import JobEvent, ReadyCounts
from nodegraph.jobs.supervisor.worker_spec import Needs, WorkerSpec
from nodegraph.jobs.supervisor.worker_status import WorkerStatus

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


_HORIZON = 20.0
"""Seconds of waiting work that are worth one more worker: about what its start takes."""


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """The workers of a kind that there are, but for those that were told to end.

    Attributes:
        busy: Have a job.
        idle: Have none, or still start.
    """

    kind: WorkerKind
    busy: int
    idle: int

    @property
    def kept(self) -> int:
        """How many there are, or have to be whatever waits."""
        return max(self.busy + self.idle, self.kind.least)


def needed_workers(waiting: int, seconds: float | None) -> int:
    """How many workers there is work for.

    Args:
        waiting: Jobs.
        seconds: That a job takes; None if nobody knows, so that each is worth a worker.
    """
    if seconds is None or not waiting:
        return waiting
    return min(waiting, max(1, math.ceil(waiting * seconds / _HORIZON)))


def target_counts(
    staff: Sequence[WorkerCounts], waiting: ReadyCounts, seconds: float | None
) -> list[int]:
    """How many there are to be of each kind.

    A job is work for workers that may take it, and for no others: those that are there, then new
    ones, of the first kind first. What needs a GPU comes first, as fewer may take it.

    Args:
        seconds: That a job takes; None if nobody knows.
    """
    employed = [each.busy for each in staff]
    for able, jobs in _demands(staff, waiting):
        left = needed_workers(jobs, seconds)
        for room in ([each.kept for each in staff], [each.kind.most for each in staff]):
            for at in able:
                more = max(0, min(left, room[at] - employed[at]))
                employed[at] += more
                left -= more
    return [max(each.kind.least, count) for each, count in zip(staff, employed, strict=True)]


def _demands(
    staff: Sequence[WorkerCounts], waiting: ReadyCounts
) -> list[tuple[Sequence[int], int]]:
    """How many jobs which kinds may take, by their places; the best kind for a job is first."""
    spared = [at for at, each in enumerate(staff) if each.kind.spec.without_gpu]
    if not spared:
        return [(range(len(staff)), waiting.gpu + waiting.others)]
    others = [at for at in range(len(staff)) if at not in spared]
    return [(others, waiting.gpu), ([*spared, *others], waiting.others)]


_EVERY = 1.0
"""Seconds between two looks."""
_REMEMBERED = 50
"""Jobs whose times are known."""
_ENDS = frozenset({"job.finished", "job.failed"})


class Crew(Protocol):
    """Those that there are; `Supervisor` is one."""

    @property
    def workers(self) -> Sequence[WorkerStatus]:
        """How they all are."""

    def add(self, spec: WorkerSpec) -> None:
        """Start one more."""

    def retire(self, worker: str) -> bool:
        """End one that has no job; False if somebody waits for it."""


class JobDurations:
    """What jobs take, as those did that ended last; a listener of `EventTail`."""

    def __init__(self) -> None:
        self._begun: dict[str, float] = {}
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def add_events(self, events: Sequence[JobEvent]) -> None:
        """Look at what happened to jobs."""
        for event in events:
            if event.kind == "job.claimed":
                self._begun[event.job] = event.at
            elif event.kind.startswith("job."):
                begun = self._begun.pop(event.job, None)
                if begun is not None and event.kind in _ENDS:
                    self._seconds.append(max(0.0, event.at - begun))

    @property
    def seconds(self) -> float | None:
        """Of a job; None if none has ended yet."""
        return sum(self._seconds) / len(self._seconds) if self._seconds else None


class Scaler:
    """Adds workers while jobs wait, and ends those that have had none for a while.

    Args:
        workers: Whom it adds and ends; it leaves those alone that it hasn't added.
        kinds: Of workers, see `target_counts`.
        waiting: How many jobs wait for a worker.
        seconds: What a job takes, as far as it is known.
        idle_seconds: Without a job, after which a worker is ended.
        clock: Seconds, from any start.
    """

    def __init__(
        self,
        workers: Crew,
        kinds: Sequence[WorkerKind],
        waiting: Callable[[], Awaitable[ReadyCounts]],
        seconds: Callable[[], float | None],
        idle_seconds: float,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._workers = workers
        self._kinds = kinds
        self._waiting = waiting
        self._seconds = seconds
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._crews: dict[str, set[str]] = {kind.spec.name: set() for kind in kinds}
        self._idle_since: dict[str, float] = {}
        # Those that were told to end and haven't yet: they don't count, but have their names.
        self._leaving: set[str] = set()

    async def run(self) -> None:
        """Look every now and then, for ever."""
        while True:
            self.step(await self._waiting())
            await asyncio.sleep(_EVERY)

    def step(self, waiting: ReadyCounts) -> None:
        """Have as many workers as the work takes that there is.

        Args:
            waiting: Jobs that wait for a worker.
        """
        there = {each.name: each for each in self._workers.workers}
        for crew in self._crews.values():
            crew.intersection_update(there)
        self._leaving.intersection_update(there)
        mine = {name: there[name] for crew in self._crews.values() for name in crew}
        staff = [self._counted(kind, mine) for kind in self._kinds]
        counts = target_counts(staff, waiting, self._seconds())
        for kind, count in zip(self._kinds, counts, strict=True):
            self._staff(kind, count, mine)

    def _counted(self, kind: WorkerKind, there: Mapping[str, WorkerStatus]) -> WorkerCounts:
        staying = self._crews[kind.spec.name] - self._leaving
        busy = sum(there[name].job is not None for name in staying)
        return WorkerCounts(kind, busy, len(staying) - busy)

    def _staff(self, kind: WorkerKind, count: int, there: Mapping[str, WorkerStatus]) -> None:
        crew = self._crews[kind.spec.name]
        number = 1
        while len(crew - self._leaving) < count:
            spec = kind.member(number)
            number += 1
            if spec.name not in crew:
                self._workers.add(spec)
                crew.add(spec.name)
        staying = crew - self._leaving
        self._dismiss(staying, len(staying) - count, there)

    def _dismiss(self, crew: set[str], many: int, there: Mapping[str, WorkerStatus]) -> None:
        """End some that have been without work for long, those for longest first."""
        now = self._clock()
        for name in crew & there.keys():
            if there[name].job is None:
                self._idle_since.setdefault(name, now)
            else:
                self._idle_since.pop(name, None)
        late = [
            name for name in crew if now - self._idle_since.get(name, now) >= self._idle_seconds
        ]
        for name in sorted(late, key=lambda each: (self._idle_since[each], each)):
            if many <= 0:
                break
            if self._workers.retire(name):
                many -= 1
                self._leaving.add(name)
                del self._idle_since[name]
