"""Files are replaced in one step."""

from __future__ import annotations

from pathlib import Path

from nodegraph.core.files import write_file
from nodegraph.errors import OutputError
from tests.messages import raises


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_file(path, b"old")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_file(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with raises(OutputError):
        write_file(tmp_path / "nowhere" / "a", b"")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with raises(OutputError):
        write_file(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
