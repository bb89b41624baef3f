"""Who follows jobs gets each event once, in order, whenever they come and go."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nodegraph.server.events.hub import HubClosed, Notice, SlowConsumer, subscription
from nodegraph.server.events.hub.subscription import EventFilter, page
from tests.jobs.queue.support import event, wanted
from tests.jobs.supervisor.dispatching import PATIENCE, run
from tests.messages import raises
from tests.server.hubs import content, hub_on, kinds, left, taken


def test_events_as_they_happen(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following = it.hub.subscribe()
            (job,) = await it.submit()
            claimed = await it.claim()
            await it.tell(claimed, event(0, "job.started"), event(1, text="é"))
            messages = await taken(following, 4)
            assert kinds(messages) == ["job.queued", "job.claimed", "job.started", "node.started"]
            told = content(messages[3])
            kept = it.queue.events_after(0).events[3]
            assert told == {name: getattr(kept, name) for name in told}
            assert told["job"] == job
            assert following.position == it.hub.newest == kept.seq

    run(test())


def test_a_file_is_told_by_its_name_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following = it.hub.subscribe()
            await it.submit()
            wrote = event(0, "node.wrote", path="/home/ann/output/a.png", file="image")
            await it.tell(await it.claim(), wrote)
            told = content((await taken(following, 3))[2])
            assert told["data"] == {"name": "a.png", "file": "image"}

    run(test())


def test_all_get_the_same_message(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            first, second = it.hub.subscribe(), it.hub.subscribe()
            await asyncio.gather(first.next(0.01), second.next(0.01))
            await it.submit()
            assert (await taken(first, 1))[0] is (await taken(second, 1))[0]

    run(test())


def test_what_happened_before(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            await it.submit(count=3)
        async with hub_on(tmp_path) as it:
            known = it.queue.events_after(0).events[0].seq
            following, new = it.hub.subscribe(after=known), it.hub.subscribe()
            assert kinds(await taken(following, 2)) == ["job.queued"] * 2
            await it.submit()
            assert len(await taken(following, 1)) == len(await taken(new, 1)) == 1

    run(test())


def test_only_some_jobs(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path, ring_size=4) as it:
            jobs = await it.submit(count=6)
            await it.submit("bob", 3)
            following = it.hub.subscribe(jobs[1:3], after=0)
            assert [message.job for message in await taken(following, 2)] == jobs[1:3]
            it.queue.cancel(jobs[0])
            it.queue.cancel(jobs[2])
            assert [message.job for message in await taken(following, 1)] == [jobs[2]]

    run(test())


def test_only_a_clients_jobs(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path, ring_size=2) as it:
            (others,) = await it.submit("bob")
            own = await it.submit(count=4)
            following = it.hub.subscribe(client="ann", after=0)
            hidden = it.hub.subscribe([others], client="ann", after=0)
            assert [message.job for message in await taken(following, 4)] == own
            it.queue.cancel(others)
            await asyncio.wrap_future(it.queue.cancel(own[0]))
            assert [message.job for message in await taken(following, 1)] == [own[0]]
            assert not await left(hidden)

    run(test())


def test_a_page_of_several_jobs_goes_as_far_as_all_are_known(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            jobs = await it.submit(count=3)
            for job in jobs * 3:
                for action in (it.queue.hold, it.queue.unhold):
                    await asyncio.wrap_future(action(job))
            which = EventFilter(frozenset(jobs[:2]))
            expected = [each for each in it.queue.events_after(0).events if each.job != jobs[2]]
            found, last = [], 0
            while True:
                part = page(it.queue, which, last, 4)
                found += part.events
                assert part.last >= last
                last = part.last
                if part.is_complete:
                    break
            assert found == expected

    run(test())


def test_a_job_that_is_deleted_meanwhile(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            jobs = await it.submit(count=2)
            await asyncio.wrap_future(it.queue.cancel(jobs[0]))
            await asyncio.wrap_future(it.queue.delete(jobs[0]))
            await it.seen()
        async with hub_on(tmp_path) as it:
            following = it.hub.subscribe(jobs, after=0)
            assert [message.job for message in await taken(following, 1)] == [jobs[1]]

    run(test())


def test_a_number_that_was_never_given(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            await it.submit()
            await it.seen()
            following = it.hub.subscribe(after=await it.hub.resume_position(it.hub.newest + 1000))
            assert following.position == it.hub.newest
            await it.submit()
            assert kinds(await taken(following, 1)) == ["job.queued"]

    run(test())


def test_a_number_that_the_hub_has_yet_to_tell(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            it.queue.submit_all([]).result()
            for _ in range(3):
                # Waited for without letting the hub's loop go on.
                it.queue.cancel((await it.submit())[0]).result()
                newest = it.queue.newest_event()
                following = it.hub.subscribe(after=await it.hub.resume_position(newest))
                assert following.position == newest
                await it.submit()
                assert kinds(await taken(following, 1)) == ["job.queued"]

    run(test())


def test_what_happens_as_a_wait_is_over_is_taken_before_its_number_is_told(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following = it.hub.subscribe()
            await following.next(0.01)
            waiting = asyncio.create_task(following.next(PATIENCE))
            await asyncio.sleep(0)
            assert following._waiter is not None
            # The time is over, and before who waits goes on, the event is handed out.
            following._waiter.set_result(False)
            it.queue.submit(wanted()).result()
            it.hub._tail._read()
            batch = await waiting
            assert (kinds(list(batch.messages)), batch.last) == (["job.queued"], it.hub.newest)

    run(test())


def test_who_takes_nothing_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "MOST_PENDING", 20)
    monkeypatch.setattr(subscription, "_AT_ONCE", 10)

    async def test() -> None:
        async with hub_on(tmp_path) as it:
            overrun: list[SlowConsumer] = []
            slow = it.hub.subscribe(overrun=overrun.append)
            quick = it.hub.subscribe()
            await slow.next(0.01)
            for _ in range(7):
                await it.submit(count=3)
                await taken(quick, 3)
            assert len(overrun) == 1
            with raises(SlowConsumer):
                await slow.next()
            assert it.hub.subscribers == 1
            # Who comes back later has missed nothing.
            again = it.hub.subscribe(after=slow.position)
            assert len(await taken(again, 21)) == 21

    run(test())


def test_if_too_much_waits_for_all_whom_most_waits_for_is_ended_first(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path, max_bytes=60_000) as it:
            ended: list[str] = []
            names = ("greedy", "small", "quick")
            followers = {
                name: it.hub.subscribe(
                    client=None if name == "greedy" else "ann",
                    overrun=lambda _, name=name: ended.append(name),  # type: ignore[misc]
                )
                for name in names
            }
            for follower in followers.values():
                await follower.next(0.01)
            await it.submit()
            for _ in range(60):
                await it.submit("bob", count=4)
                await it.submit("ann")
                await it.seen()
                await left(followers["quick"])
                if ended:
                    break
            assert ended == ["greedy"]
            assert it.hub.subscribers == 2
            with raises(SlowConsumer, given="50.2 kB waiting"):
                await followers["greedy"].next()

    run(test())


def test_who_goes_on_from_long_ago_is_not_too_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "MOST_PENDING", 20)
    monkeypatch.setattr(subscription, "_AT_ONCE", 7)
    monkeypatch.setattr(subscription, "BATCH_BYTES", 2_000)

    async def test() -> None:
        async with hub_on(tmp_path, ring_size=50) as it:
            await it.submit(count=90)
            await it.seen()
            following = it.hub.subscribe(after=0)
            numbers = [message.seq for message in await taken(following, 90)]
            assert numbers == [each.seq for each in it.queue.events_after(0).events]

    run(test())


def test_an_end_of_all(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following = it.hub.subscribe()
            waiting = asyncio.create_task(following.next())
            await asyncio.sleep(0)
            notices = []
            it.hub.listen(notices.append)
            it.hub.close()
            with pytest.raises(HubClosed):
                await waiting
            with pytest.raises(HubClosed):
                it.hub.subscribe()
            assert [notice.kind for notice in notices] == ["server.stopping"]

    run(test())


def test_closing_a_subscription_ends_its_loop(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following = it.hub.subscribe()
            batches = []

            async def follow() -> None:
                async for batch in following:
                    batches.append(batch)

            task = asyncio.create_task(follow())
            await asyncio.sleep(0)
            following.close()
            await task
            await it.submit()
            await it.seen()
            assert (batches, it.hub.subscribers) == ([], 0)

    run(test())


def broken(notice: Notice) -> None:
    raise RuntimeError("a listener's own fault")


def test_notice(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            notices = []
            it.hub.listen(broken)
            end = it.hub.listen(notices.append)
            it.hub.notify("node_types.changed", digest="x")
            end()
            it.hub.notify("node_types.changed", digest="y")
            assert [notice.data for notice in notices] == [{"digest": "x"}]

    run(test())
