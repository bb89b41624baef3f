"""A file's digest is remembered from one process to the next while the file stays the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_digests import FileDigests, FileStamp
from nodegraph.store.file_records import StoredFileDigests
from nodegraph.store.index import Index

_WRONG = "ee" * 32


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with closing(Index(tmp_path / "index.sqlite")) as index:
        yield index


@pytest.fixture(autouse=True)
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written is a minute old when it is looked at."""
    clock = SimpleNamespace(time=lambda: time.time() + 60)
    monkeypatch.setattr("nodegraph.core.file_digests.time", clock)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    return path


def _digests(index: Index) -> FileDigests:
    """As a new process would have them."""
    digests = FileDigests()
    digests.attach(StoredFileDigests(index))
    return digests


def test_it_is_read_once_for_all_processes(index: Index, model: Path) -> None:
    assert _digests(index).digest(model) == digest_bytes(b"weights")
    stamp = FileStamp.of(model)
    assert StoredFileDigests(index).get(stamp) == digest_bytes(b"weights")
    # What is remembered is believed: the file isn't read again.
    StoredFileDigests(index).put(stamp, _WRONG)
    assert _digests(index).digest(model) == _WRONG


def test_a_folder_that_was_moved_costs_no_reading(index: Index, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    model = tmp_path / "home" / "model.safetensors"
    model.write_bytes(b"weights")
    _digests(index).digest(model)
    StoredFileDigests(index).put(FileStamp.of(model), _WRONG)  # told apart from what is read
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "model.safetensors"
    assert _digests(index).digest(moved) == _WRONG
    moved.write_bytes(b"another")
    assert _digests(index).digest(moved) == digest_bytes(b"another")


@pytest.mark.parametrize("change", ["bytes", "size", "time", "inode"])
def test_a_changed_file_is_read_again(index: Index, model: Path, change: str) -> None:
    _digests(index).digest(model)
    status = model.stat()
    StoredFileDigests(index).put(FileStamp.of(model), _WRONG)
    data = b"another" if change == "bytes" else b"weights"
    if change == "size":
        data += b"!"
    if change == "inode":
        copy = model.with_name("copy")
        copy.write_bytes(data)
        copy.replace(model)
    else:
        model.write_bytes(data)
    time_ns = status.st_mtime_ns + (1 if change == "time" else 0)
    os.utime(model, ns=(time_ns, time_ns))
    assert _digests(index).digest(model) == digest_bytes(data)


@pytest.mark.parametrize("age", [0.5, -3600.0])  # seconds
def test_a_file_just_written_is_not_remembered(
    index: Index, model: Path, age: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = FileStamp.of(model)
    # A change within the same tick of the file system's clock leaves the same stamp.
    clock = SimpleNamespace(time=lambda: stamp.ctime_ns / 1e9 + age)
    monkeypatch.setattr("nodegraph.core.file_digests.time", clock)
    assert _digests(index).digest(model) == digest_bytes(b"weights")
    assert StoredFileDigests(index).get(stamp) is None


def test_one_row_is_kept_for_a_path(index: Index, model: Path) -> None:
    for number in range(3):
        model.write_bytes(b"x" * number)
        _digests(index).digest(model)
    with index.reading() as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (1,)


def test_a_detached_memory_is_asked_no_more(index: Index, model: Path) -> None:
    memory = StoredFileDigests(index)
    digests = FileDigests()
    digests.attach(memory)
    digests.detach(memory)
    digests.digest(model)
    assert memory.get(FileStamp.of(model)) is None


def test_paths_that_are_no_text_and_large_inodes(index: Index) -> None:
    memory = StoredFileDigests(index)
    stamp = FileStamp(os.fsdecode(b"/models/\xff"), 1, 2, 3, (1 << 64) - 3)
    memory.put(stamp, _WRONG)
    assert memory.get(stamp) == _WRONG
    assert memory.get(stamp._replace(inode=4)) is None


def test_a_read_only_index_gives_and_takes_nothing(index: Index, model: Path) -> None:
    stamp = FileStamp.of(model)
    StoredFileDigests(index).put(stamp, _WRONG)
    with closing(Index(index.path, read_only=True)) as reading:
        memory = StoredFileDigests(reading)
        assert memory.get(stamp) == _WRONG
        memory.put(stamp, "aa" * 32)
        assert memory.get(stamp) == _WRONG


def test_an_index_that_fails_costs_no_more_than_time(
    index: Index, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with index.writing() as connection:
        connection.execute("DROP TABLE files")
    assert _digests(index).digest(model) == digest_bytes(b"weights")
    assert "cannot look up" in caplog.text
    assert "cannot remember" in caplog.text
