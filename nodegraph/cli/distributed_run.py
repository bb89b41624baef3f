"""Having a cluster compute along with `nodegraph run`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nodegraph.cli.output import echo_stderr, warn
from nodegraph.core.words import pluralize

if TYPE_CHECKING:
    from nodegraph.cli.prepared import RunRequest
    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.cancel import CancelToken
    from nodegraph.session.session import Session

T = TypeVar("T")
ClusterContext = Callable[["Workflow", "CancelToken"], AbstractAsyncContextManager[None]]
"""Has others compute along with the run of a workflow, inside its `async with`."""


def cluster_context(
    address: str, session: Session, packs: Sequence[Path], request: RunRequest
) -> ClusterContext:
    """Makes what has the workers of a cluster compute along with the run of a workflow.

    Args:
        packs: More packs, as given.
        request: What is wanted of the workflow.
    """

    @asynccontextmanager
    async def help_along(workflow: Workflow, cancel: CancelToken) -> AsyncIterator[None]:
        from nodegraph.jobs.cluster.distributed_run import run_helpers
        from nodegraph.jobs.supervisor.launch import settings_flags
        from nodegraph.jobs.supervisor.messages import RunJob
        from nodegraph.jobs.supervisor.rules import WorkerSpec
        from nodegraph.jobs.worker.sharing import bodies_have_sinks, shared_targets

        graph = session.graph(workflow, targets=request.targets)
        targets = shared_targets(graph, bodies_act=bodies_have_sinks(workflow, session.registry))
        if not targets:
            warn("there is nothing in this workflow that a cluster could compute beforehand")
            yield
            return
        spec = WorkerSpec(
            "helper", settings=settings_flags(session.settings), packs=[str(each) for each in packs]
        )
        order = RunJob("run", 1, workflow.to_json(), targets=targets)
        async with AsyncExitStack() as stack:
            entering = stack.enter_async_context(run_helpers(address, spec, order))
            cluster = await _unless_cancelled(entering, cancel)
            if cluster is None:
                yield  # the run ends at once
                return
            if session.environment.device.partition(":")[0] != cluster.device:
                warn(
                    f"the cluster computes on {cluster.device}, and this run on "
                    f"{session.environment.device}: what depends on that is computed here alone"
                )
            echo_stderr(
                f"Up to {pluralize(cluster.workers, 'worker')} of the cluster compute along."
            )
            try:
                yield
            finally:
                for fault in cluster.faults:
                    warn(f"a worker of the cluster died: {fault}")

    return help_along


async def _unless_cancelled(entering: Coroutine[Any, Any, T], cancel: CancelToken) -> T | None:
    """What a call gives that may take long; None if the run is cancelled meanwhile."""
    task = asyncio.ensure_future(entering)
    give_up = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
    with cancel.on_cancel(give_up):
        try:
            return await task
        except asyncio.CancelledError:
            if cancel.is_set and task.cancelled():
                return None
            raise
