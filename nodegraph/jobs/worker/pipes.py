"""Pipes of a worker process: read orders of the server, and send messages to it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import TextIOWrapper
from threading import Thread

from nodegraph.jobs.supervisor import platforms
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.messages import read_order
from nodegraph.jobs.supervisor.protocol import FrameReader, FrameWriter, Message

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pipes:
    """File descriptors: what the server says, and what it is told."""

    orders: int
    reports: int


def take_pipes() -> Pipes:
    """Take standard input and output for oneself.

    From then on who reads standard input finds nothing, and what is printed goes to standard
    error, line by line.
    """
    pipes = Pipes(os.dup(0), os.dup(1))
    for descriptor in (pipes.orders, pipes.reports):
        platforms.use_bytes(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    return pipes


class Outbox:
    """Sends messages until nobody reads them any more; then it is silent.

    Args:
        descriptor: To write to.
        broken: Is called, once, when nobody reads any more.
    """

    def __init__(self, descriptor: int, broken: Callable[[], object]) -> None:
        self._writer = FrameWriter(descriptor)
        self._broken = broken
        self._is_open = True

    def send(self, *messages: Message) -> None:
        """Send messages, one after the other; returns once they are in the pipe.

        Raises:
            ProtocolFault: One can't be sent; nothing was.
        """
        if not self._is_open:
            return
        try:
            self._writer.write(*[message.as_dict() for message in messages])
        except OSError:
            self._is_open = False
            self._broken()


def call_threadsafe(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Have the loop call a function; nothing happens if the loop is closed: all is over then."""
    try:
        loop.call_soon_threadsafe(act)
    except RuntimeError:
        if not loop.is_closed():
            raise


class OrderReader:
    """Reads what the server says until it says no more.

    Args:
        descriptor: To read from.
        on_message: Is called with each message, in the listening thread.
        over: Is called there once nothing more will come: the server is gone.
    """

    def __init__(
        self, descriptor: int, on_message: Callable[[Message], object], over: Callable[[], object]
    ) -> None:
        self._reader = FrameReader(descriptor)
        self._told = on_message
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
            _LOG.error("a message of the server is not understood: %s", error)
        finally:
            self._over()
