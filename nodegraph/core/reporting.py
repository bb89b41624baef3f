"""Where long work within a node says how far it is, if it was handed no context to say it to."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeAlias

ProgressCallback: TypeAlias = Callable[[int, int], None]
"""Is told step and total; raises `Cancelled` once the run is cancelled."""

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
