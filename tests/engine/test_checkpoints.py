"""Checkpoints of calls: when they are saved, what is found again, when they go."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.context import Checkpoint
from nodegraph.core.events import Event
from nodegraph.engine.checkpointing import MemoryCheckpoints, Saver
from nodegraph.engine.options import CancelToken
from tests.engine.test_control import context


class Slow(MemoryCheckpoints):
    """Keeps a checkpoint only once it is let go; counts what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.began = threading.Event()
        self.done: list[tuple[str, str, int]] = []

    def save(self, key: str, step: int, total: int, state: Mapping[str, Any]) -> None:
        self.began.set()
        assert self.go.wait(30)
        self.done.append(("save", key, step))
        super().save(key, step, total, state)

    def remove(self, key: str) -> None:
        self.done.append(("remove", key, 0))
        super().remove(key)


class Broken(MemoryCheckpoints):
    """A full disk with damaged files."""

    def save(self, key: str, step: int, total: int, state: Mapping[str, Any]) -> None:
        raise OSError("no space left")

    def load(self, key: str) -> Checkpoint | None:
        raise ValueError("not what was written")


def state() -> dict[str, Any]:
    return {"x": 1}


def never() -> dict[str, Any]:
    raise AssertionError("not asked for")


def test_what_was_saved_is_found_by_the_next_attempt() -> None:
    saver = Saver(interval=0)
    events: list[Event] = []
    first = context(CancelToken(), saver.for_call("key"))
    assert first.restored() is None
    first.checkpoint(1, 3, lambda: {"x": 1})
    first.checkpoint(2, 3, lambda: {"x": 2})
    saver.flush()
    second = context(CancelToken(), saver.for_call("key"), events.append)
    found = second.restored()
    assert found == Checkpoint(2, 3, {"x": 2})
    assert [(event.kind, event.node, dict(event.data)) for event in events] == [
        ("node.restored", "node", {"step": 2, "total": 3})
    ]
    assert context(CancelToken(), saver.for_call("other")).restored() is None
    saver.close()


def test_the_state_is_taken_only_when_one_is_due() -> None:
    saver = Saver(interval=1000)
    ctx = context(CancelToken(), saver.for_call(lambda: pytest.fail("no key is needed")))
    for step in range(1, 4):
        ctx.checkpoint(step, 3, never)
        ctx.progress(step, 3)
    saver.close()


def test_the_last_step_is_not_saved_as_the_result_comes_next() -> None:
    saver = Saver(interval=0)
    context(CancelToken(), saver.for_call("key")).checkpoint(3, 3, never)
    saver.close()


def test_but_it_is_saved_if_the_run_stops_there() -> None:
    token, saver = CancelToken(), Saver(interval=1000)
    token.cancel()
    context(token, saver.for_call("key")).checkpoint(3, 3, state)
    assert saver.load("key") == Checkpoint(3, 3, {"x": 1})
    saver.close()


def test_without_checkpoints_nothing_is_asked_for() -> None:
    token = CancelToken()
    ctx = context(token)
    assert ctx.restored() is None
    token.cancel()
    ctx.checkpoint(1, 2, never, keep=True)


def test_one_that_is_done_is_forgotten() -> None:
    saver = Saver(interval=0)
    call = saver.for_call("key")
    context(CancelToken(), call).checkpoint(1, 3, state)
    saver.flush()
    assert saver.load("key") is not None
    call.finish()
    assert saver.load("key") is None
    saver.close()
    assert saver.load("key") is None


def test_one_that_was_taken_up_is_forgotten_too() -> None:
    saver = Saver(interval=0)
    context(CancelToken(), saver.for_call("key")).checkpoint(1, 3, state)
    saver.interval = 1000
    again = saver.for_call("key")
    assert context(CancelToken(), again).restored() is not None
    again.finish()
    saver.flush()
    assert saver.load("key") is None
    saver.close()


def test_a_call_that_saved_nothing_costs_nothing_in_the_end() -> None:
    kept = Slow()
    saver = Saver(kept, interval=1000)
    call = saver.for_call("key")
    context(CancelToken(), call).checkpoint(1, 3, never)
    call.finish()
    saver.close()
    assert kept.done == []


def test_work_that_stops_early_is_kept_for_who_goes_on() -> None:
    saver = Saver(interval=1000)
    call = saver.for_call("key")
    ctx = context(CancelToken(), call)
    ctx.checkpoint(1, 9, never)
    ctx.checkpoint(2, 9, state, keep=True)
    ctx.progress(2, 2)
    call.finish()
    saver.flush()
    events: list[Event] = []
    onward = saver.for_call("key")
    ctx = context(CancelToken(), onward, events.append)
    assert ctx.restored(up_to=1) is None
    assert events == []
    found = ctx.restored(up_to=2)
    assert found is not None
    assert found.step == 2
    onward.finish()  # to its full end
    saver.close()
    assert saver.load("key") is None


