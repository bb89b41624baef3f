"""What a client does, without doing it: generators that ask for one thing after the other.

All that takes more than one request (trying again, following events, downloading) is written once,
as a generator. It yields what is to be done next, one of the classes below, and gets back what came
of it; what goes wrong is raised where it was asked for. `blocking` and `asynchronous` do these
things, each in its own way, and know nothing else.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from nodegraph.client.errors import ConnectionLost
from nodegraph.client.requests import Answer, Request
from nodegraph.errors import NodegraphError

T = TypeVar("T")


class Sink(Protocol):
    """Takes in the body of an answer as it comes."""

    def begin(self, answer: Answer) -> bool:
        """Whether the body of this answer, of which there is only the head yet, is for it."""

    def write(self, data: bytes) -> None:
        """Take in some bytes; called from any thread."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send a request; gives its `Answer`.

    Attributes:
        sink: Takes the body of the answer, if it wants it.
    """

    request: Request
    sink: Sink | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Open:
    """Open a websocket, in place of any that there is.

    Raises:
        SocketRefused, NotReachable, ConnectionLost: There is none.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Say:
    """Send a message over the websocket."""

    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hear:
    """Wait for the next message over the websocket; gives None if none comes in time.

    Raises:
        ConnectionLost: The server has closed the websocket, or it was cut.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Tell:
    """Hand some items to whoever iterates over them."""

    items: Sequence[Any]


Step = Exchange | Pause | Open | Say | Hear | Tell
Steps = Generator[Step, Any, T]


class Course(Generic[T]):
    """Some steps on their way; iterating over it gives one after the other.

    Attributes:
        outcome: What came of the last one, which whoever does it sets before the next one.
        fault: What went wrong with it, likewise.
        result: What came of them all, once there is no next one.
    """

    result: T

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps
        self.outcome: Any = None
        self.fault: NodegraphError | None = None

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        outcome, fault = self.outcome, self.fault
        self.outcome = self.fault = None
        try:
            return self._steps.send(outcome) if fault is None else self._steps.throw(fault)
        except StopIteration as end:
            self.result = end.value
            raise

    def close(self) -> None:
        """Leave out what there is left to do."""
        self._steps.close()


class SocketRefused(NodegraphError):
    """The server, or something before it, opens no websocket.

    Attributes:
        status: HTTP status; 0 if the answer was none of HTTP.
        retry_after: Seconds after which to ask again, if it says so.
    """

    code = "websocket-refused"

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        super().__init__("the server opens no websocket", given=f"status {status}")
        self.status = status
        self.retry_after = retry_after


class SocketClosed(ConnectionLost):
    """The server has closed the websocket.

    Attributes:
        closing: Code of the close frame; 1006 if there was none.
    """

    def __init__(self, closing: int, reason: str) -> None:
        said = f": {reason}" if reason else ""
        super().__init__(f"the server has closed the connection (code {closing}){said}")
        self.closing = closing
