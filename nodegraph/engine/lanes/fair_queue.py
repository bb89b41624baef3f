"""Fair queue of a lane: priority classes, deficit round-robin between clients.

A plain data structure without threads or clocks; `nodegraph.engine.lanes` asks it. Choosing what
goes next, and adding to it, take time that grows with the logarithm of what waits.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import Any, Generic, TypeVar

from nodegraph.errors import InvalidValue

Item = TypeVar("Item")
Priority = tuple[float, ...]
"""Smaller goes first."""

CLASSES = 3
QUANTUM = 0.1
"""Seconds of a lane that a client may use in a row while others of its class wait."""
PATIENCE = 32
"""How often what waits lets others pass before it counts as more urgent."""
_LEAST = 1e-4
"""Seconds charged at least: handing work over takes about as long, and nothing may be free."""


@dataclass(frozen=True, slots=True)
class Share:
    """Whose work it is.

    Args:
        client: Clients of a class get equal time.
        urgency: Class of priority: 0 high, 1 normal, 2 in the background.
    Raises:
        InvalidValue: There is no such class.
    """

    client: str = ""
    urgency: int = 1

    def __post_init__(self) -> None:
        if self.urgency not in range(CLASSES):
            raise InvalidValue(
                "there is no such priority class",
                given=repr(self.urgency),
                expected="0 (high), 1 (normal) or 2 (in the background)",
            )


@dataclass(eq=False, slots=True)
class QueueEntry(Generic[Item]):
    """Something that waits for its turn, or has had it and isn't charged yet.

    Attributes:
        is_returning: Whether it goes before what is new in its class.
        count: Place in the order of arrival.
        level: The class that it counts as, with its age.
        client: Where it waits, or was started; None while it is held.
        charged: Seconds that its client has been charged so far.
    """

    item: Item
    owner: object
    priority: Priority
    share: Share
    expected: float
    is_returning: bool
    count: int
    level: int
    client: _Client[Item] | None = None
    charged: float = 0.0


Slot = list[Any]
"""Place in a heap: what orders it, then the entry, or None once that has left."""

Ranked = tuple[int, int, "_Client[Item]"]


@dataclass(eq=False, slots=True)
class _Client(Generic[Item]):
    """One client's work in one class.

    Attributes:
        used: Seconds charged; how many quanta they are is the round in which it may go on.
        floor: What `used` was when it last began to wait: what comes back to it stops there.
        ready: What waits in order of priority, a heap; what doesn't any more left None there.
        oldest: What waits, in order of arrival.
        overtaken: Starts of other owners in a row since the oldest entry is the oldest.
        turn: Its place among the clients, if it has one.
        open: What was started and isn't charged yet, or waits to come back.
        added: How often something came to wait.
    """

    name: str
    used: float = 0.0
    floor: float = 0.0
    ready: list[Slot] = field(default_factory=list)
    oldest: OrderedDict[QueueEntry[Item], Slot] = field(default_factory=OrderedDict)
    overtaken: int = 0
    turn: Ranked[Item] | None = None
    open: int = 0
    added: int = 0

    def next(self, patience: int) -> QueueEntry[Item]:
        """What goes next: the most urgent, unless another owner's has waited for too long."""
        oldest = next(iter(self.oldest))
        entry = self.peek(patience)
        if self.overtaken < patience:
            self.overtaken = 0 if entry.owner is oldest.owner else self.overtaken + 1
        return entry

    def peek(self, patience: int) -> QueueEntry[Item]:
        """What `next` would give; it doesn't count as passed over."""
        if self.overtaken >= patience:
            return next(iter(self.oldest))
        while (entry := self.ready[0][-1]) is None:
            heappop(self.ready)
        assert isinstance(entry, QueueEntry)
        return entry

    def add(self, entry: QueueEntry[Item]) -> None:
        """It waits here."""
        self.added += 1
        slot = self.oldest[entry] = [entry.priority, entry.count, self.added, entry]
        heappush(self.ready, slot)

    def drop(self, entry: QueueEntry[Item]) -> None:
        """It waits here no more."""
        if next(iter(self.oldest)) is entry:
            self.overtaken = 0
        self.oldest.pop(entry)[-1] = None
        if not self.oldest:
            self.ready.clear()
        elif len(self.ready) > 2 * len(self.oldest) + 16:
            self.ready = list(self.oldest.values())
            heapify(self.ready)


