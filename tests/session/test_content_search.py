"""Files are found by content, and only those that could have it are read."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from nodegraph.session.content_search import files_below, find_by_digest


def _write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return blake3(content).hexdigest()


def test_only_files_of_a_known_size_are_read(tmp_path: Path) -> None:
    digest = _write(tmp_path / "deep" / "renamed.bin", b"wanted")
    _write(tmp_path / "short.bin", b"short")
    _write(tmp_path / "a.bin", b"others")
    _write(tmp_path / "longer.bin", b"longer than that")
    read: list[str] = []
    located = find_by_digest(
        {digest: 6}, files_below([tmp_path]), on_read=lambda path: read.append(path.name)
    )
    assert located == {digest: tmp_path / "deep" / "renamed.bin"}
    assert read == ["a.bin", "renamed.bin"]


def test_a_content_of_unknown_size_is_searched_in_all_files(tmp_path: Path) -> None:
    known = _write(tmp_path / "known.bin", b"known")
    unknown = _write(tmp_path / "unknown.bin", b"a content of another size")
    located = find_by_digest({known: 5, unknown: None}, files_below([tmp_path]))
    assert set(located) == {known, unknown}


def test_reading_ends_when_everything_is_located(tmp_path: Path) -> None:
    digest = _write(tmp_path / "named.bin", b"wanted content")
    _write(tmp_path / "small.bin", b"small")
    read: list[str] = []
    find_by_digest(
        {digest: None},
        files_below([tmp_path]),
        names={"named.bin"},
        on_read=lambda path: read.append(path.name),
    )
    assert read == ["named.bin"]


def test_a_budget_leaves_out_larger_files(tmp_path: Path) -> None:
    digest = _write(tmp_path / "large.bin", b"x" * 100)
    assert find_by_digest({digest: None}, files_below([tmp_path]), budget=99) == {}
    assert digest in find_by_digest({digest: None}, files_below([tmp_path]), budget=100)


def test_hidden_files_and_links_back_are_not_followed(tmp_path: Path) -> None:
    _write(tmp_path / ".cache" / "a.bin", b"a")
    _write(tmp_path / "kept" / "b.bin", b"b")
    _write(tmp_path / "kept" / "c.txt", b"c")
    (tmp_path / "kept" / "back").symlink_to(tmp_path, target_is_directory=True)
    assert [path.name for path in files_below([tmp_path], {".bin"})] == ["b.bin"]
    assert len(list(files_below([tmp_path], most=1))) == 1
