"""What code of packs hangs in is told, with its line, while it hangs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import pytest

from nodegraph.core import pack_faults as patience
from nodegraph.core.pack_faults import Watchdog

HERE = Path(__file__)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "WARN_AFTER", 0.05)
    monkeypatch.setattr(patience, "_PERIOD", 0.01)


def until(condition: Callable[[], object]) -> None:
    end = monotonic() + 60
    while not condition():
        assert monotonic() < end
        sleep(0.005)


def test_what_takes_long_is_told_once_with_the_line_it_is_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched, goes_on = Watchdog(), Event()

    def hang() -> None:
        with watched.watch("pack `clouds`: importing it", HERE):
            goes_on.wait()

    thread = Thread(target=hang)
    thread.start()
    until(watched.overdue_work)
    line = hang.__code__.co_firstlineno + 2
    assert f"and is still running, in {HERE.name}, line {line}" in (watched.overdue_work() or "")
    until(lambda: "pack `clouds`: importing it has taken" in caplog.text)
    goes_on.set()
    thread.join()
    assert watched.overdue_work() is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "importing it ended after" in caplog.records[-1].getMessage()


def test_it_is_given_up_where_somebody_says_when(caplog: pytest.LogCaptureFixture) -> None:
    watched, ended = Watchdog(), Event()
    watched.end = ended.set
    with watched.watch("short"):
        sleep(0.1)
    assert not ended.is_set()
    watched.limit = 0.1
    with watched.watch_import("of a library", HERE):
        until(watched.overdue_work)
    assert not ended.is_set()
    with watched.watch("node `a` (Odd): its validate function"):
        assert ended.wait(60)
    assert "node `a` (Odd): its validate function has taken" in caplog.text


def test_what_is_quick_leaves_no_thread_behind() -> None:
    watched = Watchdog()
    for _ in range(3):
        with watched.watch("quick"):
            pass
        until(lambda: watched._watching is None)
    assert watched.overdue_work() is None
