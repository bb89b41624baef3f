"""Progress and previews come after what they belong to, and never pile up."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nodegraph.jobs.queue import JobEvent
from nodegraph.jobs.queue.events import LiveEvent
from nodegraph.server.events.hub import SlowConsumer
from nodegraph.server.events.hub.messages import HubMessage, event_message, live_message
from nodegraph.server.events.hub.subscription import Pending
from tests.jobs.queue.support import event
from tests.jobs.supervisor.dispatching import run
from tests.messages import raises
from tests.server.hubs import Hub, content, hub_on, kinds, left, taken


async def begun(it: Hub):  # type: ignore[no-untyped-def]
    """A job whose node has begun, and somebody who has seen that."""
    following = it.hub.subscribe()
    await it.submit()
    job = await it.claim()
    await it.tell(job, event(0, "job.started"), event(1))
    await taken(following, 4)
    return following, job


def test_a_preview(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following, job = await begun(it)
            it.show(job, 1, 2, "node.preview", image=b"\xff\x00", mime="image/webp")
            (shown,) = await taken(following, 1)
            told = content(shown)
            assert told["data"] == {"image": b"\xff\x00", "mime": "image/webp"}
            assert (told["after"], told["number"], told["client"]) == (it.hub.newest, 2, "ann")
            assert "seq" not in told
            assert '"image":{"base64":"/wA="}' in shown.json

    run(test())


def test_progress_waits_for_what_comes_before_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following, job = await begun(it)
            it.show(job, 2, 3, "node.progress", step=1)
            it.show(job, 2, 4, "node.progress", step=2)
            assert not await left(following)
            await it.tell(job, event(2, "node.started"))
            messages = await taken(following, 2)
            assert kinds(messages) == ["node.started", "node.progress"]
            assert content(messages[1])["data"] == {"step": 2}
            assert content(messages[1])["after"] == messages[0].seq

    run(test())


def test_only_the_newest_progress_is_shown(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following, job = await begun(it)
            for step in range(500):
                it.show(job, 1, 2 + step, "node.progress", step=step)
            messages = await taken(following, 2)
            assert [content(message)["data"]["step"] for message in messages] == [0, 499]

    run(test())


def test_nothing_is_shown_of_a_node_that_has_ended(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following, job = await begun(it)
            for step in range(9):
                it.show(job, 1, 2 + step, "node.progress", step=step)
            it.show(job, 1, 11, "node.preview", image=b"last")
            await it.tell(job, event(12, "node.finished"))
            # Whoever takes at once may well see progress before the node ends.
            await it.seen()
            # The last image is worth showing, however late it is.
            assert kinds(await taken(following, 2)) == ["node.preview", "node.finished"]
            assert not await left(it.hub.subscribe())

    run(test())


def test_nothing_is_shown_of_an_attempt_that_is_over(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            following, job = await begun(it)
            it.show(job, 9, 10, "node.progress", step=1)
            await asyncio.wrap_future(it.queue.release(job.id, job.attempt))
            again = await it.claim()
            await it.tell(again, event(20))
            messages = await taken(following, 3)
            assert kinds(messages) == ["job.requeued", "job.claimed", "node.started"]
            it.show(job, 0, 11, "node.progress", step=2)
            it.show(again, 20, 21, "node.progress", step=3)
            (shown,) = await taken(following, 1)
            assert content(shown)["attempt"] == again.attempt

    run(test())


def test_who_comes_late_sees_what_is_shown_now(tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(tmp_path) as it:
            _, job = await begun(it)
            it.show(job, 1, 2, "node.preview", image=b"x")
            await asyncio.sleep(0)
            for late in (it.hub.subscribe(), it.hub.subscribe([job.id])):
                assert kinds(await taken(late, 1)) == ["node.preview"]
            blind = it.hub.subscribe([job.id], previews=False)
            other = it.hub.subscribe(client="bob")
            await it.tell(job, event(3, "node.finished"))
            assert kinds(await taken(blind, 1)) == ["node.finished"]
            assert not await left(other)
            assert not await left(it.hub.subscribe())

    run(test())


def progress(
    step: int, node: str = "node", kind: str = "node.progress", size: int = 0
) -> HubMessage:
    told = event(step, kind, step=step, image=b"x" * size)  # type: ignore[arg-type]
    told = type(told)(step, told.kind, node, 0.0, told.data)
    return live_message(LiveEvent("job", "ann", 1, 0, told), 0)


def kept(seq: int, kind: str = "log", size: int = 0) -> HubMessage:
    data = {"text": "x" * size}
    return event_message(JobEvent(seq, "job", "ann", 1, seq, kind, 0.0, "node", 0.0, data))


def test_what_waits_is_the_newest() -> None:
    waiting = Pending(100, 1 << 20)
    for message in (kept(1), progress(1), progress(1, "other"), kept(2), progress(2)):
        waiting.add(message)
    taken_ = waiting.take(1 << 20)
    assert [message.seq or message.node for message in taken_] == [1, "other", 2, "node"]
    assert not waiting


def test_progress_of_a_node_that_ends_is_dropped() -> None:
    waiting = Pending(100, 1 << 20)
    for message in (progress(1), progress(1, kind="node.preview"), kept(5, "node.finished")):
        waiting.add(message)
    assert [message.kind for message in waiting.take(1 << 20)] == ["node.preview", "node.finished"]


def test_previews_go_before_a_slow_client_does() -> None:
    waiting = Pending(100, 10_000)
    waiting.add(kept(1))
    waiting.add(progress(1, size=9_000))
    waiting.add(kept(2, size=5_000))
    assert [message.seq for message in waiting.take(1 << 20)] == [1, 2]
    with raises(SlowConsumer, given="1 event, 20.4 kB waiting"):
        waiting.add(kept(3, size=20_000))


def test_what_is_taken_at_once_is_bounded() -> None:
    waiting = Pending(100, 1 << 20)
    for seq in range(1, 10):
        waiting.add(kept(seq, size=1000))
    sizes = []
    while waiting:
        sizes.append(len(waiting.take(4_000)))
    assert sum(sizes) == 9
    assert max(sizes) < 4
    waiting.add(kept(20, size=9_000))
    assert len(waiting.take(4_000)) == 1
