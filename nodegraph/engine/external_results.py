"""Results from elsewhere: other processes, other machines, disk, and nodes that run again.

A call is claimed when its turn in the lane has come, not while it waits there, so that no process
blocks work that it hasn't begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from nodegraph.engine.external_reads import look_up
from nodegraph.engine.product import Product
from nodegraph.engine.runtime import EngineState, RunCalls, RunScheduler
from nodegraph.engine.states import Call, NodeState, usable
from nodegraph.errors import InvalidValue
from nodegraph.store.entries import OutputGone

_MOST_CHANGES = 3
"""Times that values are had anew which were changed since their nodes gave them."""


class WantingRun(RunScheduler, Protocol):
    """A run, as this part sees it."""

    def targets_are_loaded(self) -> None:
        """The targets' values are in memory, or never will be."""


class TargetValues:
    """Brings the targets' values into memory once all nodes have ended.

    Args:
        targets: Names of the nodes whose outputs may be wanted.
        values: Whether they are.
    """

    def __init__(
        self,
        run: WantingRun,
        targets: Sequence[str],
        loop: asyncio.AbstractEventLoop,
        *,
        values: bool,
    ) -> None:
        self.values = values
        self._run = run
        self._targets = targets
        self._loop = loop
        self._changes = 0

    def fetch(self) -> bool:
        """Begin to bring in what isn't there; whether there was anything to do."""
        if not self.values or self._run.cancel.is_set:
            return False
        states = list(map(self._run.states.get, self._targets))
        self._look_at(states)
        missing = [state for state in states if _lacks(state)]
        if not missing:
            return False
        self._run.shared.lanes["io"].submit(
            self._run,
            self._loop,
            (0.0, 0.0),
            lambda: [state.node.name for state in missing if state and not _load_outputs(state)],
            self._loaded,
            share=self._run.share,
        )
        return True

    def _look_at(self, states: Iterable[NodeState | None]) -> None:
        """Let go of values that were changed since their nodes gave them."""
        for state in states:
            changed = [item for item in (state and state.products) or () if not item.is_intact]
            if state is None or not changed:
                continue
            self._run.shared.cache.report_changed(changed)
            self._changes += 1
            if self._changes > _MOST_CHANGES:
                raise InvalidValue(
                    f"the output of `{state.node.name}` is changed again and again",
                    hint="Make it return a new tensor each time, and keep no reference to it.",
                )

    def _loaded(self, gone: Any, error: BaseException | None) -> None:
        with self._run.end_on_fault():
            if error is not None and not self._run.cancel.is_set:
                raise error
            again = [self._run.revive(name) for name in gone or ()]
            if any(state.status is None for state in again):
                return  # when they have ended, this is tried again
            # Another run may have brought in meanwhile what was gone.
            if not gone or not self.fetch():
                self._run.targets_are_loaded()


def _lacks(state: NodeState | None) -> bool:
    return (
        state is not None
        and state.has_outputs
        and not all(product.is_loaded for product in state.products or ())
    )


def _load_outputs(state: NodeState) -> bool:
    """Bring a node's outputs into memory; False if they are gone."""
    products: tuple[Product, ...] = state.products or ()
    try:
        for product in products:
            product.load()
    except OutputGone:
        return False
    return True


WORTH_WAITING = 0.01
"""Seconds; a call that is known to take less is rather computed twice than waited for."""
_FIRST, _LONGEST = 0.005, 0.25
"""Seconds between two looks at what another process works on."""


class ComputedElsewhere(Exception):
    """Another process computes this, or has just stored it."""


def claim(shared: EngineState, call: Call) -> None:
    """Claim a call that is about to run; in the thread that runs it.

    Raises:
        ComputedElsewhere: It needn't run here, now.
    """
    claims = shared.claims
    if claims is None or not call.is_shared or call.is_claimed:
        return
    expected = shared.expected_seconds(call.state.node.spec)
    if expected and expected < WORTH_WAITING:
        return
    if not claims.try_claim(call.key):
        raise ComputedElsewhere
    call.is_claimed = True
    inputs, local = shared.environment.inputs, call.readings.local
    _, entry = look_up(call.key, shared.cache.get, inputs, local=local)
    if usable(entry, call.state) is not None:
        raise ComputedElsewhere


