"""Lanes: where calls run. A serial one for each compute device, pools for the rest.

A lane holds what is ready in its order (`nodegraph.engine.lanes.fair_queue`) and starts a call only
when it has a free place, so that something more urgent that becomes ready meanwhile goes first.
"""

from __future__ import annotations

import os
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from time import perf_counter
from typing import Any

from nodegraph.core.context import Merging
from nodegraph.core.plugins import in_scope
from nodegraph.engine.lanes.fair_queue import FairQueue, Priority, QueueEntry, Share
from nodegraph.engine.lanes.worker_threads import Callback, Done, Mailbox, Mailboxes, WorkerThreads
from nodegraph.errors import Cancelled, InvalidValue

__all__ = [
    "ANY_BATCH",
    "Done",
    "Lane",
    "LaneSlot",
    "LaneWork",
    "Lanes",
    "Priority",
    "Share",
    "current_slot",
]

LaneWork = Callable[[], Any]

ANY_BATCH = "*"
"""The label of work that takes hardly any memory, such as reading a prompt: it may run beside any
other that has a label, so that what it prepares may join that."""
_ANYBODY = Share()
_LEAST_PLACES = 8
_CLOSED = "the engine was closed"


class LaneSlot:
    """A piece of work and its place in a lane.

    Once it runs, its methods are for its own thread.

    Attributes:
        batch_label: A label that work must have as well to run beside it in a serial lane, or
            `ANY_BATCH`; empty: none may.
        was_shared: Whether something ran beside it.
    """

    __slots__ = (
        "_back",
        "_done",
        "_entry",
        "_is_out",
        "_lane",
        "_mailbox",
        "_refusal",
        "_since",
        "_work",
        "batch_label",
        "was_shared",
    )

    def __init__(
        self, lane: Lane, mailbox: Mailbox, work: LaneWork, done: Done, batch_label: str = ""
    ) -> None:
        self.batch_label = batch_label
        self.was_shared = False
        self._lane = lane
        self._mailbox = mailbox
        self._work = work
        self._done = done
        self._entry: QueueEntry[LaneSlot] | None = None
        self._since = 0.0
        self._is_out = False
        self._back: Lock | None = None
        self._refusal: BaseException | None = None

    @contextmanager
    def step_out(self) -> Iterator[None]:
        """Let others have the place inside the `with`, while this thread only waits.

        At its end the thread waits until it has a place again, before new work of the same class
        of priority. Work that is raising `Cancelled` doesn't: it ends without a place.

        Raises:
            Cancelled: The run was cancelled or the lane closed while it waited for a place.
        """
        if self._is_out:
            yield
            return
        self._is_out = True
        self._lane._leave(self)
        self._lane._start_ready()
        try:
            yield
        except Cancelled:
            raise
        except BaseException:
            self._come_back()
            raise
        self._come_back()

    def _come_back(self) -> None:
        back = self._back = Lock()
        back.acquire()
        self._lane._let_back(self)
        back.acquire()
        self._back = None
        if self._refusal is not None:
            raise Cancelled(str(self._refusal)) from self._refusal
        self._is_out = False
        self._since = self._lane._clock()

    # For the lane

    @property
    def is_wanted(self) -> bool:
        """Whether anybody is left to be told of the result."""
        return self._back is not None or not self._mailbox.loop.is_closed()

    def begin(self, entry: QueueEntry[LaneSlot]) -> None:
        """It has a place: start its work, or let its thread go on."""
        self._entry = entry
        if self._back is not None:
            self._back.release()
            return
        try:
            self._lane._threads.run(self._run)
        except RuntimeError as error:
            # There can be no more threads.
            self._lane._leave(self)
            self._mailbox.post(self._done, None, error, self._lane._start_ready)

    def refuse(self, error: BaseException) -> None:
        """It will get no place; on the event loop if it hasn't begun."""
        if self._back is not None:
            self._refusal = error
            self._back.release()
        else:
            self._done(None, error)

    def close(self) -> None:
        """Its lane was closed, in whatever thread."""
        error = Cancelled(_CLOSED)
        if self._back is not None:
            self.refuse(error)
        else:
            self._mailbox.post(self._done, None, error)

    def drop(self) -> None:
        """Nobody waits for it any more."""
        if self._back is not None:
            self.refuse(Cancelled("the event loop of its run has ended"))

    def take_seconds(self) -> float:
        """How long it had its place."""
        return self._lane._clock() - self._since if self._since else 0.0

    def _run(self) -> Callback:
        result: Any = None
        error: BaseException | None = None
        _this_thread.slot = self
        self._since = self._lane._clock()
        try:
            result = self._work()
        except BaseException as caught:  # noqa: BLE001 - the border with node code: the loop decides what it means
            error = caught
        _this_thread.slot = None
        try:
            return partial(self._tell, result, error)
        finally:
            # The error knows this frame, which must not know the error.
            del result, error

    def _tell(self, result: Any, error: BaseException | None) -> None:
        if not self._is_out:
            self._lane._leave(self)
        # It knows this place: nothing may keep what has run.
        self._entry = None
        # First what the result makes ready, so that it competes with what waits already.
        start_ready = self._lane._start_ready
        if not self._mailbox.post(self._done, result, error, start_ready):
            # Its loop was closed: whoever ran this gave it up. Others may wait for the place.
            start_ready()


