"""Cache of results by key: in memory within a budget, and in stores behind it."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Lock
from typing import Any, Literal, Protocol

from nodegraph.core.digests import LEAVES, Digest
from nodegraph.core.keys import Key
from nodegraph.engine.product import Digesters, Product, leaves, matches_digest, origins
from nodegraph.store.entries import (
    UNLOADED,
    CallWarning,
    NewEntry,
    OutputGone,
    StoredOutput,
    UnsavedOutput,
)
from nodegraph.store.entries import Entry as StoredEntry

_OVERHEAD = 1_024
"""Bytes of an entry itself, with its key and digests."""


CHANGED_VALUE = (
    "a value was changed after its node returned it, for example through an array that shares a "
    "tensor's memory. The value was dropped, and nothing computed from it is on disk. The results "
    "of the last run may be wrong. Run it again. `check_mutation=True` names the node that does it."
)
"""Warning about `Cache.changed`."""


@dataclass(frozen=True, slots=True)
class CallOutputs:
    """What a call gave.

    Attributes:
        products: One for each output port.
        seconds: That computing it took.
        warnings: What its node said of it.
    """

    products: tuple[Product, ...]
    seconds: float = 0.0
    warnings: tuple[CallWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class AskedPort:
    """A node with lazy inputs asked for this one next; its digest leads to the next key."""

    port: str


Entry = CallOutputs | AskedPort


@dataclass(slots=True, eq=False)
class _Kept:
    """An entry with what decides when it goes.

    Attributes:
        level: The cache's level at its last use.
        turn: Counts uses; of equal scores the one used longest ago goes first.
        worth: Seconds to compute it again for each byte.
    """

    key: Key
    entry: Entry
    size: int
    level: float
    turn: int
    worth: float = field(init=False)

    def __post_init__(self) -> None:
        seconds = self.entry.seconds if isinstance(self.entry, CallOutputs) else 0.0
        self.worth = seconds / self.size

    @property
    def score(self) -> tuple[float, int]:
        return (self.level + self.worth, self.turn)


class MemoryCache:
    """Keeps what is dearest to compute again for each byte, and what was used last.

    GreedyDual-Size (Cao and Irani 1997): an entry's score is seconds / bytes plus the level at its
    last use; the lowest goes first, and its score becomes the level. Safe to use from any thread.

    Args:
        budget: Bytes that results may take in all; a larger single result isn't kept.
    """

    def __init__(self, budget: int = 1 << 30) -> None:
        self.budget = budget
        self.used = 0
        self._kept: dict[Key, _Kept] = {}
        self._heap: list[tuple[tuple[float, int], _Kept]] = []
        self._turns = count()
        self._level = 0.0
        self._lock = Lock()
        self._changed: dict[Key, None] | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Entry | None:
        """The entry of a key, if it is still there."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        # Its place in the heap is mended when it comes up for eviction.
        kept.level = self._level
        kept.turn = next(self._turns)
        return kept.entry

    def peek(self, key: Key) -> Entry | None:
        """The same, which counts as no use."""
        kept = self._kept.get(key)
        return None if kept is None else kept.entry

    def take_changed_keys(self) -> list[Key]:
        """The keys under which something was put or let go since this was asked last.

        Noted from the first time on that it is asked.
        """
        with self._lock:
            changed_keys, self._changed = self._changed, {}
        return list(changed_keys or ())

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an entry, as far as there is room."""
        size = entry_size(entry)
        with self._lock:
            self._forget(key)
            if size > self.budget:
                return
            kept = self._kept[key] = _Kept(key, entry, size, self._level, next(self._turns))
            if self._changed is not None:
                self._changed.pop(key, None)
                self._changed[key] = None
            heapq.heappush(self._heap, (kept.score, kept))
            self.used += size
            self._make_room()

    def update_size(self, key: Key) -> None:
        """Values of an entry have come into memory since it was put here."""
        kept = self._kept.get(key)
        if kept is not None:
            self.put(key, kept.entry)

    def forget(self, key: Key) -> None:
        """Let go of an entry."""
        with self._lock:
            self._forget(key)

    def forget_if(self, is_unwanted: Callable[[Entry], bool]) -> None:
        """Let go of some entries."""
        with self._lock:
            for key in [key for key, kept in self._kept.items() if is_unwanted(kept.entry)]:
                self._forget(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            if self._changed is not None:
                self._changed.update(dict.fromkeys(self._kept))
            self._kept.clear()
            self._heap.clear()
            self.used = 0

    def _forget(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.used -= kept.size
            if self._changed is not None:
                self._changed[key] = None

    def _make_room(self) -> None:
        while self.used > self.budget:
            score, kept = heapq.heappop(self._heap)
            if self._kept.get(kept.key) is not kept:
                continue
            if kept.score != score:  # used since
                heapq.heappush(self._heap, (kept.score, kept))
                continue
            self._level = score[0]
            self._forget(kept.key)
        if len(self._heap) > 2 * len(self._kept) + 64:
            self._heap = [(kept.score, kept) for kept in self._kept.values()]
            heapq.heapify(self._heap)


def entry_size(entry: Entry) -> int:
    """Bytes that an entry takes in memory, about."""
    if isinstance(entry, AskedPort):
        return _OVERHEAD
    return _OVERHEAD + sum(product.resident_size for product in entry.products)


KeptIn = Literal["memory", "disk", "digest"]
"""Where an entry's values are; ``digest``: nowhere any more, only their digests are known."""


