"""One job, from what was ordered to how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Literal

from nodegraph.core.events import Event, Listener
from nodegraph.core.uploads import paths_in
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cancel import CancelToken
from nodegraph.engine.lanes import Share
from nodegraph.engine.result import RunResult, WrittenFile
from nodegraph.errors import InvalidValue, Problem
from nodegraph.jobs.supervisor.messages import Ended, EndStatus, Run
from nodegraph.jobs.worker.faults import error_of, error_of_nodes, told
from nodegraph.jobs.worker.files import JobFiles
from nodegraph.session.session import Session
from nodegraph.session.settings import places_of


def outputs_of(result: RunResult, files: JobFiles) -> dict[str, Any]:
    """Its files, the digests of its targets' outputs, and how many nodes ran.

    A file that is gone already is left out.
    """
    found = [_entry(file, files) for file in result.files]
    reports = result.nodes
    statuses = [report.status for report in reports.values()]
    return {
        "files": [file for file in found if file is not None],
        "outputs": {
            output: reports[node].outputs[port]
            for output in result.outputs
            for node, _, port in [output.rpartition(".")]
            if node in reports and port in reports[node].outputs
        },
        "nodes": {"ran": statuses.count("ran"), "cached": statuses.count("cached")},
        "seconds": round(result.seconds, 6),
        "run": result.run,
    }


def _entry(file: WrittenFile, files: JobFiles) -> dict[str, Any] | None:
    found = files.described(file.path)
    return None if found is None else {"node": file.node, "kind": file.kind, **found}


Wish = Literal["cancelled", "released"]


class Assignment:
    """One attempt at a job. What is wished for may be said from any thread.

    Attributes:
        token: Control of its run.
        wish: How it is to end, if it has to; None if it may finish.
    """

    def __init__(self, order: Run) -> None:
        self.order = order
        self.token = CancelToken()
        self.wish: Wish | None = None

    def is_of(self, job: str, attempt: int) -> bool:
        """Whether it is that job's, at that attempt."""
        return (self.order.job, self.order.attempt) == (job, attempt)

    def cancel(self, reason: str) -> None:
        """Have it stop at its next step. It doesn't go on, even if it was to be released before."""
        self.wish = "cancelled"
        self.token.cancel(reason)

    def release(self, reason: str) -> None:
        """Have it save its work at its next step and stop there."""
        if self.wish is None:
            self.wish = "released"
        self.token.cancel(reason)


_LOG = logging.getLogger(__name__)

_MOST_WORKFLOWS = 16


_SAYING = frozenset({"node.failed", "node.retried", "log"})
"""Kinds of events that pass on what a node says, in words of its own."""


class Jobs:
    """Runs jobs on a session, which keeps weights and results from one to the next."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._places = places_of(session.settings)
        self._workflows: OrderedDict[str, Workflow] = OrderedDict()

    async def run(self, assignment: Assignment, listener: Listener) -> Ended:
        """How a job ended; its events went to the listener."""
        order, files = assignment.order, JobFiles()
        try:
            result = await self._result(assignment, files.telling(self._discreet(listener)))
            ended = await self._ended(assignment, result, files)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it is this job's fault alone
            ended = _end(order, "failed", error=error_of(error))
        try:
            return replace(ended, error=self._places.plain(ended.error)) if ended.error else ended
        finally:
            self._tell_problems()

    def _discreet(self, listener: Listener) -> Listener:
        """A listener that isn't told where things lie on this machine, in words of nodes."""

        def tell(event: Event) -> None:
            if event.kind in _SAYING:
                event = replace(event, data=self._places.plain(event.data))
            listener(event)

        return tell

    async def _result(self, assignment: Assignment, listener: Listener) -> RunResult:
        order = assignment.order
        uploads = self._session.settings.uploads
        return await self._session.run_async(
            self._workflow(order.workflow),
            parameters=order.parameters,
            targets=order.targets,
            listener=listener,
            cancel=assignment.token,
            deadline=_option(order, "deadline", int | float, None),
            check_mutation=_option(order, "check_mutation", bool, False),
            values=False,
            share=Share(order.client, _urgency(order.priority)),
            granted=paths_in(order.workflow, order.parameters, uploads) if uploads else (),
        )

    def _workflow(self, text: str) -> Workflow:
        """Read a workflow; the same one often comes again, with other parameters."""
        known = self._workflows.pop(text, None)
        found = Workflow.loads(text) if known is None else known
        self._workflows[text] = found
        if len(self._workflows) > _MOST_WORKFLOWS:
            self._workflows.popitem(last=False)
        return found

    async def _ended(self, assignment: Assignment, result: RunResult, files: JobFiles) -> Ended:
        order = assignment.order
        if result.status == "ok":
            return _end(order, "finished", outputs=await self._outputs(result, files))
        if result.status == "failed":
            return _end(order, "failed", error=error_of_nodes(result.errors))
        if assignment.wish is None:
            return _end(order, "failed", error=told([Problem("deadline", result.reason)]))
        if assignment.wish == "released":
            await asyncio.to_thread(self._keep)
        return _end(order, assignment.wish)

    async def _outputs(self, result: RunResult, files: JobFiles) -> dict[str, Any]:
        if not result.files:
            return outputs_of(result, files)
        # Their digests take reading them.
        return await asyncio.to_thread(outputs_of, result, files)

    def _keep(self) -> None:
        """See to it that what a job has computed is there for its next attempt, here or elsewhere.

        Its checkpoints are written, and what its nodes have given.
        """
        self._session.engine.shared.saver.flush()
        store = self._session.store
        if store is not None:
            store.flush()

    def _tell_problems(self) -> None:
        for problem in self._session.problems:
            _LOG.warning("%s", problem)
        self._session.problems.clear()


def _urgency(priority: int) -> int:
    """The lanes' class of priority."""
    if priority == 0:
        return 1
    return 0 if priority > 0 else 2


def _end(
    order: Run,
    status: EndStatus,
    *,
    outputs: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> Ended:
    return Ended(order.job, order.attempt, status, outputs, error)


def _option(order: Run, name: str, kind: Any, default: Any) -> Any:
    value = order.options.get(name, default)
    is_wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
    if value is not None and is_wrong:
        raise InvalidValue(f"the job's option `{name}` has a wrong value", given=repr(value))
    return value
