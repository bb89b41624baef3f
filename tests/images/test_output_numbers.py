"""Saving one more file costs the same however many there are, and keeps what was promised."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.media.images.output_files import save_numbered
from tests.properties import examples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "outputs.sqlite"


def save(folder: Path, index: Path | None, *contents: bytes, name: str = "a") -> list[str]:
    """Names of the files; those that were there already in brackets."""
    saved = save_numbered(folder, name, ".bin", contents, index=index)
    assert [item.path.read_bytes() for item in saved] == list(contents)
    return [f"[{item.path.name}]" if item.existed else item.path.name for item in saved]


def changed_by_others(folder: Path) -> None:
    """A change to a folder that comes later than all before, however coarse its clock is."""
    now = time.time_ns() + 10**9
    os.utime(folder, ns=(now, now))


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts what is asked of the file system."""
    counts: Counter[str] = Counter()

    def counting(owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            return plain(*args, **options)

        patched.setattr(owner, name, call)

    def scandir(path: Any = ".") -> Any:
        with plain_scandir(path) as entries:
            counts["entries"] += len(list(entries))
        return plain_scandir(path)

    plain_scandir = os.scandir
    with monkeypatch.context() as patched:
        for owner, name in ((os, "stat"), (os, "link"), (os, "open"), (Path, "stat")):
            counting(owner, name)
        counting(Path, "read_bytes")
        patched.setattr(os, "scandir", scandir)
        yield counts


def test_what_saving_asks_of_the_disk_does_not_grow_with_the_files(
    folder: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for count in (10, 1_000):
        for number in range(len(list(folder.glob("*"))), count):
            folder.mkdir(exist_ok=True)
            (folder / f"a_{number + 1:05}.bin").write_bytes(b"%04d" % number)
        changed_by_others(folder) if count > 10 else None
        save(folder, index, b"first after a look")
        with counted(monkeypatch) as counts:
            assert save(folder, index, b"same size %d" % count) == [f"a_{count + 2:05}.bin"]
            assert save(folder, index, b"same size %d" % count) == [f"[a_{count + 2:05}.bin]"]
        asked.append(counts)
        for number in (1, 2):
            (folder / f"a_{count + number:05}.bin").unlink()
    assert asked[0] == asked[1]
    assert asked[0]["entries"] == 0


def test_what_others_put_there_is_seen(folder: Path, index: Path) -> None:
    assert save(folder, index, b"1") == ["a_00001.bin"]
    (folder / "a_00041.bin").write_bytes(b"41")
    (folder / "a_notes.txt").write_bytes(b"")
    changed_by_others(folder)
    assert save(folder, index, b"2", b"41") == ["a_00042.bin", "[a_00041.bin]"]
    (folder / "a_00042.bin").unlink()
    changed_by_others(folder)
    assert save(folder, index, b"3") == ["a_00042.bin"]


def test_a_file_that_was_changed_in_place_is_not_taken_for_what_it_was(
    folder: Path, index: Path
) -> None:
    save(folder, index, b"old")
    (folder / "a_00001.bin").write_bytes(b"new")
    assert save(folder, index, b"old") == ["a_00002.bin"]
    assert (folder / "a_00001.bin").read_bytes() == b"new"


def test_a_number_that_somebody_took_unseen_is_left_to_them(folder: Path, index: Path) -> None:
    save(folder, index, b"1")
    before = folder.stat()
    (folder / "a_00002.bin").write_bytes(b"theirs")
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert save(folder, index, b"mine") == ["a_00003.bin"]
    assert (folder / "a_00002.bin").read_bytes() == b"theirs"


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 500])
def test_without_what_was_known_nothing_is_lost_but_time(
    folder: Path, index: Path, damage: bytes
) -> None:
    save(folder, index, b"1", b"2")
    for path in index.parent.iterdir():
        path.write_bytes(damage)
    assert save(folder, index, b"2", b"3") == ["[a_00002.bin]", "a_00003.bin"]
    assert save(folder, index, b"3", b"4") == ["[a_00003.bin]", "a_00004.bin"]


def test_where_nothing_can_be_remembered_files_are_saved_all_the_same(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    index = tmp_path / "file" / "outputs.sqlite"
    assert save(folder, index, b"1") == ["a_00001.bin"]
    assert save(folder, index, b"1", b"2") == ["[a_00001.bin]", "a_00002.bin"]


SCRIPT = """
import sys
from pathlib import Path
from nodegraph.media.images.output_files import save_numbered
folder, index, who = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
for number in range(30):
    contents = [f"{who} {number}".encode(), f"both {number}".encode()]
    save_numbered(folder, "a", ".bin", contents, index=index)
    if who == "killed" and number == 15:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_several_processes_at_once_lose_nothing_even_if_one_is_killed(
    folder: Path, index: Path
) -> None:
    names = ("one", "two", "killed")
    arguments = [sys.executable, "-c", SCRIPT, str(folder), str(index)]
    running = [subprocess.Popen([*arguments, name]) for name in names]
    assert [each.wait(300) == 0 for each in running] == [True, True, False]
    contents = Counter(path.read_bytes() for path in folder.iterdir())
    for name, count in zip(names, (30, 30, 16), strict=True):
        for number in range(count):
            assert contents[f"{name} {number}".encode()] == 1
    numbers = sorted(int(path.name[2:7]) for path in folder.iterdir())
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(save(folder, index, b"one 29", b"more")) == 2


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.tuples(st.sampled_from("sdwr"), st.sampled_from("ab"), st.integers(0, 5))))
def test_it_does_what_looking_through_the_folder_would(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    home = tmp_path_factory.mktemp("both")
    with_index, without = home / "with", home / "without"
    for folder in (with_index, without):
        folder.mkdir()
    for at, (step, name, number) in enumerate(steps):
        told = []
        for folder, index in ((with_index, home / "index.sqlite"), (without, None)):
            path = folder / f"{name}_{number:05}.bin"
            if step == "s":
                told.append(save(folder, index, b"%d" % number, name=name))
            elif step == "d":
                path.unlink(missing_ok=True)
            elif step == "w":
                path.write_bytes(b"by others %d" % at)
            elif path.exists():
                path.rename(path.with_name(f"{name}_{number + 7:05}.bin"))
            if step != "s":
                now = 10**18 + at * 10**9
                os.utime(folder, ns=(now, now))
        assert told[:1] == told[1:]
    assert contents_of(with_index) == contents_of(without)


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take UTF-8 names only")
def test_names_that_are_no_utf_8_are_no_obstacle(tmp_path: Path, index: Path) -> None:
    folder = tmp_path / os.fsdecode(b"out\xff")
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9_00007.bin")).write_bytes(b"of another program")
    assert save(folder, index, b"one") == ["a_00001.bin"]
    assert save(folder, index, b"one", b"two") == ["[a_00001.bin]", "a_00002.bin"]