_NOTED = 16
"""Changed values that are remembered until they are told."""


class Pinning(Protocol):
    """What a run needs of a store."""

    def add(self, digest: Digest) -> None:
        """Keep an product until the run ends."""


class Storing(Protocol):
    """What the cache needs of a store."""

    def entry(self, key: Key) -> StoredEntry | None:
        """What a key led to."""

    def has(self, output: StoredOutput) -> bool:
        """Whether an output's value can be loaded."""

    def load(self, output: StoredOutput) -> Any:
        """An output's value; raises `OutputGone`."""

    def is_worth_asking(self, expected: float) -> bool:
        """Whether `bring` may find what takes so many seconds to compute, and is quicker."""

    def bring(self, key: Key) -> bool:
        """Ask other machines for what a key led to there; takes its time."""

    def put(self, key: Key, entry: NewEntry, committed: Callable[[], None] | None = None) -> None:
        """Keep an entry; `committed` is called once others can see it."""

    def pinned(self) -> AbstractContextManager[Pinning]:
        """A run's pins."""


class Cache:
    """Results by key.

    Attributes:
        changed: The latest values that somebody had changed behind the engine's back.

    Args:
        memory: The tier that is asked first; None keeps nothing at all.
        store: The tier behind it.
        others: More stores, which are only read.
        prepare: Called before a value of a node type is read from a store, so that the pack whose
            port types it may be of is there.
    """

    def __init__(
        self,
        memory: MemoryCache | None = None,
        store: Storing | None = None,
        others: Sequence[Storing] = (),
        prepare: Callable[[str], object] | None = None,
    ) -> None:
        self.memory = memory if memory is not None else MemoryCache(0)
        self.store = store
        self._prepare = prepare
        self.gone: set[Digest] = set()
        self.changed: deque[Digest] = deque(maxlen=_NOTED)
        self._stores = ([store] if store is not None else []) + list(others)

    def get(self, key: Key) -> Entry | None:
        """The entry of a key, from whatever tier; its values are loaded when they are used."""
        entry = self.memory.get(key)
        if entry is None and self._stores:
            entry = self._from_stores(key)
            if entry is not None:
                self.memory.put(key, entry)
        return entry

    def is_worth_asking(self, expected: float) -> bool:
        """Whether `find_remote` may know more than `get`, in less time than computing takes.

        Args:
            expected: Seconds that it takes; 0 if unknown.
        """
        return self.store is not None and self.store.is_worth_asking(expected)

    def find_remote(self, key: Key) -> Entry | None:
        """As `get`, but other machines are asked, too. Takes its time: not for the event loop."""
        entry = self.get(key)
        if entry is not None and get_tier(entry) != "digest":
            return entry
        if self.store is None or not self.store.bring(key):
            return entry
        return self.get(key)

    def keep(self, key: Key, entry: Entry) -> None:
        """Keep an entry in memory."""
        if isinstance(entry, CallOutputs):
            for at, product in enumerate(leaves(entry.products)):
                product.set_loader(_CacheLoader(self, key, at))
                self.gone.discard(product.digest)
        self.memory.put(key, entry)

    @contextmanager
    def pinning(self) -> Iterator[Callable[[Iterable[Product]], None]]:
        """Inside the `with`, products given to the function aren't evicted from the store."""
        if self.store is None:
            yield lambda products: None
            return
        with self.store.pinned() as pins:
            yield partial(_pin, pins)

    def drop_changed(self, products: Iterable[Product]) -> None:
        """Let go of values that somebody has changed; from any thread."""
        changed_products = list(products)
        for product in changed_products:
            product.invalidate()
        if changed_products:
            # Others may hold the same objects, alone or in lists and records.
            self.memory.clear()

    def report_changed(self, products: Iterable[Product]) -> None:
        """Let go of values that were changed since they were given, and note it; from any thread.

        What was computed from them meanwhile goes, too.
        """
        changed_products = list(products)
        for product in leaves(changed_products):
            self.changed.append(product.digest)
        self.drop_changed(changed_products)

    def loaded(self, products: Iterable[Product]) -> None:
        """Count what came into memory from a store."""
        for origin in origins(products):
            if isinstance(origin.loader, _FromStore):
                self.memory.update_size(origin.loader.key)

    def _from_stores(self, key: Key) -> Entry | None:
        best: Entry | None = None
        for store in self._stores:
            stored = store.entry(key)
            if stored is None:
                continue
            entry = self._entry(store, key, stored)
            if len(self._stores) == 1 or get_tier(entry) != "digest":
                return entry
            # Another store may have the values as well.
            best = best or entry
        return best

    def _entry(self, store: Storing, key: Key, stored: StoredEntry) -> Entry:
        if stored.outputs is None:
            return AskedPort(stored.requested_input or "")
        prepare = partial(self._prepare, stored.node_type) if self._prepare else None
        load = partial(_FromStore, store, key, prepare, self.gone)
        products = tuple(_product(load, out) for out in stored.outputs)
        return CallOutputs(products, stored.seconds, stored.warnings)