def test_work_with_a_small_footprint_is_saved_apart() -> None:
    saver = Saver(interval=0)
    call = saver.for_call("key")
    context(CancelToken(), call).checkpoint(1, 9, lambda: {"exact": True})
    # memory runs out: the second attempt goes on from the first one's work
    small = context(CancelToken(), call, footprint="small")
    assert small.restored() == Checkpoint(1, 9, {"exact": True})
    small.checkpoint(5, 9, lambda: {"exact": False})
    # the process dies: the next one gets only what it would have computed itself
    again = saver.for_call("key")
    assert context(CancelToken(), again).restored() == Checkpoint(1, 9, {"exact": True})
    small = context(CancelToken(), again, footprint="small")
    assert small.restored() == Checkpoint(5, 9, {"exact": False})
    again.finish()
    third = saver.for_call("key")
    assert context(CancelToken(), third).restored() is None
    assert context(CancelToken(), third, footprint="small").restored() is None
    saver.close()


def test_the_writer_takes_the_latest_and_leaves_out_what_it_was_too_slow_for() -> None:
    kept = Slow()
    saver = Saver(kept, interval=0)
    ctx = context(CancelToken(), saver.for_call("key"))
    ctx.checkpoint(1, 9, lambda: {"x": 1})
    assert kept.began.wait(30)
    for step in (2, 3, 4):
        ctx.checkpoint(step, 9, lambda: {"x": 0})
        # who looks meanwhile sees the last one
        assert saver.load("key") == Checkpoint(step, 9, {"x": 0})
    kept.go.set()
    saver.close()
    assert kept.done == [("save", "key", 1), ("save", "key", 4)]


def test_what_is_finished_meanwhile_is_not_saved_after_all() -> None:
    kept = Slow()
    saver = Saver(kept, interval=0)
    call = saver.for_call("key")
    ctx = context(CancelToken(), call)
    ctx.checkpoint(1, 9, state)
    assert kept.began.wait(30)
    ctx.checkpoint(2, 9, state)
    call.finish()
    assert saver.load("key") is None
    kept.go.set()
    saver.close()
    assert kept.done == [("save", "key", 1), ("remove", "key", 0)]
    assert len(kept) == 0


def test_it_is_removed_only_once_the_result_is_safe() -> None:
    kept = MemoryCheckpoints()
    seen: list[int] = []
    saver = Saver(kept, interval=0, settle=lambda: seen.append(len(kept)))
    call = saver.for_call("key")
    context(CancelToken(), call).checkpoint(1, 9, state)
    saver.flush()
    assert seen == []
    call.finish()
    saver.flush()
    assert (seen, len(kept)) == ([1], 0)
    saver.close()


def test_a_result_that_cannot_be_made_safe_keeps_its_checkpoint() -> None:
    kept = MemoryCheckpoints()

    def fail() -> None:
        raise OSError("no space left")

    saver = Saver(kept, interval=0, settle=fail)
    call = saver.for_call("key")
    context(CancelToken(), call).checkpoint(1, 9, state)
    saver.flush()
    call.finish()
    saver.close()
    assert len(kept) == 1


def test_trouble_with_saving_is_told_and_does_no_harm() -> None:
    saver = Saver(Broken(), interval=0)
    events: list[Event] = []
    ctx = context(CancelToken(), saver.for_call("key"), events.append)
    assert ctx.restored() is None
    for step in (1, 2):
        ctx.checkpoint(step, 3, state)
        saver.flush()
    ctx.progress(3, 3)
    saver.close()
    told = [event.data for event in events if event.kind == "log"]
    assert [item["level"] for item in told] == ["warning", "warning"]
    assert "not what was written" in told[0]["message"]
    assert "no space left" in told[1]["message"]


def test_after_the_end_nothing_is_saved_any_more() -> None:
    saver = Saver(interval=0)
    saver.close()
    call = saver.for_call("key")
    context(CancelToken(), call).checkpoint(1, 3, state)
    call.finish()
    saver.flush()
    saver.close()
    assert saver.load("key") is None


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=30),
    st.integers(0, 400),
)
def test_memory_keeps_the_latest_within_its_budget(
    saves: list[tuple[str, int]], budget: int
) -> None:
    kept = MemoryCheckpoints(budget)
    for at, (key, size) in enumerate(saves):
        kept.save(key, at, 99, {"x": torch.zeros(size, dtype=torch.uint8)})
        assert kept.used <= budget
        found = kept.load(key)
        assert found is None or found.step == at
    for key in "abc":
        kept.remove(key)
    assert (len(kept), kept.used) == (0, 0)


def test_several_calls_may_save_at_once() -> None:
    saver = Saver(interval=0)
    calls = [saver.for_call(str(at)) for at in range(8)]

    def work(at: int) -> None:
        ctx = context(CancelToken(), calls[at])
        for step in range(1, 50):
            ctx.checkpoint(step, 50, partial(dict, x=step))
        if at % 2:
            calls[at].finish()

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    saver.flush()
    for at in range(8):
        found = saver.load(str(at))
        assert found == (None if at % 2 else Checkpoint(49, 50, {"x": 49}))
    saver.close()
