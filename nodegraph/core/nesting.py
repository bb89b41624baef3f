"""What waits for the code that runs here: a node's function or a listener may begin a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


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
