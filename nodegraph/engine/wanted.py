"""The values that whoever started a run wants to have: brought into memory at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from nodegraph.engine.artifact import Artifact
from nodegraph.engine.scheduling import Scheduling
from nodegraph.engine.states import NodeState
from nodegraph.store.entries import Gone


class WantingRun(Scheduling, Protocol):
    """A run, as this part sees it."""

    def wanted_are_there(self) -> None:
        """The targets' values are in memory, or never will be."""


class Wanted:
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

    def fetch(self) -> bool:
        """Begin to bring in what isn't there; whether there was anything to do."""
        if not self.values or self._run.cancel.is_set:
            return False
        missing = [state for state in map(self._run.states.get, self._targets) if _lacks(state)]
        if not missing:
            return False
        self._run.shared.lanes["io"].submit(
            self._run,
            self._loop,
            (0.0, 0.0),
            lambda: [state.node.name for state in missing if state and not _load(state)],
            self._loaded,
            share=self._run.share,
        )
        return True

    def _loaded(self, gone: Any, error: BaseException | None) -> None:
        with self._run.no_hanging():
            if error is not None and not self._run.cancel.is_set:
                raise error
            again = [self._run.revive(name) for name in gone or ()]
            if any(state.status is None for state in again):
                return  # when they have ended, this is tried again
            # Another run may have brought in meanwhile what was gone.
            if not gone or not self.fetch():
                self._run.wanted_are_there()


def _lacks(state: NodeState | None) -> bool:
    return (
        state is not None
        and state.has_outputs
        and not all(artifact.is_loaded for artifact in state.artifacts or ())
    )


def _load(state: NodeState) -> bool:
    """Bring a node's outputs into memory; False if they are gone."""
    artifacts: tuple[Artifact, ...] = state.artifacts or ()
    try:
        for artifact in artifacts:
            artifact.load()
    except Gone:
        return False
    return True
