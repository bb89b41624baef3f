"""Calls that may never return, as whom they ask is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from nodegraph.jobs.cluster.head import ClusterHead, HeadGone

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
        raise HeadGone("the head of its cluster is gone")
    head.mark_lost()
    raise HeadGone(f"the head of its cluster, {head}, hasn't answered for {seconds:g} s")


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
            raise HeadGone("Ray still waits for the head that is gone")
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
