"""Zip archives that anybody may have made: what can't be honest is refused before it is read."""

from __future__ import annotations

import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.errors import InvalidFile
from nodegraph.store.zip_reader import STORED, ZipReader, is_safe, opened_zip
from tests.messages import raises


def archive(path: Path, data: bytes = b"a" * 99, name: str = "a.txt", **about: int) -> Path:
    """One of one file."""
    member = zipfile.ZipInfo(name)
    member.compress_type = about.pop("compress_type", zipfile.ZIP_DEFLATED)
    for field, value in about.items():
        setattr(member, field, value)
    with zipfile.ZipFile(path, "w") as written:
        written.writestr(member, data)
    return path


def read(path: Path, name: str = "a.txt", most: int = 1 << 20, **options: tuple[int]) -> bytes:
    with opened_zip(path, "no zip", "one") as opened:
        return ZipReader(path, opened, "the archive", **options).read(name, most)


def claiming(path: Path, size: int) -> Path:
    """The same archive, its list saying that the file has so many bytes."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 24, size)
    path.write_bytes(data)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    assert read(archive(tmp_path / "a.zip")) == b"a" * 99


@pytest.mark.parametrize(
    ("about", "size"),
    [
        ({}, 1 << 31),
        ({"compress_type": STORED}, 100),
        ({}, 98),
        ({}, 100),
        ({"compress_type": zipfile.ZIP_BZIP2}, 99),
        ({"compress_type": zipfile.ZIP_LZMA}, 99),
        ({"external_attr": (stat.S_IFLNK | 0o777) << 16}, 99),
        ({"external_attr": stat.S_IFIFO << 16}, 99),
    ],
)
def test_what_no_honest_archive_holds(tmp_path: Path, about: dict[str, int], size: int) -> None:
    path = claiming(archive(tmp_path / "a.zip", **about), size)
    with raises(InvalidFile) as raised:
        assert len(read(path)) == size
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("mark", "field"), [(b"PK\x01\x02", 42), (b"PK\x05\x06", 12), (b"PK\x05\x06", 16)]
)
@pytest.mark.parametrize("by", [-1, 1, 1 << 30, (1 << 31) - 1])
def test_a_list_that_points_outside_the_archive(
    tmp_path: Path, mark: bytes, field: int, by: int
) -> None:
    # Where the file begins, and at the archive's end how long the list is and where it begins.
    path = archive(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    at = data.rindex(mark) + field
    [length] = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, (length + by) % (1 << 32))
    path.write_bytes(data)
    with raises(InvalidFile):
        read(path)


def test_kinds_of_packing_that_arent_wanted(tmp_path: Path) -> None:
    with raises(InvalidFile, given="'a.txt'"):
        read(archive(tmp_path / "a.zip"), kinds=(STORED,))


def test_no_more_is_read_than_is_wanted(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip")
    assert read(path, most=99)
    with raises(InvalidFile):
        read(path, most=98)


def test_a_long_run_of_zeros_is_honest(tmp_path: Path) -> None:
    # Nothing packs better.
    zeros = bytes(1 << 20)
    assert read(archive(tmp_path / "a.zip", zeros)) == zeros


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", "./a", "a/../../b", "a/"])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with raises(InvalidFile):
        read(archive(tmp_path / "a.zip", b"", name), name)


@given(st.text(alphabet="./\\a\0", min_size=1, max_size=8))
def test_safe_names_stay_below_their_folder(name: str) -> None:
    if is_safe(name):
        folder = Path("/somewhere/folder")
        assert folder in folder.joinpath(*name.split("/")).parents
        assert ".." not in name.split("/")