class _Class(Generic[Item]):
    """What waits in one class of priority.

    Clients take turns in rounds (deficit round-robin): in each a client may use one quantum, and
    what its last piece of work took beyond that it goes without in later rounds. As nobody knows
    beforehand how long work takes, it is charged afterwards. Rounds in which nobody may go on are
    skipped at once.
    """

    def __init__(self, quantum: float, patience: int) -> None:
        self.waiting: OrderedDict[QueueEntry[Item], None] = OrderedDict()
        self._quantum = quantum
        self._patience = patience
        self._passed = 0
        self._running = 0
        self._back: OrderedDict[QueueEntry[Item], None] = OrderedDict()
        self._clients: dict[str, _Client[Item]] = {}
        self._turns: list[Ranked[Item]] = []
        self._count = count()
        self._round = 0
        self._sweep_at = 64

    def add(self, entry: QueueEntry[Item]) -> None:
        """It waits here."""
        name = entry.share.client
        if not self.waiting and not self._running and self._clients.keys() != {name}:
            # Nobody is there to be wronged: who used what before is forgotten.
            self._clients.clear()
            self._turns.clear()
        self.waiting[entry] = None
        client = entry.client = self._client(name)
        if entry.is_returning:
            self._back[entry] = None
            client.open += 1
            return
        if not client.oldest:
            # Nobody saves up what it didn't use while it had nothing to do.
            client.used = client.floor = max(client.used, self._round * self._quantum)
        client.add(entry)
        if client.turn is None:
            self._line_up(client)

    def drop(self, entry: QueueEntry[Item]) -> None:
        """It waits here no more."""
        client = entry.client
        assert client is not None
        if next(iter(self.waiting)) is entry:
            self._passed = 0
        del self.waiting[entry]
        if entry.is_returning:
            del self._back[entry]
            client.open -= 1
        else:
            # Its client's turn, if it has nothing left to do with it, goes when it comes up.
            client.drop(entry)

    def take(self) -> QueueEntry[Item]:
        """Start what goes next; something must wait."""
        entry = next(iter(self._back)) if self._back else self._next()
        client = entry.client
        assert client is not None
        self.drop(entry)
        self._running += 1
        client.open += 1
        entry.charged = entry.expected
        client.used += entry.charged
        return entry

    def peek(self) -> QueueEntry[Item]:
        """What `take` would start."""
        if self._back:
            return next(iter(self._back))
        return self._upcoming()[2].peek(self._patience)

    def let_pass(self) -> QueueEntry[Item] | None:
        """Something more urgent was started; the entry that has seen enough of that, taken out."""
        self._passed += 1
        if self._passed < self._patience:
            return None
        oldest = next(iter(self.waiting))
        self.drop(oldest)
        return oldest

    def _next(self) -> QueueEntry[Item]:
        due, _, client = self._upcoming()
        self._round = max(self._round, due)
        return client.next(self._patience)

    def _upcoming(self) -> Ranked[Item]:
        """The turn of the client that goes next."""
        while True:
            turn = self._turns[0]
            client = turn[2]
            if client.turn is not turn:
                heappop(self._turns)
            elif not client.oldest:
                heappop(self._turns)
                client.turn = None
                self._forget(client)
            elif (due := self._due(client)) > turn[0]:
                client.turn = (due, next(self._count), client)
                heapreplace(self._turns, client.turn)
            else:
                return turn

    def charge(self, entry: QueueEntry[Item], seconds: float) -> None:
        """What a started entry really took, instead of what was expected."""
        client = entry.client
        assert client is not None
        more = max(seconds, _LEAST) - entry.charged
        client.used = max(client.floor, client.used + more)
        self._running -= 1
        client.open -= 1
        if client.turn is None:
            self._forget(client)
        elif self._due(client) < client.turn[0]:
            self._line_up(client)

    def _due(self, client: _Client[Item]) -> int:
        """The round in which a client may go on."""
        return int(client.used / self._quantum)

    def _line_up(self, client: _Client[Item]) -> None:
        client.turn = (self._due(client), next(self._count), client)
        heappush(self._turns, client.turn)

    def _client(self, name: str) -> _Client[Item]:
        client = self._clients.get(name)
        if client is None:
            if len(self._clients) >= self._sweep_at:
                for known in tuple(self._clients.values()):
                    self._forget(known)
                self._sweep_at = 2 * len(self._clients) + 64
            client = self._clients[name] = _Client(name)
        return client

    def _forget(self, client: _Client[Item]) -> None:
        """Let go of a client that has nothing here and owes nothing."""
        is_idle = not client.oldest and not client.open and client.turn is None
        if is_idle and self._due(client) <= self._round:
            self._clients.pop(client.name, None)


