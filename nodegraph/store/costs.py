"""Costs of calls: measured times, and expected times by the amount of work."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

from nodegraph.store.index import Index

_LOG = logging.getLogger(__name__)

_WEIGHT = 0.2
"""The least that a new call counts: a first one that was slow is soon forgotten."""
_LOWER = 0.4
"""The same of one that was quicker: a busy machine makes things slower, never faster."""
_MOST_PENDING = 32
"""Calls of a kind between two flushes; with more, the earliest have hardly any weight left."""
_MOST_ROWS = 20_000
"""Kinds of calls; beyond, those go that were seen least."""

_ALL = ""
"""The shape that stands for all shapes together."""

_Kind = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls of a kind take.

    Attributes:
        seconds: Running mean, in which late calls count more than early ones.
        memory: Highest peak in bytes; None if none was measured.
        count: How many calls it is from.
        exact: Whether they were of this very shape, not of all shapes together.
        kind: What else decides the time, where the amount of work is left aside.
        amount: How much work each of them was; None if unknown.
    """

    seconds: float
    memory: int | None
    count: int
    exact: bool
    kind: str = ""
    amount: float | None = None

    def with_call(self, seconds: float, memory: int | None) -> Cost:
        """With one more call."""
        count = self.count + 1
        weight = max(1 / count, _LOWER if seconds < self.seconds else _WEIGHT)
        mean = self.seconds + weight * (seconds - self.seconds)
        highest = _higher(self.memory, memory)
        # Not `replace`, which takes several times as long: it is for each call of each node.
        return Cost(mean, highest, count, self.exact, self.kind, self.amount)


@dataclass(slots=True)
class _Pending:
    """Calls that aren't in the index yet."""

    kind: str = ""
    amount: float | None = None
    count: int = 0
    seconds: list[float] = field(default_factory=list)
    memory: int | None = None

    def add(self, seconds: float, memory: int | None) -> None:
        self.count += 1
        self.memory = _higher(self.memory, memory)
        self.seconds.append(seconds)
        if len(self.seconds) > _MOST_PENDING:
            del self.seconds[0]

    def join(self, later: _Pending) -> _Pending:
        """These calls, and later ones."""
        seconds = [*self.seconds, *later.seconds][-_MOST_PENDING:]
        memory = _higher(self.memory, later.memory)
        return _Pending(later.kind, later.amount, self.count + later.count, seconds, memory)

    def apply_to(self, cost: Cost) -> Cost:
        left_out = self.count - len(self.seconds)
        mean = self.seconds[0] if left_out and not cost.count else cost.seconds
        count = cost.count + left_out
        cost = replace(cost, seconds=mean, count=count, kind=self.kind, amount=self.amount)
        for seconds in self.seconds:
            cost = cost.with_call(seconds, self.memory)
        return cost


