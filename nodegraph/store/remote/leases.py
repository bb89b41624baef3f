"""Who computes what, among machines that share a place: leases, with tokens that only rise.

A lease of a key is an object, named by the key and a token; the highest token counts. Taking a
lease is creating the object after it, which the place grants to one. The holder writes its object
anew now and then. One that didn't change for some seconds, by the clock of whoever looks, is over:
no two machines' clocks are compared. A holder that was late sees the higher token, or the entry.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Lock, Thread
from time import monotonic

from nodegraph.core.keys import Key
from nodegraph.store.remote.object_storage import (
    AccessDenied,
    ObjectStorage,
    Reachability,
    Unreachable,
)
from nodegraph.store.remote.objects import LEASES

_LOG = logging.getLogger(__name__)
_FREE = b"free"
"""What a lease says that was given back."""
_LOOK = 0.5
"""Seconds between two looks at what others work on."""


@dataclass(frozen=True, slots=True)
class _ObservedLease:
    """A lease as it was seen, and since when it has been so."""

    token: int
    content: bytes
    since: float


class Leases:
    """The leases of one process. Safe to use from several threads.

    Where the place can't be asked, everything may be computed here: at worst it is done twice.

    Args:
        owner: A name that no other process has.
        is_there: Whether a key's entry is at the place; brings it.
        clock: Seconds, from any moment on.
    Attributes:
        seconds: After which a lease is over that its holder didn't renew.
    """

    def __init__(
        self,
        storage: ObjectStorage,
        reach: Reachability,
        owner: str,
        is_there: Callable[[Key], bool],
        *,
        seconds: float = 15.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.seconds = seconds
        self._storage = storage
        self._reach = reach
        self._owner = owner
        self._is_there = is_there
        self._clock = clock
        self._changed = Condition(Lock())
        self._held: dict[Key, int] = {}
        self._lost: set[Key] = set()
        self._observed: dict[Key, _ObservedLease] = {}
        self._awaited: set[Key] = set()
        self._ending: list[tuple[Key, bool]] = []
        self._is_exclusive: bool | None = None
        self._beats = 0
        self._is_open = True
        self._thread: Thread | None = None

    def acquire(self, key: Key) -> bool:
        """Take a key's lease; False if another machine has it."""
        try:
            return not self._has_exclusive_create() or self._taken(key)
        except AccessDenied:
            return True  # it may only be read
        except Unreachable as error:
            self._reach.note_failure(error)
            return True

    def _taken(self, key: Key) -> bool:
        token = 1
        if not self._created(key, token):
            latest = self._latest(key)
            if latest is not None and not self._is_over(key, *latest):
                return False
            token = 1 if latest is None else latest[0] + 1
            if not self._created(key, token):
                return False
        with self._changed:
            self._held[key] = token
            self._observed.pop(key, None)
            self._lost.discard(key)
        self._wake()
        return True

    def _created(self, key: Key, token: int) -> bool:
        return self._storage.create(_name(key, token), self._content())

    def _content(self) -> bytes:
        self._beats += 1
        return f"{self._owner} {self._beats}".encode()

    def _latest(self, key: Key) -> tuple[int, bytes] | None:
        tokens = [int(name.rpartition("/")[2]) for name, _ in self._storage.list(f"{LEASES}/{key}")]
        if not tokens:
            return None
        token = max(tokens)
        try:
            return token, self._storage.read(_name(key, token))
        except FileNotFoundError:
            return None

    def _is_over(self, key: Key, token: int, content: bytes) -> bool:
        """Whether a lease was given back, or its holder has been silent for too long."""
        if content == _FREE:
            return True
        now = self._clock()
        with self._changed:
            observed = self._observed.get(key)
            if observed is not None and (observed.token, observed.content) == (token, content):
                return now - observed.since >= self.seconds
            self._observed[key] = _ObservedLease(token, content, now)
        return False

    def _has_exclusive_create(self) -> bool:
        """Whether the place lets one of several create an object: not every one knows how."""
        if self._is_exclusive is None:
            name = f"{LEASES}/trial-{os.urandom(16).hex()}/1"
            self._is_exclusive = self._storage.create(name, b"") and not self._storage.create(
                name, b""
            )
            self._storage.remove(name)
            if not self._is_exclusive:
                _LOG.warning(
                    "the remote store %s lets several machines create the same object, so "
                    "machines may compute the same result at the same time",
                    self._storage.url,
                )
        return self._is_exclusive

    def may_publish(self, key: Key) -> bool:
        """Whether a result may go to the place: nobody has taken over the lease that it had here.

        Raises:
            Unreachable: It can't be told now.
        """
        with self._changed:
            if key in self._lost:
                return False
            token = self._held.get(key)
        return token is None or self._storage.size(_name(key, token + 1)) is None

    def release(self, key: Key, is_there: bool) -> None:
        """Give a lease back, soon; nothing happens if there is none here.

        Args:
            is_there: Whether the entry is at the place now; else the next one takes over.
        """
        with self._changed:
            self._lost.discard(key)
            if key not in self._held:
                return
            self._ending.append((key, is_there))
            self._changed.notify_all()

    def wait_for(self, key: Key) -> None:
        """Look what becomes of another machine's lease, until `is_awaited` says no more."""
        with self._changed:
            self._awaited.add(key)
        self._wake()

    def is_awaited(self, key: Key) -> bool:
        """Whether another machine still works on a key, as far as was seen."""
        return key in self._awaited

    def close(self) -> None:
        """Give everything back."""
        with self._changed:
            self._is_open = False
            self._ending += [(key, False) for key in self._held]
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    # The thread that renews, gives back, and looks.

    def _wake(self) -> None:
        with self._changed:
            if self._thread is None and self._is_open:
                self._thread = Thread(target=self._work, name="nodegraph-leases", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _work(self) -> None:
        renewed = self._clock()
        while self._pause():
            try:
                self._end_some()
                if self._clock() - renewed >= self.seconds / 3:
                    renewed = self._clock()
                    self._renew()
                self._look()
            except AccessDenied:
                self._forget_awaited()
            except Unreachable as error:
                self._reach.note_failure(error)
                self._forget_awaited()

    def _pause(self) -> bool:
        """Wait until there is something to do; False at the end."""
        with self._changed:
            if self._is_open and not self._ending:
                busy = min(_LOOK, self.seconds / 5) if self._awaited else self.seconds / 5
                self._changed.wait(busy if self._held or self._awaited else None)
            return self._is_open or bool(self._ending and not self._reach.is_unreachable)

    def _end_some(self) -> None:
        while True:
            with self._changed:
                if not self._ending:
                    return
                key, is_there = self._ending.pop(0)
                token = self._held.pop(key, None)
            if token is not None:
                self._end(key, token, is_there)

    def _end(self, key: Key, token: int, is_there: bool) -> None:
        if not is_there:
            # The object stays, so that tokens go on rising.
            self._storage.write(_name(key, token), _FREE)
            return
        names = [name for name, _ in self._storage.list(f"{LEASES}/{key}")]
        for name in sorted(names):
            if int(name.rpartition("/")[2]) <= token:
                self._storage.remove(name)

    def _renew(self) -> None:
        with self._changed:
            held = list(self._held.items())
        for key, token in held:
            if self._storage.size(_name(key, token + 1)) is None:
                self._storage.write(_name(key, token), self._content())
                continue
            with self._changed:
                self._held.pop(key, None)
                self._lost.add(key)
            _LOG.warning("another machine has taken over the result %s", key)

    def _look(self) -> None:
        with self._changed:
            awaited = list(self._awaited)
        for key in awaited:
            latest = None if self._is_there(key) else self._latest(key)
            if latest is None or self._is_over(key, *latest):
                with self._changed:
                    self._awaited.discard(key)

    def _forget_awaited(self) -> None:
        with self._changed:
            self._awaited.clear()


def _name(key: Key, token: int) -> str:
    return f"{LEASES}/{key}/{token:08d}"
