"""Pausing, resuming and cancelling: what nodes and watchers notice, whatever the threads do."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.context import Environment, Footprint
from nodegraph.core.events import Event, EventStream
from nodegraph.engine.checkpointing import CallCheckpoints, Saver
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.node_context import NodeContext
from nodegraph.engine.options import CancelToken
from nodegraph.errors import Cancelled
from nodegraph.sampling.merging.step_merging import StepMerging
from tests.messages import raises

HERE = Path()
PATIENCE = 30.0


def context(
    token: CancelToken,
    checkpoints: CallCheckpoints | None = None,
    listener: Callable[[Event], None] | None = None,
    footprint: Footprint = "full",
    seated: Callable[[], AbstractContextManager[Any]] | None = None,
) -> NodeContext:
    return NodeContext(
        "node",
        device="cpu",
        environment=Environment((), HERE, HERE, HERE),
        workflow={},
        events=EventStream(listener),
        cancel=token,
        weights=None,
        files=[],
        checkpoints=checkpoints,
        footprint=footprint,
        seated=seated,
    )


class Worker:
    """A node in a thread: reports one step after the other until it is stopped."""

    def __init__(self, ctx: NodeContext, steps: int = 1_000_000) -> None:
        self.step = 0
        self.error: BaseException | None = None
        self._ctx = ctx
        self._steps = steps
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while self.step < self._steps:
                self.step += 1
                state = partial(dict, step=self.step)
                self._ctx.checkpoint(self.step, self._steps, state)
                self._ctx.progress(self.step, self._steps)
        except Cancelled as error:
            self.error = error

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def waits(self, token: CancelToken) -> None:
        """Return once it stands before the gate of a paused run."""
        wait_until(lambda: token.waiting == 1)

    def steps_on(self) -> None:
        """Return once it has done another step."""
        before = self.step
        wait_until(lambda: self.step > before)


def wait_until(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(int(PATIENCE / 0.001)):
        if condition():
            return
        waiting.wait(0.001)
    raise AssertionError("it never came to pass")


def test_a_paused_node_waits_and_then_goes_on() -> None:
    token = CancelToken()
    worker = Worker(context(token))
    worker.steps_on()
    token.pause()
    worker.waits(token)
    step = worker.step
    assert token.is_paused
    assert token.is_interrupted
    assert not token.is_set
    threading.Event().wait(0.02)
    assert worker.step == step
    token.resume()
    assert not token.is_interrupted
    worker.steps_on()
    token.cancel()
    worker.join()


def test_a_paused_node_can_be_cancelled() -> None:
    token = CancelToken()
    worker = Worker(context(token))
    token.pause()
    worker.waits(token)
    token.cancel("deadline of 30 s passed")
    worker.join()
    assert str(worker.error) == "the run was cancelled: deadline of 30 s passed"
    assert not token.is_paused


def test_the_first_reason_counts() -> None:
    token = CancelToken()
    assert token.reason == ""
    token.cancel("deadline of 30 s passed")
    token.cancel("somebody else")
    assert token.reason == "deadline of 30 s passed"
    with raises(Cancelled):
        token.check()


def test_without_a_reason_none_is_told() -> None:
    token = CancelToken()
    token.cancel()
    assert str(token.error()) == "the run was cancelled"


def test_what_has_been_cancelled_is_not_paused_any_more() -> None:
    token = CancelToken()
    token.cancel()
    token.pause()
    assert not token.is_paused
    token.resume()
    assert token.is_set


def test_watchers_hear_of_every_change_once() -> None:
    token = CancelToken()
    heard: list[tuple[bool, bool]] = []
    cancelled: list[bool] = []

    def note() -> None:
        heard.append((token.is_paused, token.is_set))

    token.resume()  # nothing to resume
    with token.on_change(note), token.on_cancel(lambda: cancelled.append(True)):
        token.pause()
        token.pause()
        token.resume()
        token.resume()
        token.pause()
        token.cancel()
        token.cancel()
        token.resume()
    assert heard == [(True, False), (False, False), (True, False), (False, True)]
    assert cancelled == [True]


def test_who_watches_after_the_change_hears_of_it_at_once() -> None:
    token = CancelToken()
    heard: list[str] = []
    token.pause()
    with token.on_change(lambda: heard.append("paused")):
        pass
    with token.on_cancel(lambda: heard.append("not cancelled")):
        pass
    token.cancel()
    assert heard == ["paused"]


@given(st.lists(st.sampled_from(["pause", "resume"]), max_size=30))
def test_whatever_came_before_a_resumed_node_runs_on(changes: list[str]) -> None:
    token = CancelToken()
    worker = Worker(context(token), steps=2000)
    for change in changes:
        getattr(token, change)()
    token.resume()
    worker.join()
    assert worker.error is None
    assert worker.step == 2000


def test_many_nodes_wait_and_all_go_on() -> None:
    token = CancelToken()
    token.pause()
    workers = [Worker(context(token), steps=3) for _ in range(8)]
    wait_until(lambda: token.waiting == 8)
    token.resume()
    for worker in workers:
        worker.join()
        assert worker.step == 3


def test_an_event_loop_is_never_held_up() -> None:
    token = CancelToken()
    ctx = context(token)

    async def node() -> None:
        token.pause()
        ctx.progress(1, 2)
        ctx.check_cancelled()
        token.cancel()
        with pytest.raises(Cancelled):
            ctx.progress(2, 2)

    asyncio.run(asyncio.wait_for(node(), PATIENCE))


def test_a_waiting_node_gives_its_place_to_others() -> None:
    lanes, token, other = Lanes(), CancelToken(), CancelToken()
    ran: list[str] = []

    def work(name: str, control: CancelToken, until: Callable[[], bool]) -> None:
        ctx = context(control)
        while not until():
            ctx.check_cancelled()
        ran.append(name)

    async def both() -> None:
        loop = asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()

        def answer(to: asyncio.Future[None], result: object, error: BaseException | None) -> None:
            to.set_exception(error) if error is not None else to.set_result(None)

        token.pause()
        lane = lanes["gpu"]
        lane.submit(
            token, loop, (0,), partial(work, "first", token, lambda: "second" in ran),
            partial(answer, first),
        )  # fmt: skip
        await asyncio.to_thread(wait_until, lambda: token.waiting == 1)
        lane.submit(
            other, loop, (0,), partial(work, "second", other, lambda: True),
            partial(answer, second),
        )  # fmt: skip
        await asyncio.wait_for(second, PATIENCE)
        token.resume()
        await asyncio.wait_for(first, PATIENCE)

    try:
        asyncio.run(both())
    finally:
        lanes.close()
    assert ran == ["second", "first"]


def test_before_it_waits_its_work_is_saved() -> None:
    token, saver = CancelToken(), Saver(interval=1000)
    worker = Worker(context(token, saver.for_call("key")))
    worker.steps_on()
    assert saver.load("key") is None
    token.pause()
    worker.waits(token)
    saver.flush()
    saved = saver.load("key")
    assert saved is not None
    assert saved.step == saved.state["step"] == worker.step
    token.resume()
    worker.steps_on()
    token.cancel()
    worker.join()
    saver.close()
    last = saver.load("key")
    assert last is not None
    assert last.step == worker.step > saved.step


def test_it_is_saved_too_if_it_is_cancelled_between_the_offer_and_the_report() -> None:
    token, saver = CancelToken(), Saver(interval=1000)
    ctx = context(token, saver.for_call("key"))
    ctx.checkpoint(3, 9, lambda: {"x": 3})
    token.cancel()
    with pytest.raises(Cancelled):
        ctx.progress(3, 9)
    saver.close()
    found = saver.load("key")
    assert found is not None
    assert (found.step, found.total, dict(found.state)) == (3, 9, {"x": 3})


def test_the_state_of_another_step_is_not_taken_for_it() -> None:
    token, saver = CancelToken(), Saver(interval=1000)
    ctx = context(token, saver.for_call("key"))
    ctx.checkpoint(3, 9, lambda: {"x": 3})
    token.cancel()
    with pytest.raises(Cancelled):
        ctx.progress(4, 9)
    saver.close()
    assert saver.load("key") is None


@pytest.mark.skipif(sys.platform == "win32", reason="signals work differently there")
@pytest.mark.parametrize("change", ["pause", "resume"])
def test_a_signal_may_cancel_in_the_middle_of_a_change(change: str) -> None:
    """The handler runs in the very thread that makes the change."""
    token = CancelToken()
    before = signal.signal(signal.SIGUSR1, lambda *_: token.cancel())
    try:
        if change == "resume":
            token.pause()

        def raise_signal() -> None:
            signal.raise_signal(signal.SIGUSR1)

        with token.on_change(raise_signal):
            getattr(token, change)()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert token.is_set


@pytest.mark.parametrize("footprint", ["full", "offloaded", "small"])
def test_only_calls_of_the_full_footprint_meet_others(footprint: Footprint) -> None:
    merging = StepMerging("exact", margin=0.0, most=2, profile=str)
    ctx = context(CancelToken(), footprint=footprint, seated=partial(merging.seat, "label"))
    with ctx.seat() as seat:
        assert (seat is not None) == (footprint == "full")
