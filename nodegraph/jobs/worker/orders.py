"""Listening to the server, in a thread of its own: it is heard whatever nodes are doing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread

from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.frames import FrameReader
from nodegraph.jobs.supervisor.message import Message
from nodegraph.jobs.supervisor.messages import read_order

_LOG = logging.getLogger(__name__)


class Orders:
    """Reads what the server says until it says no more.

    Args:
        descriptor: To read from.
        told: Is called with each message, in the listening thread.
        over: Is called there once nothing more will come: the server is gone.
    """

    def __init__(
        self, descriptor: int, told: Callable[[Message], object], over: Callable[[], object]
    ) -> None:
        self._reader = FrameReader(descriptor)
        self._told = told
        self._over = over
        # It waits for the server, and must not keep the process from ending meanwhile.
        self._thread = Thread(target=self._work, name="nodegraph-orders", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def _work(self) -> None:
        try:
            while (message := self._reader.read()) is not None:
                self._told(read_order(message))
        except (ProtocolFault, OSError) as error:
            _LOG.error("what the server says isn't understood: %s", error)
        finally:
            self._over()
