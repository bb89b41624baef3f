"""What is to be killed when, and what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from nodegraph.client import Event
from nodegraph.jobs.queue import JobEvent
from tests.server.chaos_work import Given

_LATEST = 0.95
"""Part of the jobs after which nothing is killed any more."""

Prey = Literal["worker", "server", "actor", "node", "head"]


@dataclass(frozen=True)
class Moment:
    """When something is killed.

    Attributes:
        ended: Once so many jobs have finished.
        pause: And so many seconds later.
    """

    ended: int
    prey: Prey
    pause: float


def moments(
    jobs: int,
    workers: int,
    servers: int,
    seed: int,
    *,
    actors: int = 0,
    nodes: int = 0,
    heads: int = 0,
) -> list[Moment]:
    """Random ones, in order."""
    random = Random(seed)
    prey: list[Prey] = ["worker" for _ in range(workers)]
    prey += ["server" for _ in range(servers)]
    prey += ["actor" for _ in range(actors)]
    prey += ["node" for _ in range(nodes)]
    prey += ["head" for _ in range(heads)]
    latest = int(jobs * _LATEST)
    found = [Moment(random.randrange(latest), each, random.uniform(0.0, 0.3)) for each in prey]
    return sorted(found, key=lambda moment: (moment.ended, moment.pause))


@dataclass(frozen=True)
class Kill:
    """What was killed.

    Attributes:
        name: The worker's.
        job: That it had a moment before; None if it had none.
        after: Number of the last event that was known then.
    """

    prey: Prey
    pid: int
    name: str = ""
    job: str | None = None
    after: int = 0


@dataclass
class Outcome:
    """What happened.

    Attributes:
        accepted: Ids of the jobs, by piece.
        results: What they gave, likewise.
        refused: Pieces that became two jobs.
        kills: In order.
        parked: Errors of jobs that were failed, by job.
        told: Numbered events that a follower was told through all of it.
        kept: Numbered events that there are.
        states: Of all jobs that there are.
        marker: Id of the last job, which is none of the pieces.
        files: Names of what lies in the output folder.
        orphans: Processes of servers that outlived them.
        logs: Of the servers, one after the other.
        exit_code: Of the last one, which was asked to end.
        seconds: From the first server's answer until all jobs had ended.
    """

    accepted: dict[int, str] = field(default_factory=dict)
    results: dict[int, Given] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    parked: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    told: list[Event] = field(default_factory=list)
    kept: Sequence[JobEvent] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    marker: str = ""
    files: Sequence[str] = ()
    orphans: Sequence[str] = ()
    logs: list[str] = field(default_factory=list)
    exit_code: int = 0
    seconds: float = 0.0

    def killed(self, prey: Prey) -> int:
        """How many were."""
        return sum(kill.prey == prey for kill in self.kills)