class FairQueue(Generic[Item]):
    """What waits for a lane's places, and the order in which it gets them.

    - Between classes of urgency: the more urgent one first. The oldest entry of a class that has
      let `patience` more urgent ones pass counts as one class more urgent; then the next oldest
      begins to count, so that a long queue in the background doesn't flood what is urgent.
    - Between clients of a class: equal time, by deficit round-robin in seconds.
    - Within a client: by priority, then first-come. If the oldest entry has let `patience` entries
      of other owners pass, none of its own owner's among them, it goes first.

    Each entry that was started is to be charged once.

    Args:
        quantum: Seconds that a client may use in a row.
        patience: How many starts an entry lets pass.
    """

    def __init__(self, quantum: float = QUANTUM, patience: int = PATIENCE) -> None:
        self._count = count()
        self._owned: dict[object, dict[QueueEntry[Item], None]] = {}
        self._held: set[object] = set()
        self._waiting = 0
        self._classes = [_Class[Item](quantum, patience) for _ in range(CLASSES)]

    def __len__(self) -> int:
        """How many wait for their turn; those held don't."""
        return self._waiting

    def push(
        self,
        item: Item,
        owner: object,
        priority: Priority,
        share: Share,
        expected: float = 0.0,
        *,
        is_returning: bool = False,
    ) -> QueueEntry[Item]:
        """Let something wait for its turn.

        Args:
            owner: Whose it is, for `withdraw` and `hold`.
            expected: Seconds that it may take.
            is_returning: Put it before what is new in its class; `priority` doesn't count then.
        """
        entry = QueueEntry(
            item, owner, priority, share, expected, is_returning, next(self._count), share.urgency
        )
        self._owned.setdefault(owner, {})[entry] = None
        if owner not in self._held:
            self._add(entry)
        return entry

    def _add(self, entry: QueueEntry[Item]) -> None:
        entry.level = entry.share.urgency
        self._classes[entry.level].add(entry)
        self._waiting += 1

    def _drop(self, entry: QueueEntry[Item]) -> None:
        if entry.client is not None:
            self._classes[entry.level].drop(entry)
            entry.client = None
            self._waiting -= 1

    def pop(self) -> QueueEntry[Item] | None:
        """Start what goes next; None if nothing may."""
        if not self._waiting:
            return None
        level = 0
        while not self._classes[level].waiting:
            level += 1
        entry = self._classes[level].take()
        self._waiting -= 1
        self._disown(entry)
        if self._waiting:
            self._let_pass(level)
        return entry

    def peek(self) -> QueueEntry[Item] | None:
        """What `pop` would start; nothing changes."""
        waiting = (level for level in self._classes if level.waiting)
        first = next(waiting, None)
        return None if first is None else first.peek()

    def _let_pass(self, level: int) -> None:
        """Something of a level was started; who has seen enough of that moves up."""
        for lower in range(level + 1, CLASSES):
            if self._classes[lower].waiting:
                risen = self._classes[lower].let_pass()
                if risen is not None:
                    risen.level = lower - 1
                    self._classes[risen.level].add(risen)

    def _disown(self, entry: QueueEntry[Item]) -> None:
        owned = self._owned[entry.owner]
        del owned[entry]
        if not owned:
            del self._owned[entry.owner]

    def charge(self, entry: QueueEntry[Item], seconds: float) -> None:
        """Charge a started entry's client with what it took."""
        self._classes[entry.level].charge(entry, seconds)

    def withdraw(self, owner: object) -> list[QueueEntry[Item]]:
        """Take out all that an owner has waiting, held or not, in order of arrival."""
        entries = list(self._owned.pop(owner, ()))
        for entry in entries:
            self._drop(entry)
        return entries

    def hold(self, owner: object) -> None:
        """Start nothing of an owner's until it is released; its entries keep their order."""
        if owner not in self._held:
            self._held.add(owner)
            for entry in self._owned.get(owner, ()):
                self._drop(entry)

    def release(self, owner: object) -> None:
        """Let an owner's entries wait for their turn again; they age anew."""
        if owner in self._held:
            self._held.remove(owner)
            for entry in self._owned.get(owner, ()):
                self._add(entry)

    def clear(self) -> list[QueueEntry[Item]]:
        """Take out everything, held or not, and forget who is held."""
        self._held.clear()
        return [entry for owner in tuple(self._owned) for entry in self.withdraw(owner)]
