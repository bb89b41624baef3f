"""Work in a few threads, begun in turns: whoever brings much of it delays nobody else."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class FairTask(Generic[T]):
    """Some work that waits for its turn, or has had it.

    Attributes:
        future: What comes of it.
        clients: Who waits for it.
        is_begun: Whether it has had its turn.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self.future: Future[T] = Future()
        self.clients: set[str] = set()
        self.is_begun = False
        self._work = work

    def run(self) -> None:
        """Do it, unless nobody waits for it any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - as executors do: whoever waits is told
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class FairThreadPool:
    """Threads that clients have in turns; safe to use from several threads.

    Of the clients with work that waits, the one goes first that had its last turn longest ago. As
    none has all the threads, one is free for whoever comes while another's work takes long.

    Args:
        threads: Threads.
        most: Of these, that one client has at a time.
        name: What the threads' names begin with.
    """

    def __init__(self, threads: int, most: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._most = most
        self._waiting: OrderedDict[str, deque[FairTask[object]]] = OrderedDict()
        self._busy: Counter[str] = Counter()
        self._lock = Lock()
        self._is_closed = False

    def submit(self, client: str, work: Callable[[], T]) -> FairTask[T]:
        """Have some work done for a client."""
        turn = FairTask(work)
        self.join(client, turn)
        return turn

    def join(self, client: str, turn: FairTask[T]) -> None:
        """Have a client wait, too, for what may wait for another's turn: the sooner one counts."""
        with self._lock:
            if self._is_closed:
                turn.future.cancel()
            elif not turn.is_begun and client not in turn.clients:
                turn.clients.add(client)
                self._waiting.setdefault(client, deque()).append(turn)  # type: ignore[arg-type]
                self._begin()

    def close(self) -> None:
        """Wait for what is under way; what isn't begun is cancelled."""
        with self._lock:
            self._is_closed = True
            waiting = [turn for turns in self._waiting.values() for turn in turns]
            self._waiting.clear()
        for turn in waiting:
            turn.future.cancel()
        self._pool.shutdown()

    def _begin(self) -> None:
        while self._free and (entry := self._next()) is not None:
            client, turn = entry
            turn.is_begun = True
            self._free -= 1
            self._busy[client] += 1
            self._pool.submit(self._do, client, turn)

    def _next(self) -> tuple[str, FairTask[object]] | None:
        for client, turns in tuple(self._waiting.items()):
            while turns and turns[0].is_begun:
                turns.popleft()
            if turns and self._busy[client] < self._most:
                turn = turns.popleft()
                self._waiting.move_to_end(client)
                if not turns:
                    del self._waiting[client]
                return client, turn
            if not turns:
                del self._waiting[client]
        return None

    def _do(self, client: str, turn: FairTask[object]) -> None:
        try:
            turn.run()
        finally:
            with self._lock:
                self._free += 1
                self._busy[client] -= 1
                if not self._busy[client]:
                    del self._busy[client]
                if not self._is_closed:
                    self._begin()
