"""When a preview is worth its time: what nobody asked to wait for must cost hardly anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

SHARE = 0.03
"""Of a call's time, what its previews may take."""
LEAST = 0.2
"""Seconds from one preview to the next at least, and from the call's begin to the first."""


class PreviewPace:
    """Says when the next preview of a call is due, by what the last one cost.

    Args:
        clock: Tells seconds.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._due = clock() + LEAST

    @property
    def is_due(self) -> bool:
        """Whether enough other work was done since the last one."""
        return self._clock() >= self._due

    @contextmanager
    def making(self) -> Iterator[None]:
        """Make a preview inside the `with`."""
        start = self._clock()
        try:
            yield
        finally:
            end = self._clock()
            self._due = end + max(LEAST, (end - start) * (1 / SHARE - 1))
