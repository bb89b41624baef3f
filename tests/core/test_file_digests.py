"""A file's digest is computed once while the file stays the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_digests import FILE_DIGESTS, FileDigests
from nodegraph.errors import InvalidFile


@pytest.mark.parametrize("data", [b"", b"x", b"weights" * 50_000])
def test_it_is_the_digest_of_the_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model"
    path.write_bytes(data)
    digests = FileDigests()
    assert digests.digest(path) == digest_bytes(data)
    assert digests.digest(path) == digest_bytes(data)


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
    with pytest.raises(InvalidFile, match=r"can't read .*missing"):
        FileDigests().digest(tmp_path / "missing")
    with pytest.raises(InvalidFile, match="can't read"):
        FileDigests().digest(tmp_path)
