"""A writer that is killed at any moment loses nothing that it had acknowledged, and hurts nobody.

A process that has everything imported forks one writer after the other; each puts values, flushes
and says so, until it is killed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from time import sleep

import pytest
import torch

from nodegraph.store.store import Store
from tests.processes import killed_after
from tests.store.support import files, key_of, new_entry, open_at, output, put
from tests.store.values import same

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forked")

_ROOT = Path(__file__).parents[2]
_KILLS = 200
_VALUES = 60

_PARENT = """
import os, sys
from pathlib import Path
from tests.store.test_crash import write_until_killed
for line in sys.stdin:
    begin = int(line)
    child = os.fork()
    if not child:
        write_until_killed(Path(sys.argv[1]), begin)
    os.write(1, b"writer %d\\n" % child)
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


def value_of(number: int) -> object:
    """The value of a number: small ones go into rows, others into files of all sizes."""
    if number % 3 == 0:
        return f"text {number}"
    return torch.full((500 << (number % 7),), float(number))


def write_until_killed(folder: Path, begin: int) -> None:
    """Put values and acknowledge what is committed; for a process of its own."""
    number = begin
    # A budget that makes it evict as well, all but what the test expects to find.
    store = open_at(folder, budget=4_000_000)
    while True:
        names = range(number, number + 1 + number % 4)
        for name in names:
            store.put(key_of(name % _VALUES), new_entry(value_of(name % _VALUES)))
        store.flush()
        os.write(1, b"".join(b"done %d\n" % name for name in names))
        number = names.stop


class Parent:
    """Forks writers."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            start_new_session=True,
        )
        self._bounds = ExitStack()
        self._bounds.enter_context(killed_after(self._process, 1200, group=True))
        self._writer = 0

    def run_and_kill(self, begin: int, after: int, delay: float) -> list[int]:
        """Fork a writer, kill it so many seconds after so many values; what it acknowledged."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % begin)
        self._process.stdin.flush()
        acknowledged: list[int] = []
        self._writer = 0
        while not self._writer or len(acknowledged) < after:
            acknowledged += self._acknowledged() or []
        sleep(delay)
        os.kill(self._writer, signal.SIGKILL)
        while (number := self._acknowledged()) is not None:
            acknowledged += number
        return acknowledged

    def _acknowledged(self) -> list[int] | None:
        """What the next line says; None if it is that the writer is dead."""
        assert self._process.stdout is not None
        kind, _, number = self._process.stdout.readline().partition(b" ")
        assert kind in (b"writer", b"done", b"dead\n"), "the writer failed"
        if kind == b"writer":
            self._writer = int(number)
        elif kind == b"done":
            return [int(number)]
        return None if kind == b"dead\n" else []

    def close(self) -> None:
        self._bounds.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


def damaged(store: Store) -> list[str]:
    """Files under a final name that hold something else, and rows whose file isn't whole."""
    found = [blob.digest for blob in store.blobs if not store.blobs.check(blob.digest, blob.suffix)]
    with store.index.reading() as connection:
        rows = connection.execute("SELECT file, suffix FROM artifacts").fetchall()
    found += [file.hex() for file, suffix in rows if not store.blobs.check(file.hex(), suffix)]
    return found


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    chance = random.Random(7)
    acknowledged: set[int] = set()
    begin = 0
    parent = Parent(folder)
    try:
        # Somebody else uses the store all the time.
        with open_at(folder) as beside:
            for kill in range(_KILLS):
                more = parent.run_and_kill(begin, kill % 3, chance.random() * 0.03)
                acknowledged.update(number % _VALUES for number in more)
                begin = max([begin - 1, *more]) + 1  # none is left out, however slow writers are
                for name in {number % _VALUES for number in more}:
                    assert same(beside.load(output(beside, name)), value_of(name))
                if kill % 20 == 0:
                    with open_at(folder) as store:
                        _check(store, acknowledged)
    finally:
        parent.close()
    assert len(acknowledged) == _VALUES
    with open_at(folder) as store:
        _check(store, acknowledged)
        assert files(folder, "temporary") == []
        store.sweep()
        names = {blob.digest for blob in store.blobs}
        with store.index.reading() as connection:
            rows = {row[0].hex() for row in connection.execute("SELECT file FROM artifacts")}
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            (counted,) = connection.execute(
                "SELECT value FROM meta WHERE name = 'bytes'"
            ).fetchone()
        assert names == rows
        assert counted == sum(file.stat().st_size for file in files(folder))


def _check(store: Store, acknowledged: set[int]) -> None:
    assert damaged(store) == []
    for name in acknowledged:
        found = output(store, name)
        assert store.has(found)
        assert same(store.load(found), value_of(name))


def test_a_copy_in_mid_flight_opens(tmp_path: Path) -> None:
    """As after a power cut: files and journal as they were at some moment."""
    folder, copy = tmp_path / "store", tmp_path / "copy"
    with open_at(folder) as store:
        for name in range(20):
            put(store, name, value_of(name))
        shutil.copytree(folder, copy)
    journal = copy / "index.sqlite-wal"
    content = journal.read_bytes()
    for length in (len(content), len(content) - 100, len(content) // 2, 1000, 0):
        journal.write_bytes(content[:length])
        (copy / "index.sqlite-shm").unlink(missing_ok=True)
        again = tmp_path / f"copy-{length}"
        shutil.copytree(copy, again)
        with open_at(again) as store:
            for name in range(20):
                if store.entry(key_of(name)) is not None:
                    assert same(store.load(output(store, name)), value_of(name))
            assert store.problem is None
