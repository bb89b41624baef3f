"""What runs beside what in a serial lane: the next in order, if both may, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from nodegraph.engine.lanes import ANY_BATCH, Lane, Share, current_slot
from nodegraph.sampling.merging.step_merging import StepMerging

LIMIT = 30.0


class Refusing(StepMerging):
    """Has seen that nothing pays."""

    def admits(self, label: str) -> bool:
        return False


class Beside:
    """A serial lane in which two pieces of work may run beside each other.

    Attributes:
        most: Pieces of work that ran at once so far.
    """

    def __init__(self, kind: type[StepMerging] = StepMerging) -> None:
        self.lane = Lane("test", 1, merging=kind("exact", margin=0.05, most=2, profile=str))
        self.begun: list[str] = []
        self.most = 0
        self._inside = 0
        self._lock = threading.Lock()

    def submit(
        self, name: str, beside: str, work: Callable[[], Any] = lambda: None, *, client: str = ""
    ) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def run() -> Any:
            self.begun.append(name)
            with self._lock:
                self._inside += 1
                self.most = max(self.most, self._inside)
            try:
                return work()
            finally:
                with self._lock:
                    self._inside -= 1

        def done(result: Any, error: BaseException | None) -> None:
            future.set_result(result if error is None else error)

        self.lane.submit(
            None,
            loop,
            (float(len(self.begun)),),
            run,
            done,
            share=Share(client),
            batch_label=beside,
        )
        return future


def compute() -> None:
    """Long enough for other threads to come in between."""
    sum(range(300_000))


@pytest.fixture
def case() -> Iterator[Beside]:
    made = Beside()
    yield made
    made.lane.close()


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(scene(), LIMIT)

    asyncio.run(limited())


@pytest.mark.parametrize("second", ["sampling", ANY_BATCH])
def test_work_of_one_label_runs_beside_each_other(case: Beside, second: str) -> None:
    meeting = threading.Barrier(2, timeout=LIMIT)

    async def scene() -> None:
        futures = [case.submit("a", "sampling", meeting.wait)]
        futures.append(case.submit("b", second, meeting.wait))
        assert sorted(await asyncio.gather(*futures)) == [0, 1]

    play(scene)


def test_threads_that_worked_beside_each_other_are_used_again(case: Beside) -> None:
    """What libraries keep for each thread is made once: cuDNN's plans, say."""
    meeting = threading.Barrier(2, timeout=LIMIT)

    def work() -> int:
        meeting.wait()
        return threading.get_native_id()

    async def both() -> set[int]:
        return set(await asyncio.gather(*(case.submit(name, "sampling", work) for name in "ab")))

    async def scene() -> None:
        first = await both()
        assert len(first) == 2
        for _ in range(5):
            assert await both() == first

    play(scene)


def test_nothing_overtakes_what_goes_next(case: Beside) -> None:
    go = threading.Event()

    async def scene() -> None:
        first = case.submit("a", "sampling", lambda: go.wait(LIMIT))
        others = [case.submit("b", ""), case.submit("c", "sampling")]
        await asyncio.sleep(0)
        assert case.begun in ([], ["a"])
        go.set()
        await asyncio.gather(first, *others)

    play(scene)
    assert case.begun == ["a", "b", "c"]


@pytest.mark.parametrize("labels", [("", ""), ("sampling", "another"), (ANY_BATCH, ANY_BATCH)])
def test_other_work_stays_one_by_one(case: Beside, labels: tuple[str, str]) -> None:
    async def scene() -> None:
        await asyncio.gather(*(case.submit(label, label, compute) for label in labels * 4))

    play(scene)
    assert case.most == 1


def test_what_does_not_pay_runs_one_by_one() -> None:
    case = Beside(Refusing)

    async def scene() -> None:
        await asyncio.gather(*(case.submit(name, "sampling", compute) for name in "abcd"))

    play(scene)
    case.lane.close()
    assert case.most == 1


def test_who_runs_beside_others_is_charged_its_share_of_the_time(case: Beside) -> None:
    both, charged = threading.Barrier(2, timeout=LIMIT), []
    whole: list[float] = []

    def work() -> None:
        place = current_slot()
        assert place is not None
        both.wait()
        compute()
        both.wait()
        charged.append(place.take_seconds())
        assert place.was_shared

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.gather(*(case.submit(name, "sampling", work) for name in "ab"))
        whole.append(loop.time() - begun)

    play(scene)
    assert sum(charged) <= whole[0]