class Costs:
    """What calls took, by node type, shape of the work and device.

    The index is read once, at the first use and after each `flush`. Safe to use from several
    threads; several processes add up what they record.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._known: dict[_Kind, Cost] | None = None
        self._shapes: dict[tuple[str, str], dict[str, None]] = {}
        self._pending: dict[_Kind, _Pending] = {}
        self._lock = Lock()
        self._flushing = Lock()

    def expected(self, node_type: str, shape: str, device: str) -> Cost | None:
        """What a call is likely to take, from those of this shape, else from those of any."""
        known = self._known
        if known is None:
            with self._lock:
                known = self._loaded()
        cost = known.get((node_type, shape, device))
        return known.get((node_type, _ALL, device)) if cost is None else cost

    def costs_by_shape(self, node_type: str, device: str) -> list[Cost]:
        """What calls of a node type took whose amount of work is known, a cost for each shape."""
        with self._lock:
            known = self._loaded()
            shapes = self._shapes.get((node_type, device), {})
            costs = [known[node_type, shape, device] for shape in shapes]
        return [cost for cost in costs if cost.amount is not None]

    def record(
        self,
        node_type: str,
        shape: str,
        device: str,
        seconds: float,
        memory: int | None = None,
        *,
        kind: str = "",
        amount: float | None = None,
    ) -> None:
        """Take note of a call; it counts at once and is written at the next `flush`.

        Args:
            shape: What the time depends on, as text; empty if it depends on nothing.
            seconds: Ignored where they aren't finite: no mean could be formed with them.
            memory: Peak in bytes, if measured.
            kind, amount: See `Cost`; those of a shape are always the same.
        """
        if not math.isfinite(seconds):
            return
        with self._lock:
            known = self._loaded()
            for each in {shape, _ALL}:
                row = (node_type, each, device)
                before = known.get(row)
                pending = self._pending.get(row)
                if before is None:
                    before = _no_cost(each, *((kind, amount) if each else ()))
                    self._add_shape(row)
                if pending is None:
                    pending = self._pending[row] = _Pending(before.kind, before.amount)
                known[row] = before.with_call(seconds, memory)
                pending.add(seconds, memory)

    def _add_shape(self, row: _Kind) -> None:
        node_type, shape, device = row
        if shape != _ALL:
            self._shapes.setdefault((node_type, device), {})[shape] = None

    def flush(self) -> None:
        """Write what was recorded, and see what other processes wrote.

        Raises:
            sqlite3.Error: The index can't be written; nothing is lost, and a later one may do.
        """
        if self._index.read_only:
            return
        with self._flushing:
            with self._lock:
                pending, self._pending = self._pending, {}
            try:
                # Nobody has to wait while another process holds the index.
                self._write(pending)
            except BaseException:
                with self._lock:
                    for kind, earlier in pending.items():
                        later = self._pending.get(kind)
                        self._pending[kind] = earlier if later is None else earlier.join(later)
                raise
            with self._lock:
                self._known = None

    def _loaded(self) -> dict[_Kind, Cost]:
        if self._known is None:
            try:
                with self._index.reading() as connection:
                    rows = connection.execute(
                        "SELECT node_type, shape, device, seconds, memory, count, kind, amount"
                        " FROM costs"
                    ).fetchall()
            except sqlite3.ProgrammingError:
                raise  # the store is closed
            except sqlite3.Error as error:
                _LOG.warning("cannot read the cost of calls: %s", error)
                rows = []
            known = {
                (node_type, shape, device): Cost(seconds, memory, count, shape != _ALL, *work)
                for node_type, shape, device, seconds, memory, count, *work in rows
            }
            for row, pending in self._pending.items():
                known[row] = pending.apply_to(known.get(row) or _no_cost(row[1]))
            self._shapes = {}
            for row in known:
                self._add_shape(row)
            self._known = known
        return self._known

    def _write(self, calls: Mapping[_Kind, _Pending]) -> None:
        if not calls:
            return
        with self._index.writing() as connection:
            for kind, pending in calls.items():
                row = connection.execute(
                    "SELECT seconds, memory, count FROM costs"
                    " WHERE node_type = ? AND shape = ? AND device = ?",
                    kind,
                ).fetchone()
                before = _no_cost(kind[1])
                if row is not None:
                    before = Cost(row[0], row[1], row[2], before.exact)
                cost = pending.apply_to(before)
                connection.execute(
                    "INSERT OR REPLACE INTO costs"
                    " (node_type, shape, device, seconds, memory, count, kind, amount)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*kind, cost.seconds, cost.memory, cost.count, cost.kind, cost.amount),
                )
            (rows,) = connection.execute("SELECT count(*) FROM costs").fetchone()
            if rows > _MOST_ROWS:
                connection.execute(
                    "DELETE FROM costs WHERE (node_type, shape, device) IN (SELECT node_type,"
                    " shape, device FROM costs ORDER BY shape = '', count LIMIT ?)",
                    (rows - _MOST_ROWS,),
                )


def _no_cost(shape: str, kind: str = "", amount: float | None = None) -> Cost:
    return Cost(0.0, None, 0, bool(shape), kind, amount)


def _higher(first: int | None, other: int | None) -> int | None:
    if first is None or other is None:
        return other if first is None else first
    return max(first, other)
