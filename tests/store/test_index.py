"""The index opens, or says why not; it survives other processes, old versions and damage."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.store import index as index_module
from nodegraph.store.index import MIGRATIONS, Index
from tests.messages import raises
from tests.processes import PATIENCE, killed_after


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "index.sqlite"


def note(index: Index, value: int) -> None:
    with index.writing() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('test', ?)", (value,))


def noted(index: Index) -> int | None:
    row = index.fetch_one("SELECT value FROM meta WHERE name = 'test'")
    return None if row is None else int(row[0])


def test_what_is_written_is_there_next_time(path: Path) -> None:
    index = Index(path)
    note(index, 7)
    assert noted(index) == 7
    index.close()
    index = Index(path)
    assert noted(index) == 7
    index.close()


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    index = Index(path)
    note(index, 1)

    def write_and_fail() -> None:
        with index.writing() as connection:
            connection.execute("UPDATE meta SET value = 2 WHERE name = 'test'")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert noted(index) == 1
    note(index, 3)
    index.close()


def test_readers_see_other_writers(path: Path) -> None:
    first, second = Index(path), Index(path)
    reader = Index(path, read_only=True)
    note(first, 1)
    assert noted(second) == noted(reader) == 1
    with second.writing() as connection:
        connection.execute("UPDATE meta SET value = 2 WHERE name = 'test'")
        assert noted(first) == 1
    assert noted(first) == noted(reader) == 2
    for index in (first, second, reader):
        index.close()


def test_read_only_refuses_to_write(path: Path) -> None:
    Index(path).close()
    index = Index(path, read_only=True)
    with raises(sqlite3.OperationalError):
        note(index, 1)
    index.close()


def test_read_only_makes_nothing(path: Path) -> None:
    with raises(InvalidFile):
        Index(path, read_only=True)
    assert not path.parent.exists()


def test_processes_that_open_a_new_index_at_once(path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nodegraph.store.index import Index\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    index = Index(Path(line.strip()))\n"
        "    with index.writing() as connection:\n"
        "        connection.execute(\"INSERT INTO meta VALUES ('n', 1) \"\n"
        '            "ON CONFLICT (name) DO UPDATE SET value = value + 1")\n'
        "    index.close()\n"
        "    print('done', flush=True)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    bounds = ExitStack()
    try:
        for process in processes:
            bounds.enter_context(killed_after(process))
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for number in range(20):
            place = path.with_name(f"{number}.sqlite")
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(f"{place}\n")
                process.stdin.flush()
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "done\n"
            index = Index(place)
            assert index.fetch_one("SELECT value FROM meta WHERE name = 'n'") == (3,)
            index.close()
    finally:
        for process in processes:
            process.communicate(timeout=PATIENCE)
        bounds.close()
    assert [process.returncode for process in processes] == [0, 0, 0]


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("damage", ["text", "first page"])
def test_a_damaged_index_is_told(path: Path, damage: str, read_only: bool) -> None:
    Index(path).close()
    if damage == "text":
        path.write_bytes(b"this is no database at all" * 100)
    else:
        content = bytearray(path.read_bytes())
        content[100:4096] = b"\xff" * 3996
        path.write_bytes(content)
    with raises(InvalidFile):
        Index(path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
def test_another_programs_database_is_left_alone(path: Path, read_only: bool) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (a)")
    connection.commit()
    connection.close()
    with raises(InvalidFile):
        Index(path, read_only=read_only)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    connection.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_index_is_refused(path: Path, read_only: bool) -> None:
    index = Index(path)
    with index.writing() as connection:
        connection.execute("PRAGMA user_version = 99")
    index.close()
    with raises(InvalidFile, given="99") as caught:
        Index(path, read_only=read_only)
    assert "Update nodegraph" in (caught.value.problem.hint or "")


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    step = "ALTER TABLE runs ADD COLUMN note TEXT;\nUPDATE meta SET value = 8 WHERE name = 'test';"
    monkeypatch.setattr(index_module, "MIGRATIONS", (*MIGRATIONS, step))


def test_an_older_index_is_brought_up_to_date(path: Path, request: pytest.FixtureRequest) -> None:
    index = Index(path)
    note(index, 7)
    index.close()
    request.getfixturevalue("next_version")
    with raises(InvalidFile, given=str(len(MIGRATIONS))) as caught:
        Index(path, read_only=True)
    assert "with write access" in (caught.value.problem.hint or "")
    for _ in range(2):
        index = Index(path)
        assert noted(index) == 8
        assert index.fetch_one("SELECT count(note) FROM runs") == (0,)
        index.close()


def test_an_older_index_can_be_read_where_only_what_rows_say_is_new(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index(path)
    note(index, 7)
    index.close()
    monkeypatch.setattr(index_module, "MIGRATIONS", (*MIGRATIONS, "-- Rows may say more."))
    older = Index(path, read_only=True)
    assert noted(older) == 7
    older.close()
    Index(path).close()
    monkeypatch.setattr(index_module, "MIGRATIONS", MIGRATIONS)
    with raises(InvalidFile, given=str(len(MIGRATIONS) + 1)):
        Index(path, read_only=True)


def test_a_failed_migration_leaves_the_index_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index(path)
    note(index, 7)
    index.close()
    broken = "UPDATE meta SET value = 8 WHERE name = 'test';\nDROP TABLE nowhere;"
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(OutputError):
            Index(path)
    index = Index(path)
    assert noted(index) == 7
    index.close()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with raises(OutputError):
        Index(tmp_path / "store" / "index.sqlite")


_READ = (
    "import os, sys\n"
    "from pathlib import Path\n"
    "from nodegraph.store.index import Index\n"
    "if os.geteuid() == 0:\n"
    "    os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
    "index = Index(Path(sys.argv[1]), read_only=True)\n"
    "print(index.fetch_one(\"SELECT value FROM meta WHERE name = 'test'\")[0])\n"
    "index.close()\n"
)


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder where nobody but root may write, outside of pytest's own closed ones."""
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def _read_as_nobody(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _READ, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
    )


@pytest.mark.skipif(os.name == "nt", reason="folders have no modes there")
def test_read_only_folder(closed_folder: Path) -> None:
    index = Index(closed_folder / "index.sqlite")
    note(index, 7)
    index.close()
    assert [path.name for path in closed_folder.iterdir()] == ["index.sqlite"]
    closed_folder.chmod(0o555)
    found = _read_as_nobody(closed_folder / "index.sqlite")
    assert found.stdout == "7\n", found.stderr


@pytest.mark.skipif(os.name == "nt", reason="folders have no modes there")
def test_read_only_folder_while_somebody_writes(closed_folder: Path) -> None:
    index = Index(closed_folder / "index.sqlite")
    note(index, 7)
    closed_folder.chmod(0o555)
    try:
        found = _read_as_nobody(closed_folder / "index.sqlite")
    finally:
        index.close()
    assert found.stdout == "7\n", found.stderr


@pytest.mark.skipif(os.name == "nt", reason="folders have no modes there")
def test_read_only_folder_with_a_journal_left_behind(closed_folder: Path) -> None:
    # As after a crash, copied without the file that only processes on one machine share.
    index = Index(closed_folder / "live.sqlite")
    note(index, 7)
    for end in ("", "-wal"):
        shutil.copy(closed_folder / f"live.sqlite{end}", closed_folder / f"index.sqlite{end}")
    index.close()
    closed_folder.chmod(0o555)
    found = _read_as_nobody(closed_folder / "index.sqlite")
    assert "Open it once with write access" in found.stderr
