"""What goes next: each entry once, in order, and nobody is wronged for long."""

from __future__ import annotations

from collections import Counter
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nodegraph.engine.lanes.fair_queue import FairQueue, QueueEntry, Share
from nodegraph.errors import InvalidValue
from tests.messages import raises
from tests.properties import examples

NEVER = 10**9
URGENCIES = st.integers(0, 2)
CLIENTS = st.sampled_from("ab")
OWNERS = st.sampled_from([0, 1, 2])
SECONDS = st.floats(0, 100)


class Machine(RuleBasedStateMachine):
    """Any order of use, beside a plain list of what waits."""

    patience = NEVER

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[int] = FairQueue(1.0, self.patience)
        self.waiting: list[QueueEntry[int]] = []
        self.started: list[QueueEntry[int]] = []
        self.seen: set[int] = set()
        self.held: set[int] = set()
        self.pushed = 0

    def free(self) -> list[QueueEntry[int]]:
        return [entry for entry in self.waiting if entry.owner not in self.held]

    @rule(owner=OWNERS, client=CLIENTS, urgency=URGENCIES, priority=st.integers(0, 3))
    def push(self, owner: int, client: str, urgency: int, priority: int) -> None:
        share = Share(client, urgency)
        self.waiting.append(self.queue.push(self.pushed, owner, (priority,), share))
        self.pushed += 1

    @rule(owner=OWNERS, client=CLIENTS, urgency=URGENCIES)
    def come_back(self, owner: int, client: str, urgency: int) -> None:
        share = Share(client, urgency)
        self.waiting.append(self.queue.push(self.pushed, owner, (), share, is_returning=True))
        self.pushed += 1

    @rule()
    def pop(self) -> None:
        upcoming = self.queue.peek()
        entry = self.queue.pop()
        assert entry is upcoming
        free = self.free()
        assert (entry is None) == (not free)
        if entry is None:
            return
        assert entry in free
        assert entry.item not in self.seen
        self.seen.add(entry.item)
        self.check_order(entry, free)
        self.waiting.remove(entry)
        self.started.append(entry)

    def check_order(self, entry: QueueEntry[int], free: list[QueueEntry[int]]) -> None:
        assert entry.share.urgency == min(other.share.urgency for other in free)
        peers = [other for other in free if other.share.urgency == entry.share.urgency]
        if any(other.is_returning for other in peers):
            assert entry.is_returning
        else:
            own = [other for other in peers if other.share.client == entry.share.client]
            assert entry is min(own, key=lambda other: (other.priority, other.item))

    @precondition(lambda self: self.started)
    @rule(data=st.data(), seconds=SECONDS)
    def charge(self, data: st.DataObject, seconds: float) -> None:
        entry = data.draw(st.sampled_from(self.started))
        self.started.remove(entry)
        self.queue.charge(entry, seconds)

    @rule(owner=OWNERS)
    def withdraw(self, owner: int) -> None:
        own = [entry for entry in self.waiting if entry.owner == owner]
        assert self.queue.withdraw(owner) == own
        self.waiting = [entry for entry in self.waiting if entry.owner != owner]

    @rule(owner=OWNERS)
    def hold(self, owner: int) -> None:
        self.queue.hold(owner)
        self.held.add(owner)

    @rule(owner=OWNERS)
    def release(self, owner: int) -> None:
        self.queue.release(owner)
        self.held.discard(owner)

    @rule()
    def clear(self) -> None:
        cleared = self.queue.clear()
        assert sorted(entry.item for entry in cleared) == [entry.item for entry in self.waiting]
        self.waiting, self.held = [], set()

    @invariant()
    def counts_what_waits(self) -> None:
        assert len(self.queue) == len(self.free())


class ImpatientMachine(Machine):
    """The same where what waits soon counts as more urgent, so that there is no plain order."""

    patience = 2

    def check_order(self, entry: QueueEntry[int], free: list[QueueEntry[int]]) -> None:
        assert entry.level <= entry.share.urgency


Machine.TestCase.settings = ImpatientMachine.TestCase.settings = settings(
    max_examples=examples(150), stateful_step_count=40, deadline=None
)
TestOrder = Machine.TestCase
TestOrderWithAge = ImpatientMachine.TestCase


def start(queue: FairQueue[str], seconds: float) -> QueueEntry[str]:
    """Start what goes next, and end it at once."""
    entry = queue.pop()
    assert entry is not None
    queue.charge(entry, seconds)
    return entry


@given(
    quantum=st.floats(0.01, 10),
    jobs=st.tuples(*[st.lists(st.floats(0.01, 20), min_size=1, max_size=5)] * 2),
    expected=st.floats(0, 30),
)
def test_two_busy_clients_get_equal_time(
    quantum: float, jobs: tuple[list[float], list[float]], expected: float
) -> None:
    queue: FairQueue[str] = FairQueue(quantum)
    sizes = dict(zip("ab", map(cycle, jobs), strict=True))
    for client in "ab":
        queue.push(client, client, (), Share(client), expected)
    longest = max(*jobs[0], *jobs[1])
    used = dict.fromkeys("ab", 0.0)
    for _ in range(60):
        entry = queue.pop()
        assert entry is not None
        seconds = next(sizes[entry.item])
        used[entry.item] += seconds
        queue.charge(entry, seconds)
        queue.push(entry.item, entry.item, (), Share(entry.item), expected)
        assert abs(used["a"] - used["b"]) <= quantum + longest + 1e-6


