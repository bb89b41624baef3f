"""Detect a lost cluster head, end calls that wait for it, and explain Ray's errors."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Any, ParamSpec, TypeVar

from nodegraph.jobs.supervisor.starter import ProcessExit

_CAUSES = (
    # Told by Ray in prose alone; the first that fits counts.
    (r"preempt", "its node was removed", True),
    (r"node has died|node .*is dead|NODE_DIED", "its node is no longer in the cluster", True),
    (r"low on memory|OUT_OF_MEMORY", "its node had no memory left, so Ray ended it", False),
    (r"killed by `ray\.kill`", "it was ended", False),
    (r"worker process has died", "the actor that had started it was killed", False),
)


def exit_of(error: BaseException, host: str) -> ProcessExit:
    """How a worker ended whose actor can't be asked any more.

    Args:
        host: Its node; empty if it had none yet.
    """
    where = f" ({host})" if host else ""
    kind = type(error).__name__
    if isinstance(error, HeadGone):
        return ProcessExit(None, reason=f"{error}{where}", is_lost=True)
    if kind == "ActorUnavailableError":
        return ProcessExit(None, reason=f"its node can no longer be reached{where}", is_lost=True)
    if getattr(error, "preempted", False):
        return ProcessExit(None, reason=f"its node was removed{where}", is_lost=True)
    text = str(error)
    if not host:
        return ProcessExit(None, begun={}, reason=f"it cannot be started: {_unstarted(text)}")
    for pattern, words, is_lost in _CAUSES:
        if re.search(pattern, text):
            return ProcessExit(None, reason=f"{words}{where}", is_lost=is_lost)
    return ProcessExit(None, reason=f"its actor ended{where}: {_last_line(text)}")


def _unstarted(text: str) -> str:
    missing = re.search(r"No module named '(nodegraph[\w.]*)'", text)
    if missing:
        return f"a node has no nodegraph with `{missing[1]}`; install the server's version there"
    return _last_line(text)


def reason_of(error: BaseException) -> str:
    """Why something failed that was asked of Ray, on one line.

    What it tells has several: below a first one that names no reason are the versions that differ,
    what gRPC knows, or where in Ray's server it happened.
    """
    text = str(error).strip() or type(error).__name__
    detail = re.search(r'^\s*details = "(.+)"$', text, re.MULTILINE)
    if detail:
        return f"{text.partition('<')[0]}{detail[1]}"
    before, _, trace = text.partition("Traceback (most recent call last):")
    reason = f"{before} {_last_line(trace)}" if trace else re.split(r"\n\s*\n", text)[0]
    return " ".join(reason.split())


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given"


P = ParamSpec("P")
T = TypeVar("T")


def run_detached(call: Callable[P, T], *args: P.args, **options: P.kwargs) -> asyncio.Future[T]:
    """What a call gives that is made in a thread of its own, whose end nothing waits for."""
    answer: Future[T] = Future()
    work = partial(_answer, answer, call, *args, **options)
    threading.Thread(target=work, name="nodegraph-apart", daemon=True).start()
    return asyncio.wrap_future(answer)


def _answer(answer: Future[T], call: Callable[P, T], *args: P.args, **options: P.kwargs) -> None:
    answer.set_running_or_notify_cancel()
    try:
        result = call(*args, **options)
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        answer.set_exception(error)
    else:
        answer.set_result(result)


async def wait_unless_lost(
    answer: asyncio.Future[T], head: ClusterHead, seconds: float | None = None
) -> T:
    """What was asked of a cluster.

    Args:
        seconds: After which a head that hasn't answered counts as gone, too.
    Raises:
        HeadGone: The head is gone: nobody will answer.
    """
    either: set[asyncio.Future[Any]] = {answer, head.lost}
    await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if answer.done():
        return answer.result()
    answer.cancel()
    if head.is_lost:
        raise HeadGone("the head of its cluster is no longer running")
    head.mark_lost()
    raise HeadGone(f"the head of its cluster, {head}, has not answered for {seconds:g} s")


class SerialCalls:
    """Calls of which each may be made only once the one before has come back.

    One thread makes them all, until `close`: the system ends what Ray starts, such as a cluster's
    head, together with the thread that started it.
    """

    def __init__(self) -> None:
        self._last: asyncio.Future[Any] | None = None
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="nodegraph-calls", daemon=True)

    def apart(self, call: Callable[P, T], *args: P.args, **options: P.kwargs) -> asyncio.Future[T]:
        """What a call gives; to cancel it leaves the call to itself.

        Raises:
            HeadGone: The one before hasn't come back yet.
        """
        if self._last is not None and not self._last.done():
            raise HeadGone("Ray still waits for the head, which is no longer running")
        answer: Future[T] = Future()
        self._calls.put(partial(_answer, answer, call, *args, **options))
        if self._thread.ident is None:
            self._thread.start()
        self._last = pending = asyncio.wrap_future(answer)
        return asyncio.shield(pending)

    def close(self) -> None:
        """Make no more calls after those that were asked for."""
        self._calls.put(None)

    def _work(self) -> None:
        while call := self._calls.get():
            call()


LOOK_EVERY = 5.0
"""Seconds between two looks. Ray closes a connection that says nothing after 120."""
_SILENCE = 30.0
"""Seconds without an answer, after which it counts as gone. Busy ones are slow, and what keeps this
machine from asking, such as a name that can't be resolved for a moment, tells nothing of it."""
_ANSWER = 5.0
_REFUSALS = (ConnectionRefusedError, ConnectionResetError)
"""Of a machine that is there, whose head isn't."""


