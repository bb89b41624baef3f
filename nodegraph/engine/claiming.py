"""Single flight across processes: one computes, the others wait for what it stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from nodegraph.engine.scheduling import Calling, Scheduling
from nodegraph.engine.states import Call

WORTH_WAITING = 0.01
"""Seconds; a call that is known to take less is rather computed twice than waited for."""
_FIRST, _LONGEST = 0.005, 0.25
"""Seconds between two looks at what another process works on."""


class Waiting:
    """Claims calls for this process, or waits while another has them. For the loop's thread."""

    def __init__(self, run: Scheduling, calls: Calling, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._calls = calls
        self._loop = loop
        self._timers: dict[Call, asyncio.TimerHandle] = {}

    def claim(self, call: Call, then: Callable[[Call], None]) -> None:
        """Go on with a call once no other process works on an equal one."""
        claims = self._run.shared.claims
        if claims is None or not self._is_worth_it(call):
            then(call)
            return
        self._try(call, then, _FIRST)

    def _is_worth_it(self, call: Call) -> bool:
        expected = self._run.shared.expected_seconds(call.state.node.spec)
        return not expected or expected >= WORTH_WAITING

    def _try(self, call: Call, then: Callable[[Call], None], pause: float) -> None:
        self._timers.pop(call, None)
        claims = self._run.shared.claims
        assert claims is not None
        with self._run.no_hanging():
            if claims.try_claim(call.key):
                call.is_claimed = True
                then(call)
                return
            if pause == _FIRST:
                self._run.events.emit("node.waiting", call.name)
            again = partial(self._try, call, then, min(pause * 1.5, _LONGEST))
            self._timers[call] = self._loop.call_later(pause, again)

    def release(self, call: Call) -> None:
        """Let other processes have a call, once they can see what it gave."""
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
