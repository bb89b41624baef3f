"""Checkpoints of calls: saved behind the node's back, found again by the next attempt.

A call offers its state after each step; here is decided when one is due, and a thread of its own
encodes and writes it. Where there is no store they are kept in memory, for a run that is continued
in the same process.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from time import monotonic
from typing import Any, Protocol

from nodegraph.core.context import Checkpoint, Footprint
from nodegraph.core.keys import Key, variant_key
from nodegraph.core.summary import size_in_bytes

_LOG = logging.getLogger(__name__)

INTERVAL = 2.0
"""Seconds between two checkpoints of a call, unless set otherwise."""


class SavedCheckpoint(Protocol):
    """A checkpoint as it is kept; see `nodegraph.core.context.Checkpoint`."""

    @property
    def step(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def state(self) -> Mapping[str, Any]: ...


class CheckpointKeeper(Protocol):
    """Where checkpoints are kept: one for each key, the last one. Called from any thread.

    What its methods raise is logged, and the checkpoint counts as not there.
    """

    def save(self, key: Key, step: int, total: int, state: Mapping[str, Any]) -> None:
        """Keep this one and forget the one before."""

    def load(self, key: Key) -> SavedCheckpoint | None:
        """The checkpoint of a key, if it is there whole."""

    def remove(self, key: Key) -> None:
        """Forget a key's checkpoint, if there is one."""