class NoCache(Cache):
    """Keeps nothing."""

    def get(self, key: Key) -> Entry | None:
        return None

    def keep(self, key: Key, entry: Entry) -> None:
        pass


def is_in_memory(entry: Entry) -> bool:
    """Whether all of an entry's values are in memory; asks no store."""
    return isinstance(entry, AskedPort) or all(product.is_loaded for product in entry.products)


def get_tier(entry: Entry) -> KeptIn:
    """Where an entry's values are."""
    if isinstance(entry, AskedPort) or is_in_memory(entry):
        return "memory"
    return "disk" if all(product.is_there for product in entry.products) else "digest"


def _pin(pins: Pinning, products: Iterable[Product]) -> None:
    for origin in origins(products):
        if isinstance(origin.loader, _FromStore) and origin.loader.inline is None:
            pins.add(origin.digest)


def unsaved(product: Product, digesters: Digesters) -> UnsavedOutput:
    """A product as a store takes it."""
    digest, size = product.digest, product.size
    if product.items is not None:
        items = tuple([unsaved(item, digesters) for item in product.items])
        return UnsavedOutput(digest, size, UNLOADED, items)
    if product.base is None and product.is_loaded:
        value = product.value
        if type(value) in LEAVES:  # nobody can change it
            return UnsavedOutput(digest, size, value)
        return UnsavedOutput(
            digest, size, value, None, None, partial(matches_digest, value, digest, digesters)
        )
    loader = product.loader
    inline = loader.inline if isinstance(loader, _FromStore) else None
    return UnsavedOutput(
        digest, size, product.value if product.is_loaded else UNLOADED, None, inline
    )


def _product(load: Callable[[StoredOutput], _FromStore], stored: StoredOutput) -> Product:
    if stored.items is not None:
        items = tuple(_product(load, item) for item in stored.items)
        return Product(UNLOADED, stored.digest, stored.size, items)
    return Product(UNLOADED, stored.digest, stored.size, None, load(stored))


class _FromStore:
    """Loads an output of a stored entry."""

    __slots__ = ("_gone", "_prepare", "_store", "_stored", "key")

    def __init__(
        self,
        store: Storing,
        key: Key,
        prepare: Callable[[], object] | None,
        gone: set[Digest],
        stored: StoredOutput,
    ) -> None:
        self.key = key
        self._gone = gone
        self._prepare = prepare
        self._store = store
        self._stored = stored

    def __call__(self) -> Any:
        if self._prepare is not None:
            self._prepare()
        try:
            return self._store.load(self._stored)
        except OutputGone:
            if self._store.has(self._stored):
                # Whatever the index says, this one isn't to be had: its node runs again.
                self._gone.add(self._stored.digest)
            raise

    @property
    def inline(self) -> bytes | None:
        """The encoded value, if it is so small that the store's index holds it."""
        return self._stored.inline

    def is_there(self) -> bool:
        return self._stored.digest not in self._gone and self._store.has(self._stored)


class _CacheLoader:
    """Finds an output by the key that it was kept under, once it has left the run's memory."""

    __slots__ = ("_at", "_cache", "_key")

    def __init__(self, cache: Cache, key: Key, at: int) -> None:
        self._cache = cache
        self._key = key
        self._at = at

    def __call__(self) -> Any:
        product = self._cached_product()
        if product is None:
            raise OutputGone("it is no longer in a cache")
        return product.value

    def is_there(self) -> bool:
        product = self._cached_product()
        return product is not None and product.is_there

    def _cached_product(self) -> Product | None:
        entry = self._cache.get(self._key)
        if not isinstance(entry, CallOutputs):
            return None
        product = next(leaf for at, leaf in enumerate(leaves(entry.products)) if at == self._at)
        # One that would itself ask here is no answer.
        return (
            product if product.is_loaded or not isinstance(product.loader, _CacheLoader) else None
        )
