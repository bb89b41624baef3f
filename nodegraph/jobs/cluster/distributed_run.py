"""Workers of a cluster that compute along with one run.

What they are given, and why that comes to something, is in `nodegraph.jobs.worker.distributed_run`.
One that dies costs nothing but time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nodegraph.core.events import Event
from nodegraph.jobs.cluster.actor_process import ActorStarter, CallbackServer
from nodegraph.jobs.cluster.autoscaling import count_worker_slots, needs_of, usual_device
from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.queue.attempts import Death
from nodegraph.jobs.supervisor.errors import WorkerNotIdle
from nodegraph.jobs.supervisor.messages import Ended, HelpUpdate, RunJob
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules, WorkerSpec

if TYPE_CHECKING:
    from nodegraph.jobs.cluster.connection import Node


@dataclass(frozen=True, slots=True)
class Joined:
    """A cluster that was joined, and who starts workers there."""

    cluster: Cluster
    starter: ActorStarter


@asynccontextmanager
async def join_cluster(address: str) -> AsyncIterator[Joined]:
    """A cluster, until the end of the `async with`: then its workers of this process are gone.

    Raises:
        ClusterFault: It can't be joined.
    """
    cluster = await Cluster.connect(address)
    exchange = CallbackServer()
    watching = asyncio.create_task(cluster.watch(), name="nodegraph-head")
    try:
        if cluster.is_direct:
            await exchange.open(cluster.host)
        yield Joined(cluster, ActorStarter(cluster, exchange))
    finally:
        watching.cancel()
        await exchange.close()
        await cluster.close()


_JOB = "run"
_GRACE = 5.0
"""Seconds for helpers to end in once the run is over: what they do then is of no use to it."""


@dataclass
class HelpedRun:
    """A run that is helped.

    Attributes:
        device: That helpers compute on.
        workers: How many there are to be.
        ended: Names of those that found nothing left to do.
        faults: Why some died, in words.
    """

    device: str
    workers: int
    ended: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


class _Crew:
    """Gives each worker that gets ready the one job; an observer."""

    def __init__(self, order: RunJob, helped: HelpedRun) -> None:
        self._order = order
        self._helped = helped
        self.supervisor: Supervisor

    def ready(self, worker: str) -> None:
        order = self._order
        mine = RunJob(f"{_JOB}-{worker}", 1, order.workflow, targets=order.targets)
        try:
            self.supervisor.run(worker, mine)
        except WorkerNotIdle:
            return  # it is about to end

    def joinable(self, worker: str) -> None:
        return

    def events(self, job: str, attempt: int, events: Sequence[Event]) -> None:
        return

    def ended(self, ended: Ended) -> None:
        if ended.status == "finished":
            self._helped.ended.add(ended.job.removeprefix(f"{_JOB}-"))

    def helped(self, worker: str, news: HelpUpdate) -> None:
        return

    def died(self, worker: str, job: str | None, attempt: int | None, death: Death) -> None:
        self._helped.faults.append(f"{worker}: {death.reason}")


@asynccontextmanager
async def run_helpers(address: str, spec: WorkerSpec, order: RunJob) -> AsyncIterator[HelpedRun]:
    """Have the workers of a cluster compute along, until the end of the `async with`.

    Args:
        spec: Of each worker but for its device and name.
        order: What they run.
    Raises:
        ClusterFault: It can't be joined.
    """
    async with join_cluster(address) as cluster:
        nodes = await cluster.cluster.nodes()
        helped_run = HelpedRun(usual_device(nodes), 0)
        specs = _specs(spec, helped_run, nodes)
        crew = _Crew(order, helped_run)
        rules = SupervisionRules(shutdown_grace=_GRACE)
        crew.supervisor = Supervisor(specs, crew, rules, starter=cluster.starter)
        await crew.supervisor.start()
        try:
            yield helped_run
        finally:
            await asyncio.shield(crew.supervisor.stop())


def _specs(spec: WorkerSpec, helped: HelpedRun, nodes: Sequence[Node]) -> list[WorkerSpec]:
    needs = needs_of(helped.device)
    helped.workers = max(1, count_worker_slots(nodes, needs))
    own = replace(spec, device=helped.device, needs=needs)
    return [replace(own, name=f"helper-{at + 1}") for at in range(helped.workers)]
