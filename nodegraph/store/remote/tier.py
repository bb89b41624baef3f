"""The shared tier behind a store: asked by key, written behind; and claims among machines."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.errors import NodegraphError
from nodegraph.store.backlog import QueuedEntry
from nodegraph.store.blobs import Blobs, TransferSpeeds
from nodegraph.store.claims import Claims
from nodegraph.store.entries import StoredOutput, leaves
from nodegraph.store.index import Index
from nodegraph.store.remote.leases import Leases
from nodegraph.store.remote.ledger import Ledger
from nodegraph.store.remote.object_storage import ObjectStorage, Reachability, Unreachable
from nodegraph.store.remote.transfers import RemoteFetcher, RemoteSender


class LeasedClaims:
    """As `Claims`, but other machines are kept out, too, of what was asked for at the place.

    Args:
        claims: Those of this machine.
    """

    def __init__(self, claims: Claims, tier: RemoteTier) -> None:
        self._claims = claims
        self._tier = tier

    @property
    def is_shared(self) -> bool:
        """Whether other processes see these claims."""
        return True

    def try_claim(self, name: Key) -> bool:
        """Take a name, unless somebody has it. Asks the place: not for the event loop."""
        if not self._claims.try_claim(name):
            return False
        is_mine = False
        try:
            is_mine = self._tier.lease(name)
        finally:
            if not is_mine:
                self._claims.release(name)
        return is_mine

    def release(self, name: Key) -> None:
        """Give a name back; the lease ends once the result is at the place, if it goes there."""
        self._claims.release(name)
        self._tier.release(name)

    def is_held(self, name: Key) -> bool:
        """Whether anybody has a name, as far as is known here."""
        return self._claims.is_held(name) or self._tier.is_leased(name)


_LOG = logging.getLogger(__name__)
_MOST_ASKED = 100_000
_PATIENCE = 20.0
"""Seconds that the end of a process waits for what is still to go."""


@dataclass(frozen=True, slots=True)
class RemoteInfo:
    """The shared tier, as this machine knows it.

    Attributes:
        reason: Why it can't be reached; empty if it could be when it last was asked.
        files, bytes: That are known to lie there.
        waiting: Results that are still to go there.
    """

    url: str
    reason: str
    files: int
    bytes: int
    waiting: int


class RemoteTier:
    """What the other machines have, and are told. Safe to use from several threads.

    A fault of the place is a miss: nothing fails for it.

    Args:
        index, blobs: The local tier.
        budget: Of the local tier, in bytes.
        owner: Of the claim that this process holds.
        is_alive: Whether the process behind another one's name still runs.
        trim: Brings the local tier back to its budget.
        keep_cheap: What is quicker to compute than to bring goes there, too.
    Raises:
        InvalidFile, OutputError: What is noted beside the index can't be read or written.
    """

    def __init__(
        self,
        storage: ObjectStorage,
        index: Index,
        blobs: Blobs,
        budget: int,
        *,
        owner: str,
        is_alive: Callable[[str], bool],
        trim: Callable[[], object],
        keep_cheap: bool = False,
    ) -> None:
        self.storage = storage
        self.reach = Reachability(storage.url)
        self.speeds = TransferSpeeds(
            write_file=0.05, write_byte=2e-8, read_file=0.03, read_byte=1e-8
        )
        self._keep_cheap = keep_cheap
        self._trim = trim
        self._ledger = Ledger(index.path.parent, storage.url)
        self._fetching = RemoteFetcher(
            storage, self.reach, self._ledger, index, blobs, self.speeds, budget
        )
        self.leases = Leases(storage, self.reach, owner, self.bring)
        self._missed_keys: set[Key] = set()
        self._sending = RemoteSender(
            storage,
            self.reach,
            self._ledger,
            self._fetching,
            index,
            blobs,
            self.speeds,
            owner=owner,
            is_alive=is_alive,
            may_send=self.leases.may_publish,
            ended=self.leases.release,
        )

    def is_worth_asking(self, expected: float) -> bool:
        """Whether asking for a result takes less than computing it.

        Args:
            expected: Seconds that it takes; 0 if unknown.
        """
        return not self.reach.is_unreachable and (
            not expected or expected > self.speeds.round_trip_seconds(1, 0)
        )

    def bring(self, key: Key) -> bool:
        """Bring what a key led to elsewhere into the local index; whether there was anything."""
        if self.reach.is_unreachable:
            return False
        try:
            entry = self._fetching.entry(key)
            if entry is not None:
                self._fetching.save_entry(entry)
        except Unreachable as error:
            self.reach.note_failure(error)
            return False
        except (sqlite3.Error, NodegraphError) as error:
            _LOG.warning("a result of the remote store cannot be stored here: %s", error)
            return False
        if entry is None:
            if len(self._missed_keys) >= _MOST_ASKED:
                self._missed_keys.clear()
            self._missed_keys.add(key)
        return entry is not None

    def lease(self, key: Key) -> bool:
        """Keep other machines from computing a key; False if one of them does.

        Only what was asked for and wasn't there: what isn't worth asking isn't worth a lease. If
        it has come there since, it is here now.
        """
        if self.reach.is_unreachable or key not in self._missed_keys:
            return True
        if not self.leases.acquire(key):
            self.leases.wait_for(key)
            return False
        self.bring(key)
        return True

    def release(self, key: Key) -> None:
        """Let other machines have a key, once its result is at the place if that goes there."""
        self._missed_keys.discard(key)
        try:
            is_on_its_way = self._ledger.is_waiting(key)
        except sqlite3.Error:
            is_on_its_way = False
        if not is_on_its_way:
            self.leases.release(key, False)

    def is_leased(self, key: Key) -> bool:
        """Whether another machine computes a key, as far as was seen."""
        return self.leases.is_awaited(key)

    def has(self, digest: Digest) -> bool:
        """Whether a value's file can be had there, as far as is known."""
        try:
            return self._fetching.has(digest)
        except sqlite3.OperationalError:
            return False

    def fetch(self, digest: Digest) -> bool:
        """Bring a value's file into the local tier; whether it is there now."""
        try:
            return self._fetching.file(digest)
        except (sqlite3.OperationalError, OSError) as error:
            _LOG.warning("a value of the remote store cannot be stored here: %s", error)
            return False

    def is_worth_sending(self, put: QueuedEntry, outputs: Sequence[StoredOutput] | None) -> bool:
        """Whether a result is worth being brought there: others have it sooner than computed."""
        if put.entry.worth is None:
            return False
        large = [leaf.size for leaf in leaves(outputs or ()) if leaf.inline is None]
        limit = self.speeds.round_trip_seconds(1 + len(large), sum(large))
        return self._keep_cheap or put.entry.worth > limit

    def make_room(self) -> None:
        """Bring the local tier back to its budget, if what was fetched made it too large."""
        if not self._fetching.is_full:
            return
        self._fetching.is_full = False
        try:
            self._trim()
        except sqlite3.Error as error:
            _LOG.warning("the store cannot be reduced to its budget: %s", error)

    def send(self, keys: Collection[Key]) -> None:
        """Bring entries there, behind the work; they are committed here."""
        if not keys:
            return
        try:
            self._sending.add(keys)
        except sqlite3.Error as error:
            _LOG.warning("results cannot be queued for the remote store: %s", error)

    def wait_until_sent(self, patience: float = _PATIENCE) -> bool:
        """Wait until all is there, unless the place is away; whether all is."""
        return self._sending.wait_until_sent(patience)

    def info(self) -> RemoteInfo:
        """In numbers; asks the place nothing."""
        files, size = self._ledger.files()
        waiting = self._ledger.waiting()
        return RemoteInfo(self.storage.url, self.reach.reason, files, size, waiting)

    def close(self, patience: float = _PATIENCE) -> None:
        """Bring there what can be brought soon; the rest is for the next process."""
        self._sending.close(patience)
        self.leases.close()
        self._ledger.close()