class Waiting:
    """Calls that other processes work on. For the loop's thread."""

    def __init__(self, run: RunScheduler, calls: RunCalls, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._calls = calls
        self._loop = loop
        self._timers: dict[Call, asyncio.TimerHandle] = {}

    def wait(self, call: Call, pause: float = _FIRST) -> None:
        """Answer a call with what another process stores, or run it once that has given it up."""
        self._timers.pop(call, None)
        claims = self._run.shared.claims
        assert claims is not None
        with self._run.end_on_fault():
            if self._run.cancel.is_set:
                self._calls.fail(call, self._run.cancel.error())
                return
            if self._calls.answer_from_cache(call, is_shared=True):
                return
            if not claims.is_held(call.key):
                self._calls.run(call)
                return
            if pause == _FIRST:
                self._run.events.emit("node.waiting", call.name)
            again = partial(self.wait, call, min(pause * 1.5, _LONGEST))
            self._timers[call] = self._loop.call_later(pause, again)

    def release(self, call: Call) -> None:
        """Let other processes have a call."""
        call.is_claimed = False
        claims = self._run.shared.claims
        assert claims is not None
        claims.release(call.key)

    def stop(self) -> None:
        """End what waits, as the run was cancelled."""
        timers, self._timers = self._timers, {}
        for call, timer in timers.items():
            timer.cancel()
            self._calls.fail(call, self._run.cancel.error())


class RemoteLookups:
    """Looks for calls' results where only other machines have them. For the loop's thread."""

    def __init__(self, run: RunScheduler, calls: RunCalls, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._calls = calls
        self._loop = loop

    def look_up(self, call: Call) -> None:
        """Answer a call with what another machine has computed, or run it."""
        shared = self._run.shared
        if not shared.cache.is_worth_asking(shared.expected_seconds(call.state.node.spec)):
            self._calls.run(call)
            return
        shared.lanes["io"].submit(
            self._run,
            self._loop,
            (0.0, -call.state.depth),
            partial(self._is_known, call),
            partial(self._looked, call),
            share=self._run.share,
        )

    def _is_known(self, call: Call) -> bool:
        shared = self._run.shared
        inputs, local = shared.environment.inputs, call.readings.local
        _, entry = look_up(call.key, shared.cache.find_remote, inputs, local=local)
        return usable(entry, call.state) is not None

    def _looked(self, call: Call, is_known: Any, error: BaseException | None) -> None:
        with self._run.end_on_fault():
            if self._run.cancel.is_set:
                self._calls.fail(call, self._run.cancel.error())
            elif error is not None:
                self._calls.fail(call, error)
            elif not (is_known and self._calls.answer_from_cache(call)):
                self._calls.run(call)


class Fetching:
    """Loads values of calls' inputs in the lane for input and output. For the loop's thread."""

    def __init__(self, run: RunScheduler, calls: RunCalls, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._calls = calls
        self._loop = loop

    def fetch(self, call: Call, then: Callable[[Call], None]) -> None:
        """Go on with a call once its inputs' values are in memory.

        Where the values are gone for good, the nodes that gave them run again first, and the call
        begins anew.
        """
        self._run.shared.lanes["io"].submit(
            self._run,
            self._loop,
            (0.0, -call.state.depth),
            partial(_load, call),
            partial(self._loaded, call, then),
            share=self._run.share,
        )

    def _loaded(
        self, call: Call, then: Callable[[Call], None], gone: Any, error: BaseException | None
    ) -> None:
        with self._run.end_on_fault():
            if self._run.cancel.is_set:
                self._calls.fail(call, self._run.cancel.error())
            elif error is not None:
                self._calls.fail(call, error)
            elif gone:
                self._recompute(call, gone)
            else:
                self._run.shared.cache.loaded(call.inputs.values())
                then(call)

    def _recompute(self, call: Call, ports: list[str]) -> None:
        self._calls.release_followers(call)
        links = call.state.node.links
        names = dict.fromkeys(links[port].node for port in ports)
        self._await(call, [self._run.revive(name) for name in names])

    def _await(self, call: Call, states: list[NodeState]) -> None:
        open_states = [state for state in states if state.status is None]
        waiting = len(open_states)

        def one_ended() -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                # Not at once: a long chain of nodes that wait for each other would be as deep.
                self._loop.call_soon(self._all_there, call, states)

        for state in open_states:
            state.watchers.append(one_ended)
        if not waiting:
            self._all_there(call, states)

    def _all_there(self, call: Call, states: list[NodeState]) -> None:
        with self._run.end_on_fault():
            if self._run.cancel.is_set:
                self._calls.fail(call, self._run.cancel.error())
            elif not all(state.has_outputs or state.status is None for state in states):
                self._calls.abandon(call)
            elif any(state.status is None for state in states):
                self._await(call, states)  # somebody else needed one of them once more
            else:
                self._calls.restart(call)


def _load(call: Call) -> list[str]:
    """Bring a call's inputs into memory; gives the ports whose values are gone."""
    gone = []
    for port, product in tuple(call.inputs.items()):
        try:
            product.load()
        except OutputGone:
            gone.append(port)
    return gone
