"""Asking other machines for a result, before inputs are fetched or a lane is waited for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from nodegraph.engine.outside import looked_up
from nodegraph.engine.scheduling import Calling, Scheduling
from nodegraph.engine.states import Call, usable


class FarLooks:
    """Looks for calls' results where only other machines have them. For the loop's thread."""

    def __init__(self, run: Scheduling, calls: Calling, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._calls = calls
        self._loop = loop

    def look(self, call: Call) -> None:
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
        _, found = looked_up(call.key, shared.cache.find_far, shared.environment.inputs)
        return usable(found, call.state) is not None

    def _looked(self, call: Call, is_known: Any, error: BaseException | None) -> None:
        with self._run.no_hanging():
            if self._run.cancel.is_set:
                self._calls.fail(call, self._run.cancel.error())
            elif error is not None:
                self._calls.fail(call, error)
            elif not (is_known and self._calls.answered_by_cache(call)):
                self._calls.run(call)