class MemoryCheckpoints:
    """Keeps the checkpoints saved last, within a budget, as long as the process lives.

    Args:
        budget: Bytes that they may take in all; a larger single one isn't kept.
    """

    def __init__(self, budget: int = 256 << 20) -> None:
        self.budget = budget
        self.used = 0
        self._kept: OrderedDict[Key, tuple[Checkpoint, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def save(self, key: Key, step: int, total: int, state: Mapping[str, Any]) -> None:
        size = size_in_bytes(state)
        with self._lock:
            self._forget(key)
            if size > self.budget:
                return
            self._kept[key] = (Checkpoint(step, total, state), size)
            self.used += size
            while self.used > self.budget:
                self._forget(next(iter(self._kept)))

    def load(self, key: Key) -> Checkpoint | None:
        with self._lock:
            kept = self._kept.get(key)
        return kept[0] if kept else None

    def remove(self, key: Key) -> None:
        with self._lock:
            self._forget(key)

    def _forget(self, key: Key) -> None:
        known = self._kept.pop(key, None)
        if known is not None:
            self.used -= known[1]


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to become of a key's checkpoint.

    Attributes:
        checkpoint: To be saved; None if it is to be removed.
        failed: Told what went wrong, in the writer's thread.
    """

    checkpoint: Checkpoint | None
    failed: Callable[[BaseException], object]


class Saver:
    """Saves and removes checkpoints in a thread of its own; of a key's changes the last one counts.

    Args:
        checkpoints: Where they are kept; in memory if not given.
        interval: Seconds between two checkpoints of a call; 0 saves each step.
        settle: Called in the writer's thread before a checkpoint is removed. Returns once the
            result that it led to is as safe as the checkpoint was.
    """

    def __init__(
        self,
        checkpoints: CheckpointKeeper | None = None,
        *,
        interval: float = INTERVAL,
        settle: Callable[[], object] | None = None,
    ) -> None:
        self.interval = interval
        self._checkpoints = MemoryCheckpoints() if checkpoints is None else checkpoints
        self._settle = settle
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nodegraph-checkpoints")
        self._lock = Lock()
        self._waiting: OrderedDict[Key, _Change] = OrderedDict()
        self._writing: tuple[Key, _Change] | None = None
        self._is_busy = False
        self._closed = False

    def for_call(self, key: Key | Callable[[], Key]) -> CallCheckpoints:
        """The checkpoints of one call, for one attempt at it.

        Args:
            key: Names the work, from `nodegraph.core.keys.work_key`; or what computes it, called
                only if the node saves or restores anything, in its thread.
        """
        return CallCheckpoints(self, key)

    def save(
        self, key: Key, checkpoint: Checkpoint, failed: Callable[[BaseException], object]
    ) -> None:
        """Save a checkpoint soon; one of the same key that still waits is left out."""
        self._change(key, _Change(checkpoint, failed))

    def remove(self, key: Key, failed: Callable[[BaseException], object]) -> None:
        """Remove a checkpoint soon."""
        self._change(key, _Change(None, failed))

    def load(self, key: Key) -> Checkpoint | None:
        """The last checkpoint of a key, also one that isn't written yet.

        Raises:
            Exception: Whatever its keeper raises where it can't be read.
        """
        with self._lock:
            change = self._waiting.get(key)
            if change is None and self._writing is not None and self._writing[0] == key:
                change = self._writing[1]
        if change is not None:
            return change.checkpoint
        checkpoint = self._checkpoints.load(key)
        return (
            None
            if checkpoint is None
            else Checkpoint(checkpoint.step, checkpoint.total, checkpoint.state)
        )

    def _change(self, key: Key, change: _Change) -> None:
        with self._lock:
            if self._closed:
                return
            self._waiting[key] = change
            if not self._is_busy:
                self._is_busy = True
                self._thread.submit(self._work)

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            key, change = taken
            try:
                self._carry_out(key, change)
            except Exception as error:  # noqa: BLE001 - a run must not end because its state can't be saved
                _LOG.warning("the checkpoint %s cannot be changed: %s", key, error)
                change.failed(error)

    def _take(self) -> tuple[Key, _Change] | None:
        with self._lock:
            self._writing = self._waiting.popitem(last=False) if self._waiting else None
            self._is_busy = self._writing is not None
            return self._writing

    def _carry_out(self, key: Key, change: _Change) -> None:
        checkpoint = change.checkpoint
        if checkpoint is not None:
            self._checkpoints.save(key, checkpoint.step, checkpoint.total, checkpoint.state)
            return
        if self._settle is not None:
            self._settle()
        self._checkpoints.remove(key)

    def flush(self) -> None:
        """Return once all changes so far are made."""
        with self._lock:
            if self._closed:
                return
            # It goes to the one thread, behind what is at work there.
            done = self._thread.submit(self._work)
        done.result()

    def close(self) -> None:
        """Make the changes that wait, and end the thread. Later ones are left out."""
        with self._lock:
            self._closed = True
        self._thread.shutdown(wait=True)


class CallCheckpoints:
    """The checkpoints of one call. Its methods are for the call's thread.

    What was computed with a small footprint may differ in its last bits. So it is saved apart, and
    never taken up by an attempt with another one.

    Attributes:
        error: What went wrong with the last change; empty if nothing did, or once it is taken.
    """

    def __init__(self, saver: Saver, key: Key | Callable[[], Key]) -> None:
        self._saver = saver
        self._given = key
        self._footprint: Footprint = "full"
        self._last = monotonic()
        self._there: set[Key] = set()
        self._kept: Key | None = None
        self.error = ""

    def begin(self, footprint: Footprint) -> None:
        """An attempt begins."""
        self._footprint = footprint

    @cached_property
    def _full_key(self) -> Key:
        return self._given if isinstance(self._given, str) else self._given()

    @cached_property
    def _small_key(self) -> Key:
        return variant_key(self._full_key, "small")

    @property
    def _key(self) -> Key:
        return self._small_key if self._footprint == "small" else self._full_key

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return monotonic() - self._last >= self._saver.interval

    def load(self) -> Checkpoint | None:
        """What an earlier attempt saved."""
        checkpoint = self._load(self._key)
        if checkpoint is None and self._footprint == "small":
            checkpoint = self._load(self._full_key)
        return checkpoint

    def _load(self, key: Key) -> Checkpoint | None:
        try:
            checkpoint = self._saver.load(key)
        except Exception as error:  # noqa: BLE001 - what can't be read is as good as not there
            _LOG.warning("the checkpoint %s cannot be read: %s", key, error)
            self.error = f"an earlier checkpoint cannot be read: {error}"
            self._there.add(key)
            return None
        if checkpoint is not None:
            self._there.add(key)
        return checkpoint

    def save(self, step: int, total: int, state: Mapping[str, Any], *, keep: bool = False) -> None:
        """Save the work as it is after a step; see `Context.checkpoint`."""
        self._saver.save(self._key, Checkpoint(step, total, state), self._not_saved)
        self._last = monotonic()
        self._there.add(self._key)
        self._kept = self._key if keep else None

    def finish(self) -> None:
        """The call has given its outputs: what was saved is removed, unless it is to be kept.

        For any thread; call it once the outputs are on their way to where results are kept.
        """
        for key in self._there - {self._kept}:
            self._saver.remove(key, self._not_saved)

    def _not_saved(self, error: BaseException) -> None:
        self.error = f"the checkpoint cannot be saved: {error}"