class _ThisThread(threading.local):
    slot: LaneSlot | None = None


_this_thread = _ThisThread()


def current_slot() -> LaneSlot | None:
    """The place of the work that runs in this thread, if it runs in a lane."""
    return _this_thread.slot


class Lane:
    """Threads that take ready work in its order.

    `submit`, `withdraw` and `forget_waiting` are for the event loop's thread, the rest for any.

    Args:
        name: As shown, such as ``cpu`` or ``cuda:0``.
        places: How many calls run at once.
        mailboxes: Where results go; lanes that share them wake the loop less often.
        merging: Says which work may run beside the one that has a serial lane's place; none may if
            not given.
    """

    def __init__(
        self,
        name: str,
        places: int,
        *,
        mailboxes: Mailboxes | None = None,
        merging: Merging | None = None,
    ) -> None:
        self.name = name
        self.places = places
        self._merging = merging if places == 1 else None
        self._inside: set[LaneSlot] = set()
        self._shared_time, self._looked = 0.0, 0.0
        self._mailboxes = mailboxes or Mailboxes()
        # cuDNN's plans of convolutions belong to a thread: a new one makes them anew, half a second
        # for Stable Diffusion 1.5 on an H100. So all that may run at once are kept.
        kept = places if self._merging is None else self._merging.most
        self._threads = WorkerThreads(f"nodegraph-{name}", kept)
        self._queue: FairQueue[LaneSlot] = FairQueue()
        self._lock = Lock()
        self._taken = 0
        self._closed = False
        # A lane that was never closed leaves no idle threads behind.
        weakref.finalize(self, self._threads.close).atexit = False

    @property
    def waiting(self) -> int:
        """How many calls wait for a place, without those of paused runs."""
        return len(self._queue)

    def submit(
        self,
        owner: object,
        loop: AbstractEventLoop,
        priority: Priority,
        work: LaneWork,
        done: Done,
        *,
        share: Share = _ANYBODY,
        expected: float = 0.0,
        batch_label: str = "",
    ) -> None:
        """Run `work` in a thread when its turn comes; `done` gets its result, on the loop.

        Its context variables are its own: neither the submitter's, except for the plugins that it
        finds by name, nor other work's.

        Args:
            owner: Whose it is, for `withdraw` and `hold`.
            priority: Order among the same client's work of the same class.
            share: Whose time it takes.
            expected: Seconds that it may take; what it takes is charged in the end.
            batch_label: See `LaneSlot`.
        """
        mailbox = self._mailboxes.of(loop)
        with self._lock:
            is_closed = self._closed
            if not is_closed:
                lane_place = LaneSlot(self, mailbox, in_scope(work), done, batch_label)
                self._queue.push(lane_place, owner, priority, share, expected)
        if is_closed:
            done(None, Cancelled(_CLOSED))
        elif mailbox.is_emptying:
            # What other results make ready may be more urgent.
            mailbox.after(self._start_ready)
        else:
            self._start_ready()

    def withdraw(self, owner: object, error: BaseException) -> None:
        """Answer what an owner's work still waits for a place with an error."""
        with self._lock:
            entries = self._queue.withdraw(owner)
        for entry in entries:
            entry.item.refuse(error)

    def hold(self, owner: object) -> None:
        """Start nothing of an owner's until it is released; what runs goes on.

        A thread of the owner's that stepped out doesn't come back until then. Whoever holds an
        owner must release it, also where it is withdrawn.
        """
        with self._lock:
            self._queue.hold(owner)

    def release(self, owner: object) -> None:
        """Go on with what an owner has waiting."""
        with self._lock:
            self._queue.release(owner)
        self._start_ready()

    def forget_waiting(self) -> None:
        """Drop what waits, without an answer: its event loop is gone."""
        with self._lock:
            entries = self._queue.clear()
        for entry in entries:
            entry.item.drop()

    def _start_ready(self) -> None:
        while True:
            with self._lock:
                if self._taken >= self.places and not self._goes_beside():
                    return
                entry = self._queue.pop()
                if entry is None:
                    return
                if not entry.item.is_wanted:
                    self._queue.charge(entry, 0.0)
                    continue
                self._enter(entry.item)
            entry.item.begin(entry)

    def _goes_beside(self) -> bool:
        """Whether what goes next, and nothing else, may run beside what has the place.

        The order stays as it is: what waits is overtaken by nobody.
        """
        merging = self._merging
        if merging is None or self._taken >= merging.most:
            return False
        labels = {lane_place.batch_label for lane_place in self._inside} - {ANY_BATCH}
        label = labels.pop() if len(labels) == 1 else ""
        upcoming = self._queue.peek() if label and merging.admits(label) else None
        return upcoming is not None and upcoming.item.batch_label in (label, ANY_BATCH)

    def _enter(self, lane_place: LaneSlot) -> None:
        if self._merging is not None:
            self._pass_time()
            self._inside.add(lane_place)
            for each in self._inside if self._taken else ():
                each.was_shared = True
        self._taken += 1

    def _clock(self) -> float:
        """Seconds of the lane's time: those of a serial lane are shared by what runs in it."""
        if self._merging is None:
            return perf_counter()
        with self._lock:
            return self._pass_time()

    def _pass_time(self) -> float:
        now = perf_counter()
        self._shared_time += (now - self._looked) / max(self._taken, 1)
        self._looked = now
        return self._shared_time

    def _leave(self, lane_place: LaneSlot) -> None:
        """A thread ends its work, or steps out."""
        seconds = lane_place.take_seconds()
        entry = lane_place._entry
        assert entry is not None
        with self._lock:
            if self._merging is not None:
                self._pass_time()
                self._inside.discard(lane_place)
            self._taken -= 1
            self._queue.charge(entry, seconds)

    def _let_back(self, lane_place: LaneSlot) -> None:
        """A thread that stepped out waits for a place again."""
        entry = lane_place._entry
        assert entry is not None
        with self._lock:
            is_closed = self._closed
            if not is_closed:
                self._queue.push(lane_place, entry.owner, (), entry.share, is_returning=True)
        if is_closed:
            lane_place.close()
        self._start_ready()

    def close(self) -> None:
        """Start nothing more; threads end when their call does, and what waits is told."""
        with self._lock:
            self._closed = True
            entries = self._queue.clear()
        for entry in entries:
            entry.item.close()
        self._threads.close()


