"""Whoever comes and goes at will has seen each event once, in order, in the end."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.server.events.hub import Subscription, subscription
from tests.jobs.queue.support import event
from tests.jobs.supervisor.dispatching import PATIENCE, run
from tests.properties import examples
from tests.server.hubs import Hub, hub_on

CLIENTS = ("ann", "bob")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.sampled_from(CLIENTS), st.integers(1, 6)),
        st.tuples(st.just("work"), st.integers(0, 5)),
        st.tuples(st.just("take"), st.integers(0, 3)),
        st.tuples(st.just("come"), st.integers(0, 3)),
        st.tuples(st.just("leave"), st.integers(0, 3)),
        st.just(("breathe",)),
        st.just(("reopen",)),
    ),
    max_size=40,
)


@dataclass
class Follower:
    """Somebody who follows some jobs, with interruptions."""

    which: dict[str, Any]
    numbers: list[int | None] = field(default_factory=list)
    last: int = 0
    now: Subscription | None = None

    def come(self, it: Hub) -> None:
        if self.now is None:
            self.now = it.hub.subscribe(after=self.last, **self.which)
            assert self.now.position == self.last

    def leave(self) -> None:
        if self.now is not None:
            self.now.close()
            self.now = None

    async def take(self) -> bool:
        """Whether there was something."""
        if self.now is None:
            return False
        batch = await self.now.next(0.002)
        self.numbers += [message.seq for message in batch.messages]
        self.last = batch.last
        return bool(batch.messages)


async def work(it: Hub, count: int) -> None:
    """A job runs, or begins to."""
    job = await asyncio.wrap_future(it.queue.claim("worker"))
    if job is None:
        return
    await it.tell(job, *(event(at) for at in range(count)))
    if count % 2:
        await asyncio.wrap_future(it.queue.finish(job.id, job.attempt, {}))


async def lived(folder: Path, steps: list[tuple[Any, ...]]) -> None:
    async with hub_on(folder) as it:
        some = await it.submit(count=3) + await it.submit("bob", 2)
    followers = [Follower({}), Follower({"client": "bob"}), Follower({"jobs": some[1:4]})]
    followers.append(Follower({"jobs": some[:4], "client": "bob"}))
    left = list(steps)
    while True:
        async with hub_on(folder, ring_size=6) as it:
            await all_steps(it, left, followers)
            if left:
                continue
            await it.seen()
            newest = it.queue.newest_event()
            for follower in followers:
                follower.come(it)
                while await follower.take() or follower.last < newest:
                    pass
            told = it.queue.events_after(0, limit=10_000).events
        break
    for follower in followers:
        jobs, client = follower.which.get("jobs"), follower.which.get("client")
        assert follower.numbers == [
            each.seq
            for each in told
            if client in (None, each.client) and (jobs is None or each.job in jobs)
        ]


async def all_steps(it: Hub, left: list[tuple[Any, ...]], followers: list[Follower]) -> None:
    """Take steps until the server is to be opened anew."""
    while left:
        kind, *about = left.pop(0)
        if kind == "submit":
            await it.submit(*about)
        elif kind == "work":
            await work(it, *about)
        elif kind == "breathe":
            await asyncio.sleep(0.001)
        elif kind == "reopen":
            break
        elif kind == "take":
            await followers[about[0]].take()
        elif kind == "come":
            followers[about[0]].come(it)
        else:
            followers[about[0]].leave()
    for follower in followers:
        follower.leave()


@pytest.fixture(autouse=True, scope="module")
def _small_steps() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subscription, "_AT_ONCE", 3)
        yield


@settings(max_examples=examples(40), deadline=None)
@given(STEPS)
def test_each_event_once(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(asyncio.wait_for(lived(Path(folder), steps), PATIENCE))
