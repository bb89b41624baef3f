"""A request to stop that running nodes notice at their next step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

from nodegraph.errors import Cancelled


class CancelToken:
    """Set once, from any thread or a signal handler."""

    def __init__(self) -> None:
        self._event = Event()
        self._callbacks: list[Callable[[], object]] = []

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def cancel(self) -> None:
        """Ask the run to stop."""
        self._event.set()
        for callback in tuple(self._callbacks):
            callback()

    def check(self) -> None:
        """Raise `Cancelled` if the run is to stop."""
        if self._event.is_set():
            raise Cancelled("the run was cancelled")

    @contextmanager
    def telling(self, callback: Callable[[], object]) -> Iterator[None]:
        """Inside the `with`, call back when cancelled, in the cancelling thread.

        At once, if that has happened already.
        """
        self._callbacks.append(callback)
        try:
            if self.is_set:
                callback()
            yield
        finally:
            self._callbacks.remove(callback)
