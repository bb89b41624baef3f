"""What a supervisor needs of whatever starts worker processes, here or on another machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.message import Message

if TYPE_CHECKING:
    from nodegraph.jobs.supervisor.messages import Ready
    from nodegraph.jobs.supervisor.rules import WorkerSpec


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
