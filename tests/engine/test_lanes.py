"""Lanes with real threads: places, order, answers, and what becomes of work in unlucky moments."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nodegraph.engine.lanes import Lane, Lanes, LaneSlot, Share, current_slot
from nodegraph.engine.lanes.worker_threads import Mailbox
from nodegraph.errors import Cancelled, InvalidValue
from tests.messages import raises

LIMIT = 30.0
"""Seconds until something that should happen counts as never happening."""


class Case:
    """A lane, and a short way to use it."""

    def __init__(self, places: int = 1) -> None:
        self.lane = Lane("test", places)

    def submit(
        self,
        work: Callable[[], Any],
        *,
        owner: object = None,
        priority: float = 0.0,
        then: Callable[[], None] = lambda: None,
    ) -> asyncio.Future[Any]:
        """Let work wait for its turn; the future gets what becomes of it."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def done(result: Any, error: BaseException | None) -> None:
            then()
            future.set_result(error if error is not None else result)

        self.lane.submit(owner, loop, (priority,), work, done)
        return future


def a_place() -> LaneSlot:
    """That of this thread."""
    place = current_slot()
    assert place is not None
    return place


@pytest.fixture
def case() -> Iterator[Case]:
    made = Case()
    yield made
    made.lane.close()


def play(scene: Callable[[], Awaitable[None]]) -> None:
    """Run a scene on an event loop of its own, for a limited time."""

    async def limited() -> None:
        await asyncio.wait_for(scene(), LIMIT)

    asyncio.run(limited())


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0)


