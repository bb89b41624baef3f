"""Single flight across processes: one computes, the others wait for what it stores.

A call is claimed when its turn in the lane has come, not while it waits there, so that no process
keeps others from work that it hasn't begun.
"""

from __future__ import annotations

import asyncio
from functools import partial

from nodegraph.engine.external_reads import look_up
from nodegraph.engine.scheduling import RunCalls, RunScheduler
from nodegraph.engine.shared import EngineState
from nodegraph.engine.states import Call, usable

WORTH_WAITING = 0.01
"""Seconds; a call that is known to take less is rather computed twice than waited for."""
_FIRST, _LONGEST = 0.005, 0.25
"""Seconds between two looks at what another process works on."""


class ComputedElsewhere(Exception):
    """Another process computes this, or has just stored it."""


def claim(shared: EngineState, call: Call) -> None:
    """Claim a call that is about to run; in the thread that runs it.

    Raises:
        Elsewhere: It needn't run here, now.
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
    _, entry = look_up(call.key, shared.cache.get, shared.environment.inputs)
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
