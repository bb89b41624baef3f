"""Packs reach machines that don't have them, and are known by what is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.errors import PackError
from nodegraph.jobs.cluster import worker_host as module
from nodegraph.jobs.cluster.worker_host import archive_packs, unpack_archive
from nodegraph.packs.installation.plans import InstallOptions
from tests.messages import raises
from tests.packs.installing import operations, write


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack that is a folder."""
    folder = tmp_path / "server" / "mine"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__init__.py").write_text("one = 1\n")
    (folder / "data").mkdir()
    (folder / "data" / "words.txt").write_text("äpfel")
    (folder / "__pycache__" / "old.pyc").write_bytes(b"old")
    return folder


def gone(path: Path) -> None:
    """As it is on a machine that doesn't share the server's folders."""
    path.parent.rename(path.parent.with_name("elsewhere"))


def test_a_pack_that_is_here_as_it_is_on_the_server_stays_where_it_is(
    pack: Path, tmp_path: Path
) -> None:
    (given,), (listed,) = archive_packs([str(pack)], []), archive_packs([], [pack.parent])
    assert unpack_archive(given, tmp_path / "cache") == str(pack)
    assert unpack_archive(listed, tmp_path / "cache") is None  # a session finds it by itself
    assert not (tmp_path / "cache").exists()


def test_a_pack_that_is_not_here_is_put_where_its_digest_says(pack: Path, tmp_path: Path) -> None:
    (given,), (listed,) = archive_packs([str(pack)], []), archive_packs([], [pack.parent])
    gone(pack)
    place = unpack_archive(given, tmp_path / "cache")
    assert (
        place
        == unpack_archive(listed, tmp_path / "cache")
        == unpack_archive(given, tmp_path / "cache")
    )
    assert place is not None
    found = {path.name: path.read_text() for path in Path(place).rglob("*") if path.is_file()}
    assert found == {"__init__.py": "one = 1\n", "words.txt": "äpfel"}
    assert Path(place).name == "mine"


def test_an_edited_pack_has_another_place(pack: Path, tmp_path: Path) -> None:
    (before,) = archive_packs([str(pack)], [])
    (pack / "__init__.py").write_text("one = 2\n")
    (after,) = archive_packs([str(pack)], [])
    # What lies here is another version than the server's.
    former = unpack_archive(before, tmp_path / "cache")
    assert former is not None
    assert (Path(former) / "__init__.py").read_text() == "one = 1\n"
    assert unpack_archive(after, tmp_path / "cache") == str(pack)


def test_a_pack_of_one_file_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "server" / "single.py"
    path.parent.mkdir()
    path.write_text("two = 2\n")
    (parcel,) = archive_packs([str(path)], [])
    gone(path)
    place = unpack_archive(parcel, tmp_path / "cache")
    assert place is not None
    assert (Path(place).name, Path(place).read_text()) == ("single.py", "two = 2\n")


def test_a_pack_too_large_to_be_sent_is_told(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    with raises(PackError):
        archive_packs([str(pack)], [])


def test_a_pack_with_a_process_of_its_own_is_not_sent(tmp_path: Path) -> None:
    home, root = tmp_path / "home", tmp_path / "packs" / "far_away"
    write(root, {"__init__.py": "from nodegraph import node\n\n@node\ndef A() -> str:\n    ...\n"})
    assert len(archive_packs([str(root)], [root.parent], home)) == 2
    operations(home).add(str(root), InstallOptions(trusted=False))
    assert archive_packs([str(root)], [root.parent], home) == []
