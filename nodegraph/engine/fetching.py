"""Asking other machines for results, and bringing inputs into memory: from disk, or by running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from nodegraph.engine.external_reads import look_up
from nodegraph.engine.scheduling import RunCalls, RunScheduler
from nodegraph.engine.states import Call, NodeState, usable
from nodegraph.store.entries import OutputGone


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
        _, entry = look_up(call.key, shared.cache.find_remote, shared.environment.inputs)
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
