"""Runs that are paused, cancelled and continued, in a whole engine."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any

import pytest

from nodegraph.api import Context, node
from nodegraph.engine.checkpointing import MemoryCheckpoints, Saver
from nodegraph.engine.engine import Engine
from nodegraph.engine.options import CancelToken
from tests.engine.conftest import Bench, link

PATIENCE = 30.0


class Counter:
    """Brings a node `Count` that counts up from a start, step by step, and tells what it did.

    Attributes:
        steps: Those that it walked, over all attempts.
        at: Called after each step with the step, before it is offered and reported.
    """

    def __init__(self, bench: Bench) -> None:
        self.steps: list[int] = []
        self.at: dict[int, Any] = {}

        @node(lane="gpu", continues=("until",))
        def Count(ctx: Context, start: int, total: int = 10, until: int | None = None) -> int:
            """Count up."""
            end = until or total
            found = ctx.restored(up_to=end)
            step, value = (found.step, found.state["value"]) if found else (0, start)
            while step < end:
                step, value = step + 1, value + 1
                self.steps.append(step)
                if step in self.at:
                    self.at.pop(step)()
                ctx.checkpoint(step, total, partial(dict, value=value), keep=step == end < total)
                ctx.progress(step, total)
            return int(value)

        @node(lane="gpu")
        def Add(a: int, b: int) -> int:
            """Two numbers."""
            return a + b

        bench.add(Count, Add)


def counting(**inputs: Any) -> dict[str, Any]:
    return {
        "count": {"type": "Count", "inputs": {"start": 100, **inputs}},
        "sum": {"type": "Add", "inputs": {"a": link("count"), "b": 1}},
    }


def test_a_cancelled_run_goes_on_where_it_was(bench: Bench) -> None:
    counter, token = Counter(bench), CancelToken()
    counter.at[4] = token.cancel
    assert bench.run(counting(), cancel=token).status == "cancelled"
    result = bench.run(counting())
    assert result["sum.number"] == 111
    assert counter.steps == [*range(1, 5), *range(5, 11)]
    (restored,) = [event for event in bench.events if event.kind == "node.restored"]
    assert (restored.node, dict(restored.data)) == ("count", {"step": 4, "total": 10})


def test_a_later_end_starts_from_the_earlier_one(bench: Bench) -> None:
    counter = Counter(bench)
    assert bench.run(counting(until=3))["sum.number"] == 104
    assert bench.run(counting(until=6))["sum.number"] == 107
    assert bench.run(counting())["sum.number"] == 111
    assert counter.steps == list(range(1, 11))


def test_an_end_that_is_linked_is_an_end_too(bench: Bench) -> None:
    counter = Counter(bench)
    assert bench.run(counting(until=3))["sum.number"] == 104
    graph = counting()
    graph["end"] = {"type": "Add", "inputs": {"a": 3, "b": 2}}
    graph["count"]["inputs"]["until"] = link("end")
    assert bench.run(graph, "sum")["sum.number"] == 106
    assert counter.steps == [1, 2, 3, 4, 5]


def test_other_work_starts_anew(bench: Bench) -> None:
    counter = Counter(bench)
    bench.run(counting(until=3))
    assert bench.run(counting(until=4, start=7))["sum.number"] == 12
    assert counter.steps == [1, 2, 3, 1, 2, 3, 4]


def test_what_is_done_leaves_no_checkpoint(bench: Bench) -> None:
    counter, token = Counter(bench), CancelToken()
    kept = MemoryCheckpoints()
    engine = Engine(bench.registry, environment=bench.environment, saver=Saver(kept))
    counter.at[4] = token.cancel
    bench.run(counting(), cancel=token, engine=engine)
    engine.shared.saver.flush()
    assert len(kept) == 1
    bench.run(counting(), engine=engine)
    engine.close()
    assert len(kept) == 0


def test_a_paused_run_starts_nothing_and_leaves_its_lane_to_others(bench: Bench) -> None:
    counter, token = Counter(bench), CancelToken()
    counter.at[4] = token.pause

    async def both() -> None:
        paused = asyncio.create_task(bench.run_async(counting(), cancel=token))
        while not token.waiting:
            await asyncio.sleep(0.001)
        events = bench.events
        # The lane has one place, and a node of the paused run stands in the middle of its work.
        other = {"other": {"type": "Add", "inputs": {"a": 1, "b": 1}}}
        result = await asyncio.wait_for(bench.run_async(other), PATIENCE)
        assert result["other.number"] == 2
        assert counter.steps == [1, 2, 3, 4]
        token.resume()
        result = await asyncio.wait_for(paused, PATIENCE)
        assert result["sum.number"] == 111
        kinds = [event.kind for event in events]
        assert kinds.index("job.paused") < kinds.index("job.resumed")
        assert kinds[-1] == "job.finished"

    asyncio.run(both())


def test_what_was_not_begun_waits_until_the_run_is_resumed(bench: Bench) -> None:
    counter, token = Counter(bench), CancelToken()
    counter.at[10] = token.pause

    async def paused() -> None:
        run = asyncio.create_task(bench.run_async(counting(), cancel=token))
        while not token.waiting:
            await asyncio.sleep(0.001)
        assert bench.kinds("node.started") == ["count"]
        token.resume()
        assert (await asyncio.wait_for(run, PATIENCE)).is_ok

    asyncio.run(paused())


def test_a_paused_run_can_be_cancelled_and_continued(bench: Bench) -> None:
    counter, token = Counter(bench), CancelToken()
    counter.at[4] = token.pause

    async def cancelled() -> None:
        run = asyncio.create_task(bench.run_async(counting(), cancel=token))
        while not token.waiting:
            await asyncio.sleep(0.001)
        token.cancel("had enough")
        assert (await asyncio.wait_for(run, PATIENCE)).status == "cancelled"

    asyncio.run(cancelled())
    assert bench.run(counting())["sum.number"] == 111
    assert counter.steps == [*range(1, 5), *range(5, 11)]


def test_an_async_node_of_a_paused_run_does_not_hold_up_the_others(bench: Bench) -> None:
    token, ended = CancelToken(), threading.Event()

    @node(lane="io")
    async def Waits(ctx: Context) -> int:
        """Report while the run is paused."""
        token.pause()
        ctx.progress(1, 2)
        ended.set()
        return 1

    bench.add(Waits)

    async def paused() -> None:
        run = asyncio.create_task(bench.run_async({"w": {"type": "Waits"}}, cancel=token))
        while not ended.is_set():
            await asyncio.sleep(0.001)
        token.resume()
        assert (await asyncio.wait_for(run, PATIENCE)).is_ok

    asyncio.run(paused())


@pytest.mark.parametrize("at", [1, 5, 10])
def test_a_mapped_node_goes_on_call_by_call(bench: Bench, at: int) -> None:
    counter, token = Counter(bench), CancelToken()

    @node
    def Starts() -> list[int]:
        """Where to start."""
        return [100, 200]

    bench.add(Starts)
    counter.at[at] = token.cancel
    graph = {
        "starts": {"type": "Starts"},
        "count": {"type": "Count", "inputs": {"start": link("starts")}},
    }
    bench.run(graph, cancel=token)
    assert list(bench.run(graph)["count.number"]) == [110, 210]
    assert sorted(counter.steps) == sorted([*range(1, 11), *range(1, 11)])


def test_what_was_warned_of_before_a_run_was_cancelled_is_told_by_the_next(bench: Bench) -> None:
    token = CancelToken()

    @node
    def Sum(ctx: Context, total: int) -> int:
        """Add numbers up, and leave one out."""
        found = ctx.restored()
        step = found.step if found else 0
        while step < total:
            step += 1
            if step == 2:
                ctx.log("2 is left out", "warning")
            if step == 4:
                token.cancel()
            ctx.checkpoint(step, total, dict)
            ctx.progress(step, total)
        return total

    bench.add(Sum)
    graph = {"sum": {"type": "Sum", "inputs": {"total": 6}}}
    assert bench.run(graph, cancel=token).status == "cancelled"
    for _ in range(2):
        assert bench.run(graph).nodes["sum"].warnings == ("2 is left out",)
        (logged,) = [event for event in bench.events if event.kind == "log"]
        assert (logged.node, logged.data["message"]) == ("sum", "2 is left out")