class HeadGone(ConnectionError):
    """Who keeps a cluster together can't be reached."""


class ClusterHead:
    """Where a cluster is joined, until that ends.

    Ray itself waits a minute for a head that is gone, in calls that keep the event loop, and then
    ends the whole process. One that is back at once it even takes for the one before, whose answers
    it goes on waiting for; so the connection of each look is kept until the next one, as the system
    closes it when the head's process ends.

    Args:
        clock: Seconds, from any start.
    Attributes:
        lost: Is done once it was gone: then all that was asked of it is lost.
    """

    def __init__(self, host: str, port: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._host = host
        self._port = port
        self._clock = clock
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard = self._clock()
        self._line: asyncio.Transport | None = None

    def __str__(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def is_lost(self) -> bool:
        """Whether it was gone, so that whatever is there now has to be joined anew."""
        return self.lost.done()

    def leave(self) -> None:
        """Keep no connection to it any more."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def probe(self) -> bool:
        """Whether it can be spoken to now."""
        try:
            line = await self._ask_within(_ANSWER)
        except _REFUSALS:
            self.mark_lost()
            return False
        except (OSError, asyncio.TimeoutError):
            if self._clock() - self._heard > _SILENCE:
                self.mark_lost()
            return False
        self.leave()
        self._line = line
        self._heard = self._clock()
        return True

    async def _ask_within(self, seconds: float) -> asyncio.Transport:
        """As `_ask`, which may take so long.

        Raises:
            OSError: None answers; a refusal, if one of them refuses.
            TimeoutError: None has answered in time.
        """
        # Not `asyncio.wait_for`: before Python 3.12 it ignores that it is cancelled where the
        # answer has just come, and whoever joins a cluster would go on with it for ever.
        connecting = asyncio.ensure_future(self._ask())
        try:
            await asyncio.wait({connecting}, timeout=seconds)
        except asyncio.CancelledError:
            if (
                not connecting.cancel()
                and not connecting.cancelled()
                and not connecting.exception()
            ):
                connecting.result().close()
            raise
        if not connecting.done():
            connecting.cancel()
            raise asyncio.TimeoutError
        return connecting.result()

    async def _ask(self) -> asyncio.Transport:
        """Connect to one of its addresses.

        Raises:
            OSError: None answers; a refusal, if one of them refuses.
        """
        # One by one, as asyncio makes of several refusals an error that is none.
        faults: list[OSError] = []
        kind = socket.SOCK_STREAM
        loop = asyncio.get_running_loop()
        for *_, sockaddr in await loop.getaddrinfo(self._host, self._port, type=kind):
            try:
                transport, _ = await loop.create_connection(
                    lambda: _Line(self.mark_lost), str(sockaddr[0]), self._port
                )
            except OSError as error:
                faults.append(error)
            else:
                return transport
        raise next((each for each in faults if isinstance(each, _REFUSALS)), faults[0])

    def mark_lost(self) -> None:
        """Count it as gone."""
        if not self.lost.done():
            self.lost.set_result(None)


class _Line(asyncio.Protocol):
    """A connection over which nothing is said.

    Args:
        ended: Is called when the other side has ended it.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, error: Exception | None) -> None:
        # Other errors are of this machine's network, and tell nothing of the head.
        if isinstance(error, _REFUSALS):
            self._ended()
