"""Files that sinks wrote count as there while their content stays the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from nodegraph.store import file_records as written_files
from nodegraph.store.file_records import SinkFile, SinkFiles
from nodegraph.store.index import Index

_KEY = "ab" * 32


@pytest.fixture
def written(tmp_path: Path) -> Iterator[SinkFiles]:
    with closing(Index(tmp_path / "index.sqlite")) as index:
        yield SinkFiles(index)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(b"pixels")
    return path


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands still; what is written is `age` seconds old by it."""
    clock = SimpleNamespace(age=60.0, time=lambda: start + clock.age)
    start = time.time()
    monkeypatch.setattr("nodegraph.core.file_digests.time", clock)
    return clock


def _remember(written: SinkFiles, *paths: Path) -> None:
    written.remember(_KEY, [SinkFile.from_path(path, "image", "save") for path in paths])


def test_what_was_not_written_is_not_there(written: SinkFiles) -> None:
    assert written.unchanged(_KEY) is None


def test_an_unchanged_file_is_there(written: SinkFiles, picture: Path) -> None:
    _remember(written, picture)
    (file,) = written.unchanged(_KEY) or ()
    assert (file.path, file.kind, file.node, file.size) == (picture, "image", "save", 6)
    assert file.mtime_ns == picture.stat().st_mtime_ns
    written.forget(_KEY)
    assert written.unchanged(_KEY) is None


def test_a_sink_that_wrote_nothing_is_remembered(written: SinkFiles) -> None:
    _remember(written)
    assert written.unchanged(_KEY) == ()


@pytest.mark.parametrize("age", [0, 60])
@pytest.mark.parametrize("change", ["bytes", "size", "gone", "folder"])
def test_a_changed_file_is_not_there(
    written: SinkFiles, picture: Path, change: str, age: float, clock: SimpleNamespace
) -> None:
    clock.age = age
    _remember(written, picture)
    status = picture.stat()
    if change == "bytes":
        picture.write_bytes(b"PIXELS")
        os.utime(picture, ns=(status.st_mtime_ns, status.st_mtime_ns))
    elif change == "size":
        picture.write_bytes(b"more pixels")
        os.utime(picture, ns=(status.st_mtime_ns, status.st_mtime_ns))
    else:
        picture.unlink()
        if change == "folder":
            picture.mkdir()
    assert written.unchanged(_KEY) is None


def test_one_changed_file_of_several_is_enough(written: SinkFiles, picture: Path) -> None:
    second = picture.with_name("second.png")
    second.write_bytes(b"pixels")
    _remember(written, picture, second)
    assert len(written.unchanged(_KEY) or ()) == 2
    second.unlink()
    assert written.unchanged(_KEY) is None


def test_the_same_content_with_another_time_is_there(
    written: SinkFiles, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _remember(written, picture)
    os.utime(picture, (1, 1))
    (file,) = written.unchanged(_KEY) or ()
    assert file.mtime_ns == 10**9
    # The new time is remembered, so that the file isn't read another time.
    monkeypatch.setattr(written_files, "hash_file", lambda path: "")
    assert written.unchanged(_KEY) == (file,)


def test_relative_paths_and_odd_names(
    written: SinkFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = Path(os.fsdecode(b"odd \xff name.png"))
    name.write_bytes(b"x")
    _remember(written, name)
    monkeypatch.chdir("/")
    (file,) = written.unchanged(_KEY) or ()
    assert file.path == tmp_path / name