@given(
    alone=st.integers(1, 50),
    sizes=st.tuples(st.floats(0.01, 20), st.floats(0.01, 20)),
    pauses=st.booleans(),
)
def test_who_comes_later_has_saved_nothing_up(
    alone: int, sizes: tuple[float, float], pauses: bool
) -> None:
    queue: FairQueue[str] = FairQueue(1.0)
    seconds = dict(zip("ab", sizes, strict=True))

    def push(client: str) -> None:
        queue.push(client, client, (), Share(client))

    if pauses:
        # It was there before, and has had next to nothing.
        push("b")
        push("a")
        start(queue, 0.0)
        start(queue, 0.0)
    push("a")
    for _ in range(alone):
        push("a")
        start(queue, seconds["a"])
    push("b")
    used = dict.fromkeys("ab", 0.0)
    for _ in range(40):
        entry = queue.pop()
        assert entry is not None
        used[entry.item] += seconds[entry.item]
        queue.charge(entry, seconds[entry.item])
        push(entry.item)
        # The other may have used its quantum and one job more when this one came.
        assert abs(used["b"] - used["a"]) <= 2 * 1.0 + sum(sizes) + 1e-6


def test_too_much_expected_is_given_back() -> None:
    queue: FairQueue[str] = FairQueue(1.0)
    for _ in range(3):
        queue.push("a", "a", (), Share("a"), expected=100.0)
        queue.push("b", "b", (), Share("b"))
    order = [start(queue, 0.6).item for _ in range(6)]
    assert order == ["a", "a", "b", "b", "a", "b"]


def test_who_was_charged_too_much_goes_on_as_soon_as_that_is_known() -> None:
    queue: FairQueue[str] = FairQueue(1.0)
    for _ in range(5):
        queue.push("a", "a", (), Share("a"), expected=100.0)
        queue.push("b", "b", (), Share("b"))
    long = queue.pop()
    assert long is not None
    order = [start(queue, 1.0).item for _ in range(2)]
    queue.charge(long, 0.5)
    order += [start(queue, 1.0).item for _ in range(3)]
    assert order == ["b", "b", "a", "a", "b"]


@pytest.mark.parametrize("urgency", [1, 2])
@pytest.mark.parametrize("client", ["busy", "other"])
def test_what_is_less_urgent_has_its_turn_in_the_end(urgency: int, client: str) -> None:
    queue: FairQueue[str] = FairQueue(1.0, 5)
    queue.push("late", "late", (100,), Share(client, urgency))
    queue.push("busy", 0, (0,), Share("busy", 0))
    for at in range(1, 100):
        queue.push("busy", at, (0,), Share("busy", 0))
        if start(queue, 1.0).item == "late":
            # As often as it takes to rise, and to be the one that waited longest there.
            assert 5 * urgency <= at <= 5 * (urgency + 1) + 3
            return
    pytest.fail("it starves")


def test_a_long_queue_in_the_background_rises_one_by_one() -> None:
    queue: FairQueue[str] = FairQueue(1.0, 5)
    for at in range(100):
        queue.push("low", f"low {at}", (), Share("low", 2))
    started = Counter[str]()
    for at in range(300):
        queue.push("high", at, (), Share("high", 1))
        started[start(queue, 1.0).item] += 1
    assert 40 <= started["low"] <= 60


def test_a_job_isnt_passed_over_for_ever_by_its_clients_other_jobs() -> None:
    queue: FairQueue[str] = FairQueue(1.0, 5)
    queue.push("short", "first job", (0,), Share())
    order = []
    for at in range(10):
        queue.push("long", f"job {at}", (-1,), Share())
        order.append(start(queue, 1.0).item)
    assert order.index("short") == 5


def test_one_jobs_own_order_isnt_changed_by_age() -> None:
    queue: FairQueue[int] = FairQueue(1.0, 5)
    for at in range(100):
        queue.push(at, "job", (-at,), Share())
    order = []
    for _ in range(100):
        entry = queue.pop()
        assert entry is not None
        queue.charge(entry, 1.0)
        order.append(entry.item)
    assert order == list(range(99, -1, -1))


def test_work_that_takes_no_time_keeps_nobody_out() -> None:
    queue: FairQueue[str] = FairQueue(0.01)
    for at in range(1000):
        queue.push("a", at, (), Share("a"))
    queue.push("b", "b", (), Share("b"))
    order = [start(queue, 0.0).item for _ in range(1001)]
    assert order.index("b") <= 101


def test_what_was_started_or_withdrawn_is_kept_nowhere() -> None:
    alive: list[int] = []

    class Big:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    queue: FairQueue[Big] = FairQueue(1.0, 2)
    for at in range(8):
        queue.push(Big(), at, (-at,), Share(urgency=at % 2))
    queue.withdraw(3)
    for left in range(6, 0, -1):
        entry = queue.pop()
        assert entry is not None
        queue.charge(entry, 1.0)
        del entry
        assert len(alive) == left


def test_many_passing_clients_leave_nothing_behind() -> None:
    import tracemalloc

    queue: FairQueue[str] = FairQueue(1.0)
    queue.push("always", "always", (), Share("always"))

    def pass_by(name: str) -> None:
        queue.push(name, name, (), Share(name))
        queue.push("always", "always", (), Share("always"))
        start(queue, 1.0)
        start(queue, 1.0)

    for at in range(500):
        pass_by(f"warm {at}")
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for at in range(5000):
        pass_by(f"client {at}")
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 200_000


def test_there_are_three_classes() -> None:
    with raises(InvalidValue, given="3"):
        Share(urgency=3)
