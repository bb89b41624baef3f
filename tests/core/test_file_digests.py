"""A file's digest is computed once while the file stays the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_digests import FILE_DIGESTS, FileDigests, FileStamp
from nodegraph.errors import InvalidFile
from tests.messages import raises


@pytest.mark.parametrize("data", [b"", b"x", b"weights" * 50_000])
def test_it_is_the_digest_of_the_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model"
    path.write_bytes(data)
    digests = FileDigests()
    assert digests.digest(path) == digest_bytes(data)
    assert digests.digest(path) == digest_bytes(data)


@pytest.mark.parametrize("size", [2**22, 2**22 + 1, 2**23, 9_999_999])
def test_files_of_several_portions_are_digested_whole(tmp_path: Path, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    path = tmp_path / "large"
    path.write_bytes(data[:size])
    assert FileDigests().digest(path) == digest_bytes(data[:size])


def test_a_changed_file_has_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"one")
    digests = FileDigests()
    before = digests.digest(path)
    path.write_bytes(b"three")
    assert digests.digest(path) != before


def test_a_file_overwritten_in_place_whose_time_is_set_back_has_another(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"one")
    before, status = FILE_DIGESTS.digest(path), path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert FILE_DIGESTS.digest(path) == digest_bytes(b"two") != before


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with raises(InvalidFile):
        FileDigests().digest(tmp_path / "missing")
    with raises(InvalidFile):
        FileDigests().digest(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_that_nobody_writes_to_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with raises(InvalidFile):
        FileDigests().digest(tmp_path / "pipe")


def test_an_edit_within_one_tick_of_the_clock_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, digests, of = tmp_path / "model", FileDigests(), FileStamp.of

    def coarse(path: Path) -> FileStamp:
        stamp = of(path)
        tick = 2 * 10**9
        return stamp._replace(
            mtime_ns=stamp.mtime_ns // tick * tick, ctime_ns=stamp.ctime_ns // tick * tick
        )

    monkeypatch.setattr(FileStamp, "of", coarse)
    for data in (b"one", b"two", b"six"):
        path.write_bytes(data)
        assert digests.digest(path) == digest_bytes(data)


def test_a_file_with_a_time_to_come_is_settled_once_it_is_old(tmp_path: Path) -> None:
    now = time.time_ns()
    hour = 3600 * 10**9
    written = FileStamp(str(tmp_path), 1, now + hour, now - hour, 1)
    assert written.is_settled
    assert not written._replace(ctime_ns=now).is_settled
    assert not written._replace(mtime_ns=now).is_settled


def test_a_digest_is_known_once_it_was_computed_and_while_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"weights")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    digests = FileDigests()
    assert digests.known(path) is None
    assert digests.known(tmp_path / "nothing") is None
    memory = {FileStamp.of(path): "00ff"}

    class Memory:
        def get(self, stamp: FileStamp) -> str | None:
            return memory.get(stamp)

        def put(self, stamp: FileStamp, digest: str) -> None:
            memory[stamp] = digest

    digests.attach(Memory())
    assert digests.known(path) == "00ff"
    path.write_bytes(b"other weights")
    assert digests.known(path) is None
