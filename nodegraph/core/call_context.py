"""Context variables that a run sets for the code it calls: nested runs and progress reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TypeAlias

ProgressCallback: TypeAlias = Callable[[int, int], None]
"""Gets step and total; raises `Cancelled` once the run is cancelled."""

PROGRESS_CALLBACK: ContextVar[ProgressCallback | None] = ContextVar(
    "nodegraph_report", default=None
)
"""Of the node whose function runs; None outside of nodes, and in threads that serve several."""


def report_progress(step: int, total: int) -> None:
    """Tell the node that runs here, if one does, how far its work is.

    Raises:
        Cancelled: Its run was cancelled.
    """
    callback = PROGRESS_CALLBACK.get()
    if callback is not None:
        callback(step, total)


@dataclass(frozen=True, slots=True)
class Nesting:
    """What waits.

    Attributes:
        depth: Runs by standing sessions.
        sessions: Those whose runs wait, by `id`.
    """

    depth: int = 0
    sessions: frozenset[int] = frozenset()

    def with_depth(self, depth: int) -> Nesting:
        """The same at another depth."""
        return replace(self, depth=depth)


_NONE = Nesting()
NESTING: ContextVar[Nesting] = ContextVar("nodegraph_nesting", default=_NONE)
"""Set on the event loop of a run, for all that it begins, and wherever the run calls a node's
function or a listener."""


@contextmanager
def nested_in(session: object) -> Iterator[None]:
    """Inside, a run of this session waits for all that happens."""
    outer = NESTING.get()
    token = NESTING.set(replace(outer, sessions=outer.sessions | {id(session)}))
    try:
        yield
    finally:
        NESTING.reset(token)
