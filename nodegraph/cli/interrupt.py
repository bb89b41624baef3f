"""Ctrl-C while a workflow runs: once asks it to stop, twice ends the process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, Any

from nodegraph.cli.exits import CANCELLED

if TYPE_CHECKING:
    from nodegraph.engine.cancel import CancelToken

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h\n"


class Interrupts:
    """Takes SIGINT and SIGTERM over, inside its `with`.

    Args:
        tell: Called with a message for the user; must be safe to call from any thread.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.came = False
        self._tell = tell
        self._token: CancelToken | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if current_thread() is main_thread():  # Python allows handlers to no other
            for number in _SIGNALS:
                # What was started in the background of a script is not to be interrupted.
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def stopping(self, token: CancelToken) -> Iterator[None]:
        """Inside, the first signal cancels `token`."""
        self._token = token
        try:
            yield
        finally:
            # The event loop that the token wakes is about to be closed.
            self._token = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            _end_at_once()
        self.came = True
        if self._token is not None:
            self._token.cancel()
        # Not from here: a signal may come while the terminal's lock is held by this very thread.
        message = "Stopping at the next step. Press Ctrl-C again to end at once."
        Thread(target=self._tell, args=(message,), daemon=True).start()


def _end_at_once() -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(CANCELLED)
