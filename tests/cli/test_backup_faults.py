"""Backups and restores that are killed at any step, or find no room: nothing is half done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.errors import OutputError
from nodegraph.server.operations.backup import backup, restore
from nodegraph.server.operations.backup.writer import workspace
from nodegraph.session.settings import Settings
from tests.cli.homes import filled, jobs, tree
from tests.cli.killing import look
from tests.messages import raises
from tests.server.disks import small_disk

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks of a process")


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: nobody waits for a disk a hundred times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def killing(action: str, *paths: Path) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.killing", action, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=500,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_restore_that_is_killed_at_any_step_has_done_nothing_or_all(quick: Path) -> None:
    old = filled(quick / "old", name="second")
    archive = quick / "b.zip"
    backup(Settings(home=filled(quick / "first")), archive)
    work = quick / "work"
    found = killing("restoring", old, archive, work)
    before, after = look(old), found[-1]
    assert "outputs/day/first.png" in after
    assert "outputs/day/second.png" not in after
    assert len(found) > 50
    states = [state == after for state in found]
    # The one that decides is a step like any other: before it nothing is changed, after it all is.
    decided = states.index(True)
    assert 10 < decided < len(found) - 10
    assert states == [False] * decided + [True] * (len(found) - decided)
    for state in found[:decided]:
        assert state == before
    assert [job[0] for job in jobs(work / "home")] == ["done", "first"]


@pytest.mark.slow
def test_a_backup_that_is_killed_at_any_step_leaves_the_one_before(quick: Path) -> None:
    home = filled(quick / "home")
    target = quick / "out" / "b.zip"
    target.parent.mkdir()
    *found, left = killing("packing", home, target, quick)
    assert len(found) > 20
    assert found[0] == ["none", False]
    for content, is_whole in found[1:]:
        assert is_whole is (content != b"old!".hex())
    assert found[-1][1]
    assert left == ["b.zip"]


def test_a_folder_of_a_backup_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    with workspace(tmp_path / "b.zip") as one:
        os.utime(one, (0, 0))
        with workspace(tmp_path / "b.zip") as two:
            assert one.exists()
            assert one != two
    assert list(tmp_path.iterdir()) == []


def test_a_backup_for_which_there_is_no_room_leaves_the_one_before(tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    (home / "outputs" / "large.bin").write_bytes(os.urandom(3 << 20))
    with small_disk(tmp_path / "disk", 2 << 20) as disk:
        target = disk / "b.zip"
        target.write_bytes(b"before")
        with raises(OutputError):
            backup(Settings(home=home), target)
        assert target.read_bytes() == b"before"
        assert [path.name for path in disk.iterdir()] == ["b.zip"]


def test_a_restore_for_which_there_is_no_room_changes_nothing(tmp_path: Path) -> None:
    first = filled(tmp_path / "first")
    (first / "outputs" / "large.bin").write_bytes(os.urandom(3 << 20))
    backup(Settings(home=first), tmp_path / "b.zip")
    with small_disk(tmp_path / "disk", 2 << 20) as disk:
        home = filled(disk / "home", name="second")
        before, waiting = tree(home), jobs(home)
        with raises(OutputError, given="1.9 MB free"):
            restore(Settings(home=home), tmp_path / "b.zip", force=True)
        assert (tree(home), jobs(home)) == (before, waiting)


def test_a_disk_that_gets_full_during_a_restore_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = filled(tmp_path / "first")
    (first / "outputs" / "large.bin").write_bytes(os.urandom(3 << 20))
    backup(Settings(home=first), tmp_path / "b.zip")
    # As if there had been room when it was looked for.
    monkeypatch.setattr(
        "nodegraph.server.operations.backup.restorer._Restoring._check_room", lambda self: None
    )
    with small_disk(tmp_path / "disk", 2 << 20) as disk:
        home = filled(disk / "home", name="second")
        before, waiting = tree(home), jobs(home)
        with pytest.raises(OutputError, match="No space"):
            restore(Settings(home=home), tmp_path / "b.zip", force=True)
        assert (tree(home), jobs(home)) == (before, waiting)
        assert not list(home.glob(".restore*"))


def test_what_is_a_disk_of_its_own_isnt_replaced(tmp_path: Path) -> None:
    first = filled(tmp_path / "first")
    backup(Settings(home=first), tmp_path / "b.zip")
    home = filled(tmp_path / "home", name="second")
    (home / "outputs").rename(tmp_path / "before")
    with small_disk(home / "outputs", 1 << 20):
        (home / "outputs" / "mine.txt").write_text("mine")
        before = tree(home)
        with raises(OutputError):
            restore(Settings(home=home), tmp_path / "b.zip", force=True)
        assert tree(home) == before
