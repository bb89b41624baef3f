"""The values that whoever started a run wants to have: brought into memory at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from nodegraph.engine.product import Product
from nodegraph.engine.scheduling import RunScheduler
from nodegraph.engine.states import NodeState
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
                    f"what `{state.node.name}` gives is changed again and again",
                    hint="Let it return a tensor of its own each time, and hold on to none.",
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
