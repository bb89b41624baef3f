"""Calls that hang are given up; here they wait for an event, in place of Ray for an answer."""

from __future__ import annotations

import asyncio
from threading import Event, current_thread

from nodegraph.jobs.cluster.failure_detection import (
    ClusterHead,
    HeadGone,
    SerialCalls,
    run_detached,
    wait_unless_lost,
)
from tests.jobs.cluster.test_head import listening
from tests.messages import raises


def test_what_is_asked_of_a_head_ends_with_it() -> None:
    async def use() -> None:
        server, port = listening()
        head = ClusterHead("127.0.0.1", port)
        assert await head.probe()
        answer = Event()
        asked = asyncio.create_task(wait_unless_lost(run_detached(answer.wait), head))
        await asyncio.sleep(0)
        server.close()
        with raises(HeadGone):
            await asyncio.wait_for(asked, 60)
        answer.set()

    asyncio.run(use())


def test_a_head_that_leaves_a_call_unanswered_for_long_is_lost() -> None:
    async def use() -> None:
        head = ClusterHead("127.0.0.1", 1)
        answer = Event()
        with raises(HeadGone):
            await wait_unless_lost(run_detached(answer.wait), head, 0.01)
        assert head.is_lost
        answer.set()

    asyncio.run(use())


def test_an_answer_is_given_whether_it_is_one_or_an_error() -> None:
    async def use() -> None:
        head = ClusterHead("127.0.0.1", 1)
        assert await wait_unless_lost(run_detached(int, "7"), head) == 7
        with raises(ValueError):
            await wait_unless_lost(run_detached(int, "seven"), head)

    asyncio.run(use())


def test_one_that_hangs_keeps_the_next_from_being_made() -> None:
    async def use() -> None:
        calls, answer = SerialCalls(), Event()
        first = calls.apart(answer.wait)
        # To give it up ends the waiting, not the call.
        first.cancel()
        with raises(HeadGone):
            calls.apart(int)
        answer.set()
        while True:
            try:
                assert await calls.apart(int, "7") == 7
            except HeadGone:
                await asyncio.sleep(0.01)
            else:
                return

    asyncio.run(asyncio.wait_for(use(), 60))


def test_all_are_made_in_a_thread_that_stays() -> None:
    """As what one of them starts may end with its thread."""

    async def use() -> None:
        calls = SerialCalls()
        first = await calls.apart(current_thread)
        assert first.is_alive()
        assert await calls.apart(current_thread) is first
        calls.close()
        first.join(60)
        assert not first.is_alive()

    asyncio.run(use())
