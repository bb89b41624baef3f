"""Files that sinks wrote count as there while their content stays the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from nodegraph.store.index import Index
from nodegraph.store.written import Written, WrittenFile

_KEY = "ab" * 32


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    with closing(Index(tmp_path / "index.sqlite")) as index:
        yield Written(index)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(b"pixels")
    return path


def _age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def _remember(written: Written, *paths: Path) -> None:
    written.remember(_KEY, [WrittenFile.at(path, "image", "save") for path in paths])


def test_what_was_not_written_is_not_there(written: Written) -> None:
    assert written.unchanged(_KEY) is None


def test_an_unchanged_file_is_there(written: Written, picture: Path) -> None:
    _age(picture, 60)
    _remember(written, picture)
    (file,) = written.unchanged(_KEY) or ()
    assert (file.path, file.kind, file.node, file.size) == (picture, "image", "save", 6)
    assert file.mtime_ns == picture.stat().st_mtime_ns
    written.forget(_KEY)
    assert written.unchanged(_KEY) is None


def test_a_sink_that_wrote_nothing_is_remembered(written: Written) -> None:
    _remember(written)
    assert written.unchanged(_KEY) == ()


@pytest.mark.parametrize("age", [0, 60])
@pytest.mark.parametrize("change", ["bytes", "size", "gone", "folder"])
def test_a_changed_file_is_not_there(
    written: Written, picture: Path, change: str, age: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(time=partial(float, time.time()))  # stands still while this goes on
    monkeypatch.setattr("nodegraph.core.file_digests.time", clock)
    _age(picture, age)
    _remember(written, picture)
    status = picture.stat()
    if change == "bytes":
        picture.write_bytes(b"PIXELS")
        if not age:  # within the same tick of the clock
            os.utime(picture, ns=(status.st_mtime_ns, status.st_mtime_ns))
    elif change == "size":
        picture.write_bytes(b"more pixels")
        os.utime(picture, ns=(status.st_mtime_ns, status.st_mtime_ns))
    else:
        picture.unlink()
        if change == "folder":
            picture.mkdir()
    assert written.unchanged(_KEY) is None


def test_one_changed_file_of_several_is_enough(written: Written, picture: Path) -> None:
    second = picture.with_name("second.png")
    second.write_bytes(b"pixels")
    _remember(written, picture, second)
    assert len(written.unchanged(_KEY) or ()) == 2
    second.unlink()
    assert written.unchanged(_KEY) is None


def test_the_same_content_with_another_time_is_there(written: Written, picture: Path) -> None:
    _age(picture, 600)
    _remember(written, picture)
    _age(picture, 60)
    (file,) = written.unchanged(_KEY) or ()
    assert file.mtime_ns == picture.stat().st_mtime_ns
    # The new time is remembered, so that the file isn't read another time.
    moment = picture.stat().st_mtime_ns
    picture.write_bytes(b"PIXELS")
    os.utime(picture, ns=(moment, moment))
    assert written.unchanged(_KEY) == (file,)


def test_relative_paths_and_odd_names(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = Path(os.fsdecode(b"odd \xff name.png"))
    name.write_bytes(b"x")
    _remember(written, name)
    monkeypatch.chdir("/")
    (file,) = written.unchanged(_KEY) or ()
    assert file.path == tmp_path / name
