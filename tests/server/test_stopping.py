"""What goes on beside requests ends when the server stops, whatever happens at that moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from nodegraph.jobs.supervisor.queue_reads import EventTail
from nodegraph.models.model_hashes import ModelHashCache
from nodegraph.server.services import cancel_and_wait
from nodegraph.server.workflows import model_watch
from nodegraph.server.workflows.model_watch import ModelIndex
from tests.jobs.queue.support import open_queue


@pytest.mark.parametrize("turns", range(6))
def test_rounds_end_when_they_are_cancelled_as_they_are_woken(turns: int, tmp_path: Path) -> None:
    """Python's `wait_for` before 3.12 forgets that it is cancelled if it just got its answer."""
    assert asyncio.run(_ended_rounds(turns, tmp_path))


async def _ended_rounds(turns: int, folder: Path) -> bool:
    """Whether rounds end that are cancelled so many turns of the loop after they were woken."""
    wake = asyncio.Event()

    async def wait_long() -> float:
        return 1000.0

    with open_queue(folder) as queue:
        tail = EventTail(queue)
        rounds = tail.run_rounds(wait_long, lambda _: False, wake, "there are no rounds now")
        task = asyncio.create_task(rounds)
        for _ in range(5):
            await asyncio.sleep(0)
        wake.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        ending = asyncio.create_task(cancel_and_wait(task))
        await asyncio.wait([ending], timeout=5)
        task.cancel()
        tail.close()
        return ending.done() and task.cancelled()


class _Paused(Event):
    """An event whose next `clear` waits."""

    def __init__(self, changes: list[str], is_cleared: Event, proceed: Event) -> None:
        super().__init__()
        self._changes, self._is_cleared, self._proceed = changes, is_cleared, proceed

    def set(self) -> None:
        super().set()
        self._changes.append("set")

    def clear(self) -> None:
        self._is_cleared.set()
        assert self._proceed.wait(60)
        super().clear()


def test_the_index_of_models_ends_when_it_is_closed_as_it_begins_to_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changes: list[str] = []
    is_cleared, proceed = Event(), Event()
    monkeypatch.setattr(model_watch, "Event", lambda: _Paused(changes, is_cleared, proceed))
    monkeypatch.setattr(model_watch, "_SETTLE_SECONDS", 0.01)
    no_workflow: Callable[[str], str] = {}.__getitem__
    cache = ModelHashCache(tmp_path)
    index = ModelIndex(list, cache, lambda _: [], no_workflow, lambda: None)
    index.request_update()
    assert is_cleared.wait(60)

    closing = Thread(target=index.close, daemon=True)
    closing.start()
    while len(changes) < 3:  # the update that was asked for, and both that end the thread
        closing.join(0.01)
    proceed.set()

    closing.join(10)
    assert not closing.is_alive()
