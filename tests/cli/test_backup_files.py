"""Files that are no backup, are damaged, or were made to do harm."""

from __future__ import annotations

import json
import sqlite3
import stat
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.server.operations.backup import backup, check, restore
from nodegraph.session.settings import Settings
from tests.cli.homes import filled, tree
from tests.properties import examples

many = settings(
    max_examples=examples(50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Change = Callable[[dict[str, Any]], Any]


def entry(path: str, data: bytes, **more: Any) -> dict[str, Any]:
    digest = blake3(data).hexdigest()
    return {"path": path, "size": len(data), "digest": digest, "modified": 0, "mode": 420, **more}


def written(path: Path, files: dict[str, bytes], change: Change = lambda listed: None) -> Path:
    """A backup of some files, whose list is changed afterwards."""
    listed: dict[str, Any] = {
        "format": "nodegraph backup",
        "version": 1,
        "program": "0.1.0",
        "created": 0.0,
        "home": "/somewhere",
        "parts": ["queue.sqlite", "inputs"],
        "files": [entry(name, data) for name, data in files.items()],
        "jobs": 0,
        "missing": [],
        "left_out": [],
    }
    change(listed)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr("backup.json", json.dumps(listed))
    return path


def refused(archive: Path, home: Path, match: str | None = None) -> None:
    """It is refused, and nothing was written anywhere."""
    around = {path: path.stat().st_mtime_ns for path in home.parent.rglob("*")}
    for attempt in (lambda: check(archive), lambda: restore(Settings(home=home), archive)):
        with pytest.raises(InvalidFile, match=match):
            attempt()
    left = {path for path in home.parent.rglob("*") if path not in around}
    assert all(path == home or path.name == "queue.sqlite-lock" for path in left)


def test_an_honest_one_is_taken(tmp_path: Path) -> None:
    archive = written(tmp_path / "b.zip", {"inputs/a.txt": b"a"})
    restore(Settings(home=tmp_path / "home"), archive)
    assert tree(tmp_path / "home") == {"inputs/a.txt": tree(tmp_path / "home")["inputs/a.txt"]}
    assert (tmp_path / "home" / "inputs" / "a.txt").read_bytes() == b"a"


@pytest.mark.parametrize(
    "name",
    [
        *("../a", "inputs/../../a", "/etc/a", "inputs//a", "inputs/./a", "inputs/", "./inputs/a"),
        *("cache/a", "evil.py", ".restore/plan.json", "queue.sqlite-lock", "tokens.json"),
    ],
)
def test_no_file_lands_where_none_belongs(tmp_path: Path, name: str) -> None:
    archive = written(tmp_path / "b.zip", {name: b"x"})
    refused(archive, tmp_path / "home")


def _drop(listed: dict[str, Any]) -> None:
    listed["files"].pop()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda listed: listed.update(format="other"), "its list is not valid at format"),
        (lambda listed: listed.update(version=2), "its list is not valid at version"),
        (lambda listed: listed.update(more=1), "not valid at more"),
        (lambda listed: listed.update(parts=["inputs", ".."]), "unknown parts"),
        (lambda listed: listed.update(parts=["queue.sqlite"]), "does not belong there"),
        (_drop, "is not listed"),
        (lambda listed: listed["files"].append(listed["files"][0]), "twice"),
        (lambda listed: listed["files"].append(entry("inputs/b", b"")), "differs from its list"),
        (lambda listed: listed["files"][0].update(size=5), "differs from its list"),
        (lambda listed: listed["files"][0].update(size=-1), "its list is not valid"),
        (lambda listed: listed["files"][0].update(digest="0" * 64), "damaged"),
        (lambda listed: listed["files"][0].update(mode=0o4777), "its list is not valid"),
    ],
)
def test_a_list_that_isnt_that_of_the_files(tmp_path: Path, change: Change, match: str) -> None:
    archive = written(tmp_path / "b.zip", {"inputs/a.txt": b"a"}, change)
    refused(archive, tmp_path / "home", match)


def test_links_and_files_that_come_twice(tmp_path: Path) -> None:
    archive = written(tmp_path / "b.zip", {"inputs/a.txt": b"/etc/passwd"})
    link = zipfile.ZipInfo("inputs/b.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as found:
        found.writestr(link, "/etc/passwd")
    refused(archive, tmp_path / "home", "not a plain file")
    archive = written(tmp_path / "c.zip", {"inputs/a.txt": b"a"})
    with zipfile.ZipFile(archive, "a") as found, pytest.warns(UserWarning, match="Duplicate"):
        found.writestr("inputs/a.txt", b"b")
    refused(archive, tmp_path / "home", "twice")


def test_a_small_file_that_becomes_a_large_one(tmp_path: Path) -> None:
    archive = tmp_path / "b.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as found:
        found.writestr("inputs/a.txt", bytes(20 << 20))
    data = bytearray(archive.read_bytes())
    # The sizes that the archive tells are those of a file of one byte.
    large = (20 << 20).to_bytes(4, "little")
    while large in data:
        at = data.index(large)
        data[at : at + 4] = (1).to_bytes(4, "little")
    archive.write_bytes(data)
    listed = json.dumps(
        {
            "program": "x",
            "created": 0,
            "home": "/",
            "parts": ["inputs"],
            "files": [entry("inputs/a.txt", b"\0")],
            "jobs": 0,
            "missing": [],
            "left_out": [],
        }
    )
    with zipfile.ZipFile(archive, "a") as found:
        found.writestr("backup.json", listed)
    refused(archive, tmp_path / "home", "damaged|larger")


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 99, b"PK\x05\x06" + bytes(18)])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "b.zip"
    archive.write_bytes(content)
    refused(archive, tmp_path / "home")
    refused(tmp_path / "nothing.zip", tmp_path / "home", "cannot read")


def test_a_queue_of_a_newer_version_or_of_another_program(tmp_path: Path) -> None:
    for number, match in ((99, "newer|version"), (0, "is not a job queue")):
        path = tmp_path / f"{number}.sqlite"
        with closing(sqlite3.connect(path)) as made:
            made.execute("CREATE TABLE mine (a)")
            made.execute(f"PRAGMA user_version = {number}")
            if number:
                made.execute(f"PRAGMA application_id = {0x6E676A71}")
        archive = written(tmp_path / f"{number}.zip", {"queue.sqlite": path.read_bytes()})
        with pytest.raises(InvalidFile, match=match):
            restore(Settings(home=tmp_path / "home"), archive)
        assert tree(tmp_path / "home") == {}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("archive")
    backup(Settings(home=filled(folder / "home")), folder / "b.zip")
    return (folder / "b.zip").read_bytes()


@many
@given(st.data())
def test_a_byte_that_has_changed_never_goes_unnoticed(
    archive: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    changed = bytearray(archive)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    (tmp_path / "b.zip").write_bytes(changed)
    (tmp_path / "whole.zip").write_bytes(archive)
    try:
        found = check(tmp_path / "b.zip")
    except NodegraphError:
        return
    # It was one that says nothing of a file, such as its date in the archive.
    assert found == check(tmp_path / "whole.zip")


@many
@given(st.data())
def test_one_that_is_cut_off_is_no_backup(
    archive: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, len(archive) - 1))
    (tmp_path / "b.zip").write_bytes(archive[:length])
    with pytest.raises(InvalidFile):
        check(tmp_path / "b.zip")
