"""Start worker processes: the starter protocol, and processes on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from nodegraph.jobs.supervisor import platforms
from nodegraph.jobs.supervisor.crash_evidence import Recorder
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.messages import Ready, read_report
from nodegraph.jobs.supervisor.protocol import Decoder, Message, encode
from nodegraph.jobs.supervisor.worker_spec import Launch, WorkerSpec

if TYPE_CHECKING:
    from nodegraph.jobs.supervisor.messages import Ready
    from nodegraph.jobs.supervisor.worker_spec import WorkerSpec


class MessageReader:
    """Hands on what a process says, until it says what can't be read."""

    def __init__(self, ears: ProcessListener) -> None:
        self._ears = ears
        self._decoder: Decoder | None = Decoder()

    def feed(self, data: bytes) -> None:
        """Take what it said, wherever its messages end."""
        if self._decoder is None:
            return
        try:
            for message in self._decoder.feed(data):
                self._ears.on_message(read_report(message))
        except ProtocolFault as fault:
            self._decoder = None
            self._ears.on_fault(fault)


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a process ended.

    Attributes:
        code: Its exit code; None if nobody knows.
        begun: Jobs that it had begun and not ended, each with the name of its node that began last;
            None where nobody knows.
        reason: In words, where its place tells more than a code.
        is_lost: Whether the place where it ran went away, which is no fault of what it did.
    """

    code: int | None
    begun: Mapping[str, str | None] | None = None
    reason: str | None = None
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class ProcessListener:
    """Who hears a process; all are called on the event loop.

    Attributes:
        on_message: Is called with each message, in order.
        on_output: Is called with what it writes to standard output and error.
        on_fault: Is called, once, if it says what can't be read.
    """

    on_message: Callable[[Message], None]
    on_output: Callable[[bytes], None]
    on_fault: Callable[[ProtocolFault], None]


class WorkerHandle(Protocol):
    """A worker process, wherever it runs; used on the event loop that started it."""

    @property
    def pid(self) -> int | None:
        """Its id there; None as long as it has no place."""

    @property
    def host(self) -> str | None:
        """The machine that it runs on, or is to run on; None for this one."""

    def send(self, message: Message) -> None:
        """Send a message; it is lost if the process has died.

        Raises:
            ProtocolFault: It can't be sent.
        """

    async def ended(self) -> ProcessExit:
        """Wait until it has ended and all that it said is read."""

    def terminate(self) -> None:
        """Ask it to end, as the system does."""

    def kill(self, *, with_traces: bool = False) -> None:
        """End it, and all that it has started.

        Args:
            with_traces: Have it write first what its threads are doing.
        """


class Starter(Protocol):
    """Starts worker processes."""

    @property
    def host(self) -> str | None:
        """Where one is to run that hasn't started yet: None for here, empty for any other place."""

    async def start(self, spec: WorkerSpec, ears: ProcessListener) -> WorkerHandle:
        """Start one; it may have to wait for a place.

        Raises:
            OSError: It can't be started.
        """

    def refusal(self, ready: Ready) -> str | None:
        """Why a process that has got ready can't be worked with; None if it can."""


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
