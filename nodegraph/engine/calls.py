"""The life of a call: answered from the cache, joined to an equal one, or run; kept; ended."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from nodegraph.core.keys import call_key
from nodegraph.engine.artifact import Artifact
from nodegraph.engine.cache import Outputs
from nodegraph.engine.expansion import expand
from nodegraph.engine.failure import node_failure
from nodegraph.engine.invoke import Invoker
from nodegraph.engine.lanes import Priority
from nodegraph.engine.lazy import run_lazily
from nodegraph.engine.scheduling import Answer, Scheduling
from nodegraph.engine.states import Call
from nodegraph.errors import Cancelled


class Calls:
    """The calls of one run.

    Args:
        run: Is told when a call has ended, and when the scheduler itself is at fault.
    """

    def __init__(self, run: Scheduling, invoker: Invoker, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._shared = run.shared
        self._invoker = invoker
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: dict[Call, Call] = {}

    def begin(self, call: Call) -> None:
        """Answer a call from the cache, join an equal one in flight, or run it."""
        state = call.state
        assert state.base is not None
        try:
            fingerprint = self._invoker.fingerprint(call)
        except Exception as error:  # noqa: BLE001 - the border with pack code: a hook may raise anything
            self.fail(call, error)
            return
        digests = {port: artifact.digest for port, artifact in call.inputs.items()}
        call.key = call_key(state.base, digests, fingerprint)
        if state.lazy_ports:
            # Not joined to an equal one: that one may be what this one will ask for.
            self._spawn(call, run_lazily(self._run, self._invoker, call))
        elif not state.node.is_repeatable:
            self._dispatch(call)
        elif not self._answered(call):
            self._shared.in_flight[call.key] = call
            self._dispatch(call)

    def _answered(self, call: Call) -> bool:
        entry = self._shared.cache.get(call.key)
        if isinstance(entry, Outputs):
            self.complete(call, entry.artifacts, cached=True)
            return True
        leader = self._shared.in_flight.get(call.key)
        if leader is None:
            return False
        leader.followers[call] = self._follow
        self._following[call] = leader
        return True

    def _follow(self, call: Call, leader: Call, error: BaseException | None) -> None:
        """An equal call that this one waited for has ended."""
        del self._following[call]
        with self._run.no_hanging():
            if isinstance(error, Cancelled) or (error is None and not leader.is_repeatable):
                self.begin(call)  # this one still wants a result, of its own
            elif error is not None:
                self.fail(call, error)
            else:
                assert leader.outputs is not None
                self.complete(call, leader.outputs, cached=True)

    # Running

    def _dispatch(self, call: Call) -> None:
        if self._run.cancel.is_set:
            self.fail(call, Cancelled("the run was cancelled"))
            return
        spec = call.state.node.spec
        if spec.is_async:
            self._spawn(call, self._await(call))
            return
        work = partial(self._invoker.invoke, call)
        done = partial(self._returned, call)
        lane = self._shared.lanes[spec.lane]
        lane.submit(self, self._loop, self._priority(call), work, done)

    def _priority(self, call: Call) -> Priority:
        """What frees most memory goes first, then what has the longest way still to go."""
        freed = 0
        for source in call.state.sources:
            upstream = self._run.states[source]
            if upstream.consumers == 1 and upstream.artifacts:
                freed += sum(artifact.size for artifact in upstream.artifacts)
        return (-freed, -call.state.depth)

    def _returned(self, call: Call, answer: Any, error: BaseException | None) -> None:
        with self._run.no_hanging():
            if error is not None:
                self.fail(call, error)
            else:
                self.answer(call, answer)

    async def _await(self, call: Call) -> None:
        with self.failing(call):
            self.answer(call, await self._invoker.invoke_async(call, {}))

    @contextmanager
    def failing(self, call: Call) -> Iterator[None]:
        """What an async node raises inside the `with` is its call's failure."""
        try:
            yield
        except (Exception, SystemExit) as error:
            if call.has_ended:
                raise
            self.fail(call, error)

    def _spawn(self, call: Call, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(partial(self._task_ended, call))

    def _task_ended(self, call: Call, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with self._run.no_hanging():
            if not task.cancelled():
                task.result()
            elif self._run.cancel.is_set:
                self.fail(call, Cancelled("the run was cancelled"))
            else:
                self.fail(call, RuntimeError("the node cancelled its own task"))

    def stop(self) -> None:
        """End what waits or can be interrupted; what runs in a thread ends at its next step."""
        cancelled = Cancelled("the run was cancelled")
        for call, leader in tuple(self._following.items()):
            del leader.followers[call]
            del self._following[call]
            self.fail(call, cancelled)
        self._shared.lanes.withdraw(self, cancelled)
        for task in tuple(self._tasks):
            task.cancel()

    # Ending

    def answer(self, call: Call, answer: Answer) -> None:
        """A call's function has returned."""
        call.state.seconds += answer.seconds
        if answer.expansion is None:
            self.keep(call, answer.artifacts, answer.seconds)
            self.complete(call, answer.artifacts)
            return
        # Its own fragment may hold an equal call, which must not wait for this one.
        self._leave_flight(call)
        try:
            expand(self._run, call, answer)
        except Exception as error:  # noqa: BLE001 - a fragment is pack code's word, and may be anything
            self.fail(call, error)

    def keep(self, call: Call, artifacts: tuple[Artifact, ...], seconds: float) -> None:
        """Offer a call's outputs to the cache."""
        spec = call.state.node.spec
        if spec.deterministic and not spec.output:
            self._shared.cache.put(call.key, Outputs(artifacts, seconds))

    def complete(
        self, call: Call, artifacts: tuple[Artifact, ...], *, cached: bool = False
    ) -> None:
        """A call has its outputs."""
        call.outputs = artifacts
        call.was_cached = cached
        self._end(call, None)

    def fail(self, call: Call, error: BaseException) -> None:
        """A call has raised."""
        was_cancelled = isinstance(error, Cancelled) and self._run.cancel.is_set
        if not was_cancelled and call.state.error is None:
            call.state.error = node_failure(call, error)
        self._end(call, error)

    def leave(self, call: Call) -> None:
        """A call ends without outputs, as something that it needs has none."""
        self._end(call, Cancelled("what it waited for was cancelled or failed"))

    def _end(self, call: Call, error: BaseException | None) -> None:
        call.has_ended = True
        self._leave_flight(call)
        followers, call.followers = call.followers, {}
        for follower, follow in followers.items():
            follow(follower, call, error)
        self._run.call_ended(call)

    def _leave_flight(self, call: Call) -> None:
        if self._shared.in_flight.get(call.key) is call:
            del self._shared.in_flight[call.key]