class Lanes:
    """The lanes of one engine.

    ``gpu`` is the serial lane of the first compute device; `of` gives that of any. ``cpu`` is for
    work beside it, such as decoding files, and ``io`` for waiting on files and networks.

    The ``cpu`` lane has at least eight places, also on fewer cores: there too nodes wait, for files
    and for libraries that release the interpreter, and one that waits mustn't keep out one that
    could compute. More than that isn't worth its memory: every place may hold its node's values,
    and where such nodes use torch, each thread brings torch's own. Computing with torch's threads
    belongs into the serial lane.

    Args:
        device: Compute device of the ``gpu`` lane, ``cpu`` where there is no accelerator.
        devices: All compute devices, where there are several; the first one is `device`.
        cpu_places: Threads for other CPU work; the number of cores, but at least 8, if not given.
        io_places: Threads for waiting on files and networks.
        merging: See `Lane`.
    """

    def __init__(
        self,
        device: str = "cpu",
        *,
        devices: Sequence[str] = (),
        cpu_places: int | None = None,
        io_places: int = 16,
        merging: Merging | None = None,
    ) -> None:
        self.devices = tuple(devices) or (device,)
        self.device = self.devices[0]
        mailboxes = Mailboxes()
        self._by_device = {
            name: Lane(name, 1, mailboxes=mailboxes, merging=merging) for name in self.devices
        }
        places = cpu_places or max(os.cpu_count() or 1, _LEAST_PLACES)
        self._lanes = {
            "gpu": self._by_device[self.device],
            "cpu": Lane("pool", places, mailboxes=mailboxes),
            "io": Lane("io", io_places, mailboxes=mailboxes),
        }
        self._all = (*self._by_device.values(), self._lanes["cpu"], self._lanes["io"])

    def __getitem__(self, lane: str) -> Lane:
        return self._lanes[lane]

    def of(self, device: str) -> Lane:
        """The serial lane of a compute device.

        Raises:
            InvalidValue: It has none.
        """
        lane = self._by_device.get(device)
        if lane is None:
            raise InvalidValue(
                "there is no lane for this device", given=device, expected=", ".join(self.devices)
            )
        return lane

    def withdraw(self, owner: object, error: BaseException) -> None:
        """Answer what an owner's work still waits for a place with an error."""
        for lane in self._all:
            lane.withdraw(owner, error)

    def hold(self, owner: object) -> None:
        """Start nothing of an owner's until it is released; see `Lane.hold`."""
        for lane in self._all:
            lane.hold(owner)

    def release(self, owner: object) -> None:
        """Go on with what an owner has waiting."""
        for lane in self._all:
            lane.release(owner)

    def forget_waiting(self) -> None:
        """Drop what waits, without an answer: its event loop is gone."""
        for lane in self._all:
            lane.forget_waiting()

    def close(self) -> None:
        """End all lanes."""
        for lane in self._all:
            lane.close()
