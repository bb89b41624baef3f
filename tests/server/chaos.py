"""Load on a real server, of which processes are killed at random moments."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Protocol

import psutil

from nodegraph.client import Client, Conflict, ConnectionLost, Event, Job, Retries
from nodegraph.jobs.queue import QueueReader
from tests.server.chaos_record import Kill, Moment, Outcome, Prey
from tests.server.chaos_servers import PATIENCE, Servers, servers_at
from tests.server.chaos_work import Piece, given, names_on_disk

_RETRIES = Retries(seconds=PATIENCE, connecting=PATIENCE, following=PATIENCE, first=0.05, most=0.5)
_WINDOW = 4
"""Jobs that a client has open at a time, so that it submits all the while."""
_AGAIN = 0.1
"""Part of the jobs that are submitted once more."""


class Nodes(Protocol):
    """Machines that workers run on."""

    @property
    def address(self) -> str:
        """Of their cluster."""

    def kill_one(self, random: Random) -> int:
        """Kill any, and add another; its number."""

    def behead(self) -> int:
        """Kill who keeps them together, and all; how many there are then."""


class Follower:
    """Follows all jobs through all of it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._is_over = False
        self.told: list[Event] = []
        self.ended = 0
        self.last_job = ""

    def follow(self) -> None:
        """Take down events until the last job has finished."""
        try:
            with Client(self._url, "", retries=_RETRIES) as client:
                for event in client.watch(after=0):
                    if event.seq is not None and self._take(event):
                        return
        finally:
            self.give_up()

    def _take(self, event: Event) -> bool:
        with self._changed:
            self.told.append(event)
            if event.kind == "job.finished":
                self.ended += 1
                self._changed.notify_all()
        return event.kind == "job.finished" and event.job == self.last_job

    def give_up(self) -> None:
        """Keep nobody waiting."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def until_ended(self, count: int) -> None:
        """Wait until so many jobs have finished."""
        with self._changed:
            while (ended := self.ended) < count:
                self._changed.wait_for(partial(self._has_moved, ended), PATIENCE)
                assert self.ended > ended, f"{ended} jobs had finished, and then no more"

    def _has_moved(self, ended: int) -> bool:
        return self._is_over or self.ended > ended


class Chaos:
    """A load, and those who disturb it."""

    def __init__(
        self, servers: Servers, work: Sequence[Piece], seed: int, nodes: Nodes | None = None
    ) -> None:
        self._servers = servers
        self._nodes = nodes
        self._work = work
        self._seed = seed
        self._follower = Follower(servers.url)
        self._is_failed = False
        self.outcome = Outcome()

    def run(self, clients: int, kills: Sequence[Moment]) -> Outcome:
        """Do all jobs, and look at what there is then."""
        outcome = self.outcome
        begin = time.monotonic()
        with ThreadPoolExecutor(clients + 2) as threads:
            following = threads.submit(self._follower.follow)
            busy = [threads.submit(self._submit, at, clients) for at in range(clients)]
            busy.append(threads.submit(self._kill, kills))
            try:
                for each in wait(busy, return_when=FIRST_EXCEPTION).done:
                    each.result()
                outcome.seconds = time.monotonic() - begin
                self._mark_end()
                following.result()
            except BaseException:
                self._give_up()
                raise
        outcome.told = self._follower.told
        outcome.exit_code = self._servers.stop()
        self._look()
        return outcome

    def _give_up(self) -> None:
        """There is no sense in going on: let nobody wait."""
        self._is_failed = True
        self._follower.give_up()
        self._servers.close()

    def _mark_end(self) -> None:
        with Client(self._servers.url, "", retries=_RETRIES) as client:
            piece = self._work[0]
            job = client.submit(piece.workflow, targets=["seed"], held=True, name="the last one")
            self._follower.last_job = self.outcome.marker = job.id
            client.unhold(job)

    # Clients.

    def _submit(self, number: int, clients: int) -> None:
        """Be one of the clients."""
        random = Random(f"{self._seed} {number}")
        waiting: deque[Piece] = deque()
        with Client(self._servers.url, "", retries=_RETRIES) as client:
            for piece in self._work[number::clients]:
                assert not self._is_failed
                self._accept(client, piece, again=random.random() < _AGAIN)
                waiting.append(piece)
                if len(waiting) == _WINDOW:
                    self._finish(client, waiting.popleft())
            for piece in waiting:
                self._finish(client, piece)

    def _accept(self, client: Client, piece: Piece, *, again: bool) -> None:
        for _ in range(1 + again):
            job = client.submit(piece.workflow, key=piece.key, targets=piece.targets)
            if self.outcome.accepted.setdefault(piece.at, job.id) != job.id:
                self.outcome.refused.append(piece.at)

    def _finish(self, client: Client, piece: Piece) -> None:
        job = client.wait(self.outcome.accepted[piece.at], timeout=2 * PATIENCE)
        while job.state == "failed":
            self.outcome.parked.setdefault(job.id, []).append(job.error or {})
            retry(client, job)
            job = client.wait(job, timeout=2 * PATIENCE)
        self.outcome.results[piece.at] = given(piece, job)

    # The killer.

    def _kill(self, kills: Sequence[Moment]) -> None:
        with Client(self._servers.url, "", retries=_RETRIES) as client:
            for moment in kills:
                self._follower.until_ended(moment.ended)
                time.sleep(moment.pause)
                assert not self._is_failed
                random = Random(f"{self._seed} {moment}")
                if moment.prey == "worker" or moment.prey == "actor":
                    self._kill_worker(client, random, moment.prey)
                elif moment.prey == "node":
                    assert self._nodes is not None
                    self._note(Kill("node", self._nodes.kill_one(random)))
                elif moment.prey == "head":
                    assert self._nodes is not None
                    self._note(Kill("head", self._nodes.behead()))
                else:
                    self._note(Kill("server", self._servers.pid))
                    self._servers.kill()
                    self._servers.start()

    def _kill_worker(self, client: Client, random: Random, prey: Prey) -> None:
        end = time.monotonic() + PATIENCE
        while not (alive := self._servers.workers(client)):
            assert time.monotonic() < end, "no worker is started any more"
            time.sleep(0.02)
        process, name, job = random.choice(alive)
        self._note(Kill(prey, process.pid, name, job, self._last()))
        with suppress(psutil.NoSuchProcess):
            # An actor takes its worker along.
            (process.parent() if prey == "actor" else process).kill()
        psutil.wait_procs([process], timeout=PATIENCE)

    def _note(self, kill: Kill) -> None:
        self.outcome.kills.append(kill)

    def _last(self) -> int:
        told = self._follower.told
        return (told[-1].seq or 0) if told else 0

    # Afterwards.

    def _look(self) -> None:
        outcome, home = self.outcome, self._servers.home
        with QueueReader(home / "queue.sqlite") as queue:
            outcome.kept = queue.events_after(0, limit=10_000_000).events
            outcome.states = {job.id: job.state for job in queue.page(limit=10_000).jobs}
        outcome.files = names_on_disk(home / "outputs")
        outcome.orphans = self._servers.orphans()
        outcome.logs = self._servers.logs


def retry(client: Client, job: Job) -> None:
    """Let a job that failed wait once more, whatever breaks meanwhile."""
    while client.get(job).state == "failed":
        with suppress(ConnectionLost, Conflict):
            client.retry(job)


def disturbed(
    home: Path,
    work: Sequence[Piece],
    *,
    clients: int,
    kills: Sequence[Moment] = (),
    seed: int = 0,
    nodes: Nodes | None = None,
) -> Outcome:
    """What happens to some jobs while processes are killed.

    Args:
        nodes: Of the cluster that workers run on, if they do.
    """
    with servers_at(home, cluster=None if nodes is None else nodes.address) as servers:
        return Chaos(servers, work, seed, nodes).run(clients, kills)
