"""Cancelling a run: it stops at the next step, and nothing is lost for the next one."""

from __future__ import annotations

import asyncio
import threading

import pytest

from nodegraph.api import Context, node
from nodegraph.engine.options import CancelToken
from tests.engine.conftest import Bench, Holder, link


def test_a_running_node_stops_at_its_next_step(bench: Bench) -> None:
    token = CancelToken()
    steps = []

    @node
    def Long(ctx: Context, total: int) -> int:
        """Cancel itself from outside after a few steps."""
        for step in range(total):
            steps.append(step)
            if step == 3:
                token.cancel()
            ctx.progress(step, total)
        return total

    @node
    def After(a: int) -> int:
        """Never run."""
        return a

    bench.add(Long, After)
    graph = {
        "l": {"type": "Long", "inputs": {"total": 1000}},
        "a": {"type": "After", "inputs": {"a": link("l")}},
    }
    result = bench.run(graph, cancel=token)
    assert result.status == "cancelled"
    assert steps == [0, 1, 2, 3]
    assert {name: report.status for name, report in result.nodes.items()} == {
        "l": "cancelled",
        "a": "cancelled",
    }
    assert bench.events[-1].kind == "job.cancelled"


def test_what_was_done_before_stays_cached(bench: Bench) -> None:
    token = CancelToken()

    @node
    def First(a: int) -> int:
        """Quick."""
        return a

    @node
    def Second(ctx: Context, a: int) -> int:
        """Cancelled the first time."""
        if not token.is_set:
            token.cancel()
        ctx.check_cancelled()
        return a

    bench.add(First, Second)
    graph = {
        "f": {"type": "First", "inputs": {"a": 1}},
        "s": {"type": "Second", "inputs": {"a": link("f")}},
    }
    bench.run(graph, cancel=token)
    result = bench.run(graph, "f")
    assert result.nodes["f"].status == "cached"


def test_waiting_async_nodes_are_cancelled(bench: Bench) -> None:
    token = CancelToken()

    @node(lane="io")
    async def Forever() -> int:
        """Wait for what never comes."""
        asyncio.get_running_loop().call_soon(token.cancel)
        await asyncio.Event().wait()
        return 1

    bench.add(Forever)
    assert bench.run({"f": {"type": "Forever"}}, cancel=token).status == "cancelled"


def test_a_run_cancelled_before_it_starts_runs_nothing(bench: Bench) -> None:
    @node
    def Never() -> int:
        """Not run."""
        raise AssertionError

    bench.add(Never)
    token = CancelToken()
    token.cancel()
    result = bench.run({"n": {"type": "Never"}}, cancel=token)
    assert (result.status, result.nodes["n"].status) == ("cancelled", "cancelled")


def test_a_waiting_run_goes_on_when_the_one_it_waited_for_is_cancelled(bench: Bench) -> None:
    token = CancelToken()
    started = threading.Event()
    calls = []

    @node
    def Shared(ctx: Context, a: int) -> int:
        """The first call is cancelled, the second one runs through."""
        calls.append(a)
        started.set()
        while len(calls) == 1:
            ctx.check_cancelled()
        return a

    bench.add(Shared)
    graph = {"s": {"type": "Shared", "inputs": {"a": 5}}}

    async def both() -> None:
        first = asyncio.create_task(bench.run_async(graph, cancel=token))
        while not started.is_set():
            await asyncio.sleep(0)
        second = asyncio.create_task(bench.run_async(graph))
        await asyncio.sleep(0)
        token.cancel()
        assert (await first).status == "cancelled"
        assert (await second)["s.number"] == 5

    asyncio.run(both())


def test_a_node_that_raises_cancelled_of_its_own_accord_has_failed(bench: Bench) -> None:
    from nodegraph.api import Cancelled

    @node
    def Gives(a: int) -> int:
        """Raise what isn't its own to raise."""
        raise Cancelled("on my own")

    bench.add(Gives)
    assert bench.run({"g": {"type": "Gives", "inputs": {"a": 1}}}).status == "failed"


def test_cancelling_the_waiting_task_stops_the_nodes_first(bench: Bench) -> None:
    started = threading.Event()
    ended = threading.Event()

    @node
    def Long(ctx: Context) -> int:
        """Run until cancelled."""
        started.set()
        try:
            while True:
                ctx.check_cancelled()
        finally:
            ended.set()

    bench.add(Long)

    async def impatient() -> None:
        run = asyncio.create_task(bench.run_async({"l": {"type": "Long"}}))
        while not started.is_set():
            await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert ended.is_set()

    asyncio.run(impatient())


def test_what_waits_for_another_run_or_for_a_place_is_cancelled_at_once(bench: Bench) -> None:
    deaf = Holder(bench)
    same = {"d": {"type": "Deaf", "inputs": {"value": 1}}}
    other = {"d": {"type": "Deaf", "inputs": {"value": 2}}}

    async def three() -> None:
        holder = asyncio.create_task(bench.run_async(same))
        await deaf.has_started()
        for graph in (same, other):
            token = CancelToken()
            waiting = asyncio.create_task(bench.run_async(graph, cancel=token))
            await asyncio.sleep(0)
            token.cancel()
            assert (await waiting).status == "cancelled"
        deaf.go.set()
        assert (await holder)["d.number"] == 1

    asyncio.run(three())


def test_a_token_may_be_cancelled_after_its_run(bench: Bench) -> None:
    @node
    def One() -> int:
        """One."""
        return 1

    bench.add(One)
    token = CancelToken()
    bench.run({"o": {"type": "One"}}, cancel=token)
    token.cancel()
    assert bench.run({"o": {"type": "One"}}, cancel=token).status == "cancelled"