class Gate:
    """Work that says that it has begun, and then waits to be let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.go.wait(LIMIT)
        return "gate"

    async def has_begun(self) -> None:
        await until(self.begun.is_set)


def test_results_arrive_on_the_loop(case: Case) -> None:
    threads = []

    async def scene() -> None:
        assert await case.submit(lambda: 5, then=lambda: threads.append(here())) == 5

    def here() -> threading.Thread:
        return threading.current_thread()

    play(scene)
    assert threads == [threading.main_thread()]


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_whatever_work_raises_is_its_answer(case: Case, kind: type[BaseException]) -> None:
    def fail() -> None:
        raise kind("fault")

    async def scene() -> None:
        assert isinstance(await case.submit(fail), kind)
        assert await case.submit(lambda: "still there") == "still there"

    play(scene)


def test_what_is_urgent_goes_first_then_what_came_first(case: Case) -> None:
    order: list[int] = []

    async def scene() -> None:
        gate = Gate()
        held = case.submit(gate)
        await gate.has_begun()
        answers = [
            case.submit(partial(order.append, at), priority=priority)
            for at, priority in enumerate((0, 1, -1, 0))
        ]
        assert case.lane.waiting == 4
        gate.go.set()
        await asyncio.gather(held, *answers)

    play(scene)
    assert order == [2, 0, 3, 1]


def test_what_a_result_makes_ready_competes_with_what_waits(case: Case) -> None:
    order: list[str] = []

    async def scene() -> None:
        gate = Gate()
        more: list[asyncio.Future[Any]] = []

        def follow_up() -> None:
            more.append(case.submit(lambda: order.append("late"), priority=-1))
            more.append(case.submit(lambda: order.append("latest"), priority=-2))

        first = case.submit(gate, then=follow_up)
        await gate.has_begun()
        waiting = case.submit(lambda: order.append("early"))
        gate.go.set()
        await asyncio.gather(first, waiting)
        await asyncio.gather(*more)

    play(scene)
    assert order == ["latest", "late", "early"]


def test_as_many_run_at_once_as_there_are_places() -> None:
    case = Case(places=5)
    together = threading.Barrier(5, timeout=LIMIT)

    async def scene() -> None:
        for _ in range(3):  # with new threads, then with idle ones
            answers = await asyncio.gather(*[case.submit(together.wait) for _ in range(5)])
            assert sorted(answers) == list(range(5))

    play(scene)
    case.lane.close()


def test_never_more_run_than_there_are_places() -> None:
    case = Case(places=3)
    lock = threading.Lock()
    inside, most = 0, 0
    together = threading.Barrier(3, timeout=LIMIT)

    def enter(by: int) -> None:
        nonlocal inside, most
        with lock:
            inside += by
            most = max(most, inside)

    def work(at: int) -> None:
        enter(1)
        if at < 3:
            together.wait()
        for _ in range(20):
            time.sleep(0)  # lets other threads in
            enter(-1)
            with a_place().step_out(), a_place().step_out():
                pass
            enter(1)
        enter(-1)

    async def scene() -> None:
        answers = await asyncio.gather(*[case.submit(partial(work, at)) for at in range(100)])
        assert answers == [None] * 100

    play(scene)
    case.lane.close()
    assert most == 3


def test_few_threads_do_short_work() -> None:
    case = Case(places=4)
    threads = set()

    async def scene() -> None:
        for _ in range(200):
            await case.submit(lambda: threads.add(threading.get_ident()))

    play(scene)
    case.lane.close()
    assert len(threads) <= 2


def test_a_stepped_out_threads_place_is_free_for_others(case: Case) -> None:
    done = threading.Event()

    def outer() -> str:
        with a_place().step_out():
            assert done.wait(LIMIT)
        return "back"

    async def scene() -> None:
        waiting = case.submit(outer)
        await case.submit(done.set)
        assert await waiting == "back"

    play(scene)
    assert current_slot() is None


def test_stepping_out_starts_what_waits(case: Case) -> None:
    begun, done = threading.Event(), threading.Event()
    waits = threading.Event()

    def outer() -> str:
        begun.set()
        assert waits.wait(LIMIT)
        with a_place().step_out():
            assert done.wait(LIMIT)
        return "back"

    async def scene() -> None:
        first = case.submit(outer)
        await until(begun.is_set)
        second = case.submit(done.set)
        assert case.lane.waiting == 1
        waits.set()
        await asyncio.gather(first, second)

    play(scene)


class Outside:
    """Work that steps out, and comes back when let go."""

    def __init__(self, order: list[str] | None = None) -> None:
        self.order = order if order is not None else []
        self.out = threading.Event()
        self.go = threading.Event()
        self.raises: BaseException | None = None

    def __call__(self) -> str:
        with a_place().step_out():
            self.out.set()
            assert self.go.wait(LIMIT)
            if self.raises is not None:
                raise self.raises
        self.order.append("came back")
        return "came back"

    async def is_out(self) -> None:
        await until(self.out.is_set)


def test_who_comes_back_goes_before_what_is_new(case: Case) -> None:
    order: list[str] = []

    async def scene() -> None:
        outside, gate = Outside(order), Gate()
        coming = case.submit(outside)
        await outside.is_out()
        held = case.submit(gate)
        await gate.has_begun()
        new = case.submit(lambda: order.append("new"), priority=-9)
        outside.go.set()
        await until(lambda: case.lane.waiting == 2)
        gate.go.set()
        await asyncio.gather(coming, held, new)

    play(scene)
    assert order == ["came back", "new"]


def test_who_waits_to_come_back_is_cancelled_at_once(case: Case) -> None:
    async def scene() -> None:
        outside, gate = Outside(), Gate()
        coming = case.submit(outside, owner="me")
        await outside.is_out()
        held = case.submit(gate)
        await gate.has_begun()
        outside.go.set()
        await until(lambda: case.lane.waiting == 1)
        case.lane.withdraw("me", Cancelled("the run was cancelled"))
        answer = await coming
        assert isinstance(answer, Cancelled)
        assert str(answer) == "the run was cancelled"
        assert not gate.go.is_set()
        # It ended without a place, so none has become free.
        new = case.submit(lambda: gate.go.is_set())
        assert case.lane.waiting == 1
        gate.go.set()
        assert await new
        await held

    play(scene)


@pytest.mark.parametrize("error", [Cancelled("the run was cancelled"), ValueError("fault")])
def test_cancelled_work_ends_without_a_place(case: Case, error: BaseException) -> None:
    async def scene() -> None:
        outside, gate = Outside(), Gate()
        outside.raises = error
        coming = case.submit(outside)
        await outside.is_out()
        held = case.submit(gate)
        await gate.has_begun()
        outside.go.set()
        if not isinstance(error, Cancelled):
            # It has yet to handle the error, and that is work.
            await until(lambda: case.lane.waiting == 1)
            gate.go.set()
        assert await coming is error
        gate.go.set()
        await held

    play(scene)


def test_withdrawn_work_is_answered_and_doesnt_run(case: Case) -> None:
    ran: list[str] = []

    async def scene() -> None:
        gate = Gate()
        held = case.submit(gate, owner="a")
        await gate.has_begun()
        mine = case.submit(lambda: ran.append("a"), owner="a")
        other = case.submit(lambda: ran.append("b"), owner="b")
        error = Cancelled("enough")
        case.lane.withdraw("a", error)
        assert mine.done()
        assert await mine is error
        gate.go.set()
        assert await held == "gate"
        await other

    play(scene)
    assert ran == ["b"]


def test_a_held_owners_work_waits_for_its_release(case: Case) -> None:
    order: list[str] = []

    async def scene() -> None:
        case.lane.hold("a")
        mine = case.submit(lambda: order.append("a"), owner="a", priority=-9)
        assert case.lane.waiting == 0
        await case.submit(lambda: order.append("b"), owner="b")
        case.lane.release("a")
        await mine
        await case.submit(lambda: order.append("a again"), owner="a")

    play(scene)
    assert order == ["b", "a", "a again"]


def test_a_held_owners_thread_doesnt_come_back_before_its_release(case: Case) -> None:
    order: list[str] = []

    async def scene() -> None:
        outside = Outside(order)
        coming = case.submit(outside, owner="a")
        await outside.is_out()
        case.lane.hold("a")
        outside.go.set()
        await case.submit(lambda: order.append("b"), owner="b")
        assert order == ["b"]
        case.lane.release("a")
        await coming

    play(scene)
    assert order == ["b", "came back"]


def test_closing_answers_what_waits_and_lets_the_rest_end(case: Case) -> None:
    async def scene() -> None:
        gate, outside = Gate(), Outside()
        coming = case.submit(outside)
        await outside.is_out()
        held = case.submit(gate)
        await gate.has_begun()
        waiting = case.submit(lambda: "never")
        case.lane.hold("paused")
        paused = case.submit(lambda: "never", owner="paused")
        case.lane.close()
        outside.go.set()
        for answer in (waiting, paused, coming, case.submit(lambda: "never")):
            assert str(await answer) == "the engine was closed"
        gate.go.set()
        assert await held == "gate"

    play(scene)


def open_files() -> int:
    """How many this process has open; always 0 where the system doesn't tell."""
    folder = Path("/dev/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def test_no_threads_are_left_after_closing() -> None:
    others = set(threading.enumerate())  # those of an earlier test may be about to end
    before = open_files()
    case = Case(places=3)
    together = threading.Barrier(3, timeout=LIMIT)

    async def scene() -> None:
        await asyncio.gather(*[case.submit(together.wait) for _ in range(3)])

    play(scene)
    threads = [
        held
        for held in threading.enumerate()
        if held.name.startswith("nodegraph-test") and held not in others
    ]
    assert len(threads) == 3
    case.lane.close()
    for held in threads:
        held.join(LIMIT)
        assert not held.is_alive()
    assert open_files() <= before  # fewer, if what an earlier test left was collected meanwhile


def test_no_threads_are_left_by_a_lane_that_nobody_closed() -> None:
    case = Case()
    thread: list[threading.Thread] = []

    async def scene() -> None:
        await case.submit(lambda: thread.append(threading.current_thread()))

    play(scene)
    del case.lane
    gc.collect()
    thread[0].join(LIMIT)
    assert not thread[0].is_alive()


def test_work_of_a_closed_loop_keeps_no_place(case: Case) -> None:
    gate = Gate()
    ran: list[str] = []
    loop = asyncio.new_event_loop()

    async def abandon() -> None:
        case.submit(gate)
        await gate.has_begun()
        case.submit(lambda: ran.append("for nobody"))

    loop.run_until_complete(abandon())
    loop.close()

    async def scene() -> None:
        new = case.submit(lambda: ran.append("new"))
        gate.go.set()
        await new

    play(scene)
    assert ran == ["new"]


def test_waiting_work_can_be_forgotten(case: Case) -> None:
    gate, outside = Gate(), Outside()
    ran: list[str] = []

    async def abandon() -> object:
        coming = case.submit(outside)
        await outside.is_out()
        case.submit(gate)
        await gate.has_begun()
        case.submit(lambda: ran.append("forgotten"))
        outside.go.set()
        await until(lambda: case.lane.waiting == 2)
        case.lane.forget_waiting()
        answer: object = await coming
        return answer

    async def scene() -> None:
        assert isinstance(await abandon(), Cancelled)
        gate.go.set()
        await case.submit(lambda: ran.append("new"))

    play(scene)
    assert ran == ["new"]


def test_a_done_that_raises_loses_no_other_result(case: Case) -> None:
    told: list[Any] = []

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

        def fail(result: Any, error: BaseException | None) -> None:
            raise RuntimeError("fault")

        case.lane.submit(None, loop, (), lambda: 1, fail)
        assert await case.submit(lambda: 2) == 2

    play(scene)
    assert [str(error) for error in told] == ["fault"]


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often it is woken."""

    woken = 0

    def _write_to_self(self) -> None:
        self.woken += 1
        super()._write_to_self()  # type: ignore[misc]


def test_results_that_arrive_together_wake_the_loop_once() -> None:
    loop = CountingLoop()
    box = Mailbox(loop)
    got: list[tuple[Any, Any]] = []

    def done(result: Any, error: BaseException | None) -> None:
        got.append((result, error))
        if result == 2:
            raise RuntimeError("fault")

    loop.set_exception_handler(lambda _, context: got.append(("handled", None)))
    afterwards = []
    for at in range(5):
        assert box.post(done, at, None, lambda: afterwards.append(len(got)))
    assert loop.woken == 1
    loop.call_later(0, loop.stop)
    while len(got) < 6:
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()
    assert [result for result, _ in got] == [0, 1, 2, "handled", 3, 4]
    assert not box.post(done, 5, None)
    assert len(got) == 6


def test_each_work_has_context_variables_of_its_own(case: Case) -> None:
    variable = ContextVar("variable", default="untouched")

    def touch() -> str:
        before = variable.get()
        variable.set("touched")
        return before

    async def scene() -> None:
        variable.set("the submitter's")
        assert [await case.submit(touch) for _ in range(3)] == ["untouched"] * 3

    play(scene)


def test_nothing_of_finished_work_stays_in_an_idle_thread(case: Case) -> None:
    alive: list[int] = []

    class Big:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    async def scene() -> None:
        await case.submit(partial(id, Big()))
        await until(lambda: not alive)

    play(scene)


def test_clients_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    # By the real clock, work that is held up costs its client the turns that follow.
    now = [1.0]
    monkeypatch.setattr("nodegraph.engine.lanes.lanes.perf_counter", lambda: now[0])
    case = Case()
    order: list[str] = []

    def spend(client: str) -> None:
        order.append(client)
        now[0] += 0.11

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate()
        over = loop.create_future()

        def done(result: Any, error: BaseException | None) -> None:
            if len(order) == 6 and not over.done():
                over.set_result(None)

        case.lane.submit(None, loop, (), gate, done)
        await gate.has_begun()
        for client in "aaabbb":
            case.lane.submit(client, loop, (), partial(spend, client), done, share=Share(client))
        gate.go.set()
        await over

    play(scene)
    case.lane.close()
    assert order == list("ababab")


def test_the_cpu_lane_lets_eight_nodes_wait_side_by_side_on_any_machine() -> None:
    lanes = Lanes()
    together = threading.Barrier(8, timeout=LIMIT)

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(8)]
        for future in futures:
            done = partial(lambda future, result, error: future.set_result(error), future)
            lanes["cpu"].submit(None, loop, (), together.wait, done)
        assert await asyncio.gather(*futures) == [None] * 8

    play(scene)
    lanes.close()


def test_each_device_has_a_lane_of_its_own() -> None:
    lanes = Lanes(devices=("cuda:0", "cuda:1"))
    assert lanes.device == "cuda:0"
    assert lanes["gpu"] is lanes.of("cuda:0")
    assert lanes.of("cuda:1").places == 1
    with raises(InvalidValue, given="cuda:2"):
        lanes.of("cuda:2")
    lanes.close()


SCRIPT = """
import asyncio, threading, time
from pathlib import Path
from nodegraph.engine.lanes import Lane

lane, begun = Lane("exit", 2), threading.Event()

def work():
    begun.set()
    threading.main_thread().join()
    Path({path!r}).write_text("whole")

async def main():
    loop = asyncio.get_running_loop()
    for each in (work, lambda: None):
        lane.submit(None, loop, (), each, lambda result, error: None)
    while not begun.is_set():
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_the_process_ends_once_running_work_has(tmp_path: Path) -> None:
    path = tmp_path / "written"
    script = SCRIPT.format(path=str(path))
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)
    assert path.read_text() == "whole"


def test_a_loop_may_follow_another(case: Case) -> None:
    loops: set[AbstractEventLoop] = set()

    async def scene() -> None:
        loops.add(asyncio.get_running_loop())
        assert await case.submit(lambda: 1) == 1

    play(scene)
    play(scene)
    assert len(loops) == 2


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("threading.Thread.start", RuntimeError("can't start new thread")),
        ("os.pipe", OSError("too many open files")),
    ],
)
def test_where_there_can_be_no_thread_work_is_answered(
    case: Case, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    async def scene() -> None:
        before = open_files()
        with monkeypatch.context() as patch:
            patch.setattr(place, refuse)
            answer = await case.submit(lambda: 1)
            assert isinstance(answer, RuntimeError)
            assert str(error) in str(answer)
        assert open_files() <= before  # fewer, if what an earlier test left was collected meanwhile
        assert await case.submit(lambda: 2) == 2

    play(scene)
