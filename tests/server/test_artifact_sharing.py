"""The loop that shares what jobs gave ends when it is cancelled, whatever happens then."""

from __future__ import annotations

import asyncio
from threading import Event

from nodegraph.jobs.queue import JobEvent
from nodegraph.server.content.artifacts.artifact_files import ArtifactSharing

_LONG = 20.0
_NEWS = JobEvent(
    seq=1, job="a", client="c", attempt=1, number=1, kind="node.wrote",
    at=0.0, node="save", seconds=1.0, data={},
)  # fmt: skip


class _Counted:
    """Artifacts of which nothing is to be shared."""

    def __init__(self) -> None:
        self.looked = Event()

    def share(self) -> None:
        self.looked.set()

    def look_again(self) -> None:
        """Nothing failed."""


def test_a_cancellation_at_the_moment_of_news_is_heard() -> None:
    async def scenario() -> bool:
        artifacts = _Counted()
        sharing = ArtifactSharing(artifacts.share, artifacts.look_again)
        running = asyncio.ensure_future(sharing.run())
        await asyncio.to_thread(artifacts.looked.wait, _LONG)
        for _ in range(10):  # until it waits for news
            await asyncio.sleep(0.01)
        sharing.handle_events([_NEWS])
        running.cancel()
        await asyncio.wait({running}, timeout=_LONG)
        return running.cancelled()

    assert asyncio.run(scenario())
