"""A worker's process and its pipes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from nodegraph.jobs.supervisor import platforms
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.frames import Decoder, encode
from nodegraph.jobs.supervisor.message import Message
from nodegraph.jobs.supervisor.messages import read_report

_LOG = logging.getLogger(__name__)

_IN, _OUT, _ERR = 0, 1, 2
_LEFT = 1.0
"""Seconds to read what a dead process left in its pipes; one of its children may hold them open."""
_FLOOD = 1 << 20
"""Bytes of output at once after which reading it rests, so that others get their turn."""
_REST = 0.05
_TRACES = 0.3
"""Seconds for a process to write what its threads do, before it is killed."""


class WorkerProcess(asyncio.SubprocessProtocol):
    """A process that speaks in frames; used on the event loop that started it.

    Args:
        told: Is called with each message, in order.
        wrote: Is called with what it writes to standard output and error.
        failed: Is called, once, if it says what can't be read.
    """

    def __init__(
        self,
        told: Callable[[Message], None],
        wrote: Callable[[bytes], None],
        failed: Callable[[ProtocolFault], None],
    ) -> None:
        self._told = told
        self._wrote = wrote
        self._failed = failed
        self._decoder: Decoder | None = Decoder()
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._drained: asyncio.Future[None] = self._loop.create_future()
        self._open_pipes = {_OUT, _ERR}
        self._written = 0
        self._is_being_killed = False

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        told: Callable[[Message], None],
        wrote: Callable[[bytes], None],
        failed: Callable[[ProtocolFault], None],
    ) -> WorkerProcess:
        """Start a process.

        Raises:
            OSError: It can't be started.
        """
        loop = asyncio.get_running_loop()
        _, protocol = await loop.subprocess_exec(
            lambda: cls(told, wrote, failed),
            *command,
            env=dict(environment),
            **platforms.spawn_options(),
        )
        return protocol

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        if fd == _ERR:
            self._wrote(data)
            self._rest_from(len(data))
        elif self._decoder is not None:
            self._read(data)

    def _read(self, data: bytes) -> None:
        assert self._decoder is not None
        try:
            for message in self._decoder.feed(data):
                self._told(read_report(message))
        except ProtocolFault as fault:
            self._decoder = None
            self._failed(fault)

    def _rest_from(self, size: int) -> None:
        """Read a flood of output in portions."""
        if not self._written:
            self._loop.call_later(_REST, self._rested)
        before, self._written = self._written, self._written + size
        if before < _FLOOD <= self._written:
            self._pipe(_ERR).pause_reading()

    def _rested(self) -> None:
        was_flooded, self._written = self._written >= _FLOOD, 0
        if was_flooded and _ERR in self._open_pipes:
            self._pipe(_ERR).resume_reading()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open_pipes.discard(fd)
        if not self._open_pipes and not self._drained.done():
            self._drained.set_result(None)

    def process_exited(self) -> None:
        if not self._exited.done():
            self._exited.set_result(None)

    # What the supervisor does

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    def send(self, message: Message) -> None:
        """Send a message; it is lost if the process has died.

        Raises:
            ProtocolFault: It can't be sent.
        """
        frame = encode(message.as_dict())
        pipe: Any = self._transport.get_pipe_transport(_IN)
        if pipe is not None and not pipe.is_closing():
            pipe.write(frame)

    async def ended(self) -> int:
        """Wait until the process has ended and all that it said is read; gives its exit code."""
        await self._exited
        # What it started would go on with nobody to watch over it, and hold its pipes open.
        platforms.kill_group(self.pid)
        if _ERR in self._open_pipes:
            self._pipe(_ERR).resume_reading()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._drained), _LEFT)
        code = self._transport.get_returncode()
        self._transport.close()
        assert code is not None
        return code

    def terminate(self) -> None:
        """Ask it to end, as the system does."""
        with suppress(ProcessLookupError):
            self._transport.terminate()

    def kill(self, *, with_traces: bool = False) -> None:
        """End it, and all that it has started.

        Args:
            with_traces: Have it write first what its threads are doing.
        """
        if with_traces and not self._is_being_killed and platforms.ask_for_traces(self.pid):
            self._loop.call_later(_TRACES, self._kill)
        else:
            self._kill()
        self._is_being_killed = True

    def _kill(self) -> None:
        if not self._exited.done():
            platforms.kill_group(self.pid)

    def _pipe(self, fd: int) -> asyncio.ReadTransport:
        return cast(asyncio.ReadTransport, self._transport.get_pipe_transport(fd))
