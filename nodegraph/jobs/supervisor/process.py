"""A worker's process on this machine, and its pipes."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import Any, cast

from nodegraph.jobs.supervisor import platforms
from nodegraph.jobs.supervisor.frames import encode
from nodegraph.jobs.supervisor.launch import Launch
from nodegraph.jobs.supervisor.message import Message
from nodegraph.jobs.supervisor.message_reader import MessageReader
from nodegraph.jobs.supervisor.messages import Ready
from nodegraph.jobs.supervisor.recorder import Recorder
from nodegraph.jobs.supervisor.rules import WorkerSpec
from nodegraph.jobs.supervisor.starting import ProcessExit, ProcessListener

_LOG = logging.getLogger(__name__)

_IN, _OUT, _ERR = 0, 1, 2
_LEFT = 1.0
"""Seconds to read what a dead process left in its pipes; one of its children may hold them open."""
_FLOOD = 1 << 20
"""Bytes of output at once after which reading it rests, so that others get their turn."""
_READ_PAUSE = 0.05
_TRACES = 0.3
"""Seconds for a process to write what its threads do, before it is killed."""
_WITHHELD = ("NODEGRAPH_SERVER_QUEUE",)
"""Variables that workers don't get: a database's password may be in it."""


class WorkerProcess(asyncio.SubprocessProtocol):
    """A process of this machine that speaks in frames; see `WorkerHandle`.

    Args:
        ears: Who hears it.
        recorder: Of what it did last; is closed when it has ended.
    """

    def __init__(self, ears: ProcessListener, recorder: Recorder) -> None:
        self._ears = ears
        self._recorder = recorder
        self._hearing = MessageReader(ears)
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._drained: asyncio.Future[None] = self._loop.create_future()
        self._open_pipes = {_OUT, _ERR}
        self._written = 0
        self._is_being_killed = False

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        if fd == _ERR:
            self._ears.on_output(data)
            self._rest_from(len(data))
        else:
            self._hearing.feed(data)

    def _rest_from(self, size: int) -> None:
        """Read a flood of output in portions."""
        if not self._written:
            self._loop.call_later(_READ_PAUSE, self._rested)
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

    @property
    def host(self) -> None:
        return None

    def send(self, message: Message) -> None:
        frame = encode(message.as_dict())
        pipe: Any = self._transport.get_pipe_transport(_IN)
        if pipe is not None and not pipe.is_closing():
            pipe.write(frame)

    async def ended(self) -> ProcessExit:
        await self._exited
        # What it started would go on with nobody to watch over it, and hold its pipes open.
        platforms.kill_group(self.pid)
        if _ERR in self._open_pipes:
            self._pipe(_ERR).resume_reading()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._drained), _LEFT)
        code = self._transport.get_returncode()
        self._transport.close()
        process_exit = ProcessExit(code, self._recorder.begun)
        self._recorder.close()
        return process_exit

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            self._transport.terminate()

    def kill(self, *, with_traces: bool = False) -> None:
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


def _worker_environment() -> dict[str, str]:
    """This process's variables, but for those that are nobody's business who runs packs."""
    return {name: value for name, value in os.environ.items() if name not in _WITHHELD}


class LocalStarter:
    """Starts processes on this machine; see `Starter`."""

    host = None

    async def start(self, spec: WorkerSpec, ears: ProcessListener) -> WorkerProcess:
        recorder = Recorder.create()
        command = Launch.of(spec, recorder.path).command()
        try:
            _, protocol = await asyncio.get_running_loop().subprocess_exec(
                lambda: WorkerProcess(ears, recorder),
                *command,
                env={**_worker_environment(), **spec.environment},
                **platforms.spawn_options(),
            )
        except BaseException:
            recorder.close()
            raise
        return protocol

    def refusal(self, ready: Ready) -> str | None:
        # It runs what is installed here, which an upgrade may just have changed.
        return None
