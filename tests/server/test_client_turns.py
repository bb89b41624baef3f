"""Clients have turns: in order, and never all the places there are."""

from __future__ import annotations

import threading
from collections.abc import Callable

from nodegraph.server.content.artifacts.thumbnails import FairTask, FairThreadPool

PATIENCE = 30.0


class Works:
    """Works that note when they are done; the first waits until it is let go."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.go = threading.Event()

    def named(self, name: str, *, is_held: bool = False) -> Callable[[], str]:
        def work() -> str:
            if is_held:
                assert self.go.wait(PATIENCE)
            self.done.append(name)
            return name

        return work


def test_clients_have_turns_however_much_one_brings() -> None:
    turns, works = FairThreadPool(1, 1, "test"), Works()
    given = [turns.submit("ann", works.named("ann 0", is_held=True))]
    given += [turns.submit("ann", works.named(f"ann {at}")) for at in (1, 2, 3)]
    given += [turns.submit("ben", works.named(f"ben {at}")) for at in (1, 2)]
    given += [turns.submit("cleo", works.named("cleo 1"))]
    works.go.set()
    for turn in given:
        turn.future.result(PATIENCE)
    assert works.done == ["ann 0", "ann 1", "ben 1", "cleo 1", "ann 2", "ben 2", "ann 3"]
    turns.close()


def test_no_client_has_all_places() -> None:
    turns, works = FairThreadPool(3, 2, "test"), Works()
    held = [turns.submit("ann", works.named("ann", is_held=True)) for _ in range(5)]
    assert turns.submit("ben", works.named("ben")).future.result(PATIENCE) == "ben"
    assert works.done == ["ben"]
    works.go.set()
    assert [turn.future.result(PATIENCE) for turn in held] == ["ann"] * 5
    turns.close()


def test_who_waits_for_another_s_work_needs_no_turn_of_the_other() -> None:
    turns, works = FairThreadPool(1, 1, "test"), Works()
    first = turns.submit("ann", works.named("first", is_held=True))
    others = [turns.submit("ann", works.named(name)) for name in ("second", "third")]
    shared: FairTask[str] = turns.submit("ann", works.named("shared"))
    for _ in range(2):
        turns.join("ben", shared)
    works.go.set()
    for turn in (first, *others, shared):
        turn.future.result(PATIENCE)
    turns.close()
    assert works.done == ["first", "second", "shared", "third"]


def test_what_is_not_begun_at_the_end_is_cancelled() -> None:
    turns, works = FairThreadPool(1, 1, "test"), Works()
    first = turns.submit("ann", works.named("first", is_held=True))
    second = turns.submit("ann", works.named("second"))
    threading.Timer(0.01, works.go.set).start()
    turns.close()
    assert first.future.result(0) == "first"
    assert second.future.cancelled()
    late = turns.submit("ann", works.named("late"))
    assert late.future.cancelled()
