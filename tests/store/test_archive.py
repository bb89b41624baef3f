"""An archive brings results to another store, and nothing else, whoever made it."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import msgpack
import pytest
import torch
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.store.archive import ArchiveImport, ExportReport, export_archive, import_archive
from nodegraph.store.entries import CallWarning, NewEntry, UnsavedOutput, pack_outputs
from nodegraph.store.store import Store
from nodegraph.store.verify import verify
from tests.messages import raises
from tests.store.support import files, key_of, new_entry, open_at, output, put, unsaved
from tests.store.values import same

_VALUES: dict[str, Any] = {
    "image": torch.arange(3000.0).reshape(1, 10, 100, 3),
    "text": "long " * 3000,
    "number": 7,
}


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    with open_at(tmp_path / "source") as store:
        for name, value in _VALUES.items():
            put(store, name, value)
        store.put(key_of("asked"), NewEntry(None, "mask", "Switch", 0.5, "run-1"))
        store.put(
            key_of("parts"), replace(new_entry(1), parts=lambda: {"type": "Test", "seed": 2**70})
        )
        store.flush()
        yield store


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Store]:
    with open_at(tmp_path / "target") as store:
        yield store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.zip"


def test_results_come_to_another_store(source: Store, target: Store, path: Path) -> None:
    size = sum(file.stat().st_size for file in files(source.folder))
    assert export_archive(source, path) == ExportReport(entries=5, artifacts=2, bytes=size)
    assert import_archive(target, path) == ArchiveImport(entries=5, artifacts=2, bytes=size)
    for name, value in _VALUES.items():
        assert same(target.load(output(target, name)), value)
    asked, parts = target.entry(key_of("asked")), target.entry(key_of("parts"))
    assert asked is not None
    assert (asked.requested_input, asked.outputs, asked.node_type) == ("mask", None, "Switch")
    assert parts is not None
    assert parts.parts == {"type": "Test", "seed": 2**70}
    for name in _VALUES:
        before, after = source.entry(key_of(name)), target.entry(key_of(name))
        assert before == after
    assert verify(target).is_sound


def test_what_nodes_warned_of_comes_along(source: Store, target: Store, path: Path) -> None:
    export_archive(source, path)
    assert about(path)["version"] == 1  # which older versions read, too
    warnings = (CallWarning("64 of 65 layers"), CallWarning("dark", "error", "/inner"))
    source.put(key_of("warned"), replace(new_entry(1), warnings=warnings))
    source.flush()
    export_archive(source, path)
    assert about(path)["version"] == 2
    import_archive(target, path)
    found = target.entry(key_of("warned"))
    assert found is not None
    assert found.warnings == warnings


def about(path: Path) -> dict[str, Any]:
    """What an archive says of itself."""
    with zipfile.ZipFile(path) as archive:
        found: dict[str, Any] = json.loads(archive.read("about.json"))
        return found


def test_a_second_time_nothing_happens(source: Store, target: Store, path: Path) -> None:
    export_archive(source, path)
    import_archive(target, path)
    before = files(target.folder)
    assert import_archive(target, path) == ArchiveImport(known_entries=5, known_artifacts=2)
    assert files(target.folder) == before
    assert import_archive(source, path) == ArchiveImport(known_entries=5, known_artifacts=2)


def test_equal_stores_make_equal_archives(source: Store, tmp_path: Path) -> None:
    one, other = tmp_path / "one.zip", tmp_path / "other.zip"
    export_archive(source, one)
    export_archive(source, other)
    assert one.read_bytes() == other.read_bytes()


def test_only_some_keys(source: Store, target: Store, path: Path) -> None:
    keys = [key_of("text"), key_of("number"), key_of("nowhere"), key_of("text")]
    done = export_archive(source, path, keys=keys)
    assert (done.entries, done.artifacts, done.unknown) == (2, 1, 1)
    import_archive(target, path)
    assert target.load(output(target, "text")) == _VALUES["text"]
    assert target.entry(key_of("image")) is None


def test_lists_bring_their_items(source: Store, target: Store, path: Path) -> None:
    items = tuple(unsaved(f"item {number} " * 3000) for number in range(3))
    whole = UnsavedOutput("ab" * 32, 100, None, items)
    source.put(key_of("list"), NewEntry((whole,), None, "Batch", 100.0, "run-1"))
    source.flush()
    assert export_archive(source, path, keys=[key_of("list")]).artifacts == 3
    import_archive(target, path)
    assert target.load(output(target, "list")) == [item.value for item in items]


def test_what_the_store_has_stays(source: Store, target: Store, path: Path) -> None:
    put(target, "number", 8)
    export_archive(source, path)
    assert import_archive(target, path).known_entries == 1
    assert target.load(output(target, "number")) == 8


def test_a_file_that_is_gone_comes_back(source: Store, path: Path) -> None:
    export_archive(source, path)
    for file in files(source.folder):
        file.unlink()
    assert import_archive(source, path).artifacts == 2
    assert same(source.load(output(source, "image")), _VALUES["image"])
    assert verify(source).is_sound


def test_damaged_files_are_left_out(source: Store, target: Store, path: Path) -> None:
    damaged, missing = files(source.folder)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    missing.unlink()
    done = export_archive(source, path)
    assert (done.entries, done.artifacts, done.left_out) == (5, 0, 2)
    assert import_archive(target, path) == ArchiveImport(entries=5)
    assert not target.has(output(target, "image"))


def test_progress_is_told(source: Store, target: Store, path: Path) -> None:
    told: list[tuple[int, int]] = []
    size = export_archive(source, path, progress=lambda *done: told.append(done)).bytes
    assert told[-1] == (size, size)
    told.clear()
    import_archive(target, path, progress=lambda *done: told.append(done))
    assert told[-1] == (size, size)


def test_more_than_the_budget_is_not_kept(source: Store, path: Path, tmp_path: Path) -> None:
    export_archive(source, path)
    with open_at(tmp_path / "target", budget=20_000) as target:
        done = import_archive(target, path)
        assert done.artifacts - done.evicted == len(files(target.folder)) == 1


def test_where_it_cannot_be_written(source: Store, tmp_path: Path) -> None:
    with raises(OutputError):
        export_archive(source, tmp_path / "nowhere" / "results.zip")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError):
        export_archive(source, tmp_path / "folder")
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_a_read_only_store(source: Store, path: Path) -> None:
    with open_at(source.folder, read_only=True) as reading:
        assert export_archive(reading, path).entries == 5
        with raises(OutputError):
            import_archive(reading, path)


# -- archives that nobody exported ---------------------------------------------------------------

_CONTENT = b"some bytes of a file"
_FILE = blake3(_CONTENT).digest()
_DIGEST = bytes(range(32))


def _archive(path: Path, **changes: Any) -> None:
    """An archive of one entry and one artifact; `changes` make it another one."""
    entries = changes.pop("entries", [_entry()])
    artifacts = changes.pop("artifacts", [_artifact()])
    about = {
        "format": "nodegraph store",
        "version": 1,
        "entries": len(entries),
        "artifacts": len(artifacts),
        **changes.pop("about", {}),
    }
    members: dict[str, bytes] = {
        "entries.msgpack": b"".join(map(msgpack.packb, entries)),
        "artifacts.msgpack": b"".join(map(msgpack.packb, artifacts)),
        f"artifacts/{_FILE.hex()}.msgpack": _CONTENT,
        "about.json": json.dumps(about).encode(),
    }
    members |= changes.pop("members", {})
    compression = changes.pop("compression", zipfile.ZIP_STORED)
    attributes = changes.pop("attributes", 0)
    assert not changes
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.external_attr = attributes
            archive.writestr(info, data)


def _column(form: Any) -> bytes:
    """Outputs as they stand in the index: behind a checksum."""
    packed: bytes = msgpack.packb(form)
    return crc32(packed).to_bytes(4, "big") + packed


def _entry(**changes: Any) -> list[Any]:
    columns = {
        "key": bytes(32),
        "outputs": _column([[_DIGEST, 20]]),
        "asked": None,
        "node_type": "Test",
        "seconds": 1.0,
        "created": 1.0,
        "run": "run-1",
        "parts": None,
    }
    return list((columns | changes).values())


def _artifact(**changes: Any) -> list[Any]:
    columns = {
        "digest": _DIGEST,
        "file": _FILE,
        "suffix": "msgpack",
        "bytes": len(_CONTENT),
        "seconds": 1.0,
    }
    return list((columns | changes).values())


def test_the_archive_that_the_others_are_made_from(target: Store, path: Path) -> None:
    _archive(path)
    assert import_archive(target, path) == ArchiveImport(
        entries=1, artifacts=1, bytes=len(_CONTENT)
    )


_REFUSED: dict[str, dict[str, Any]] = {
    "traversal": {"members": {"../../evil": b"x"}},
    "absolute": {"members": {"/etc/evil": b"x"}},
    "within a file's name": {"members": {"artifacts/../" + "a" * 61 + ".msgpack": b"x"}},
    "another file": {"members": {"claims": b"x"}},
    "another suffix": {"members": {f"artifacts/{_FILE.hex()}.pickle": b"x"}},
    "a folder": {"members": {"artifacts/": b""}},
    "links": {"attributes": 0o120777 << 16},
    "compressed": {
        "compression": zipfile.ZIP_DEFLATED,
        "members": {"entries.msgpack": bytes(9999)},
    },
    "another format": {"about": {"format": "something else"}},
    "another version": {"about": {"version": 3}},
    "fewer entries": {"about": {"entries": 2}},
    "no number of artifacts": {"about": {"artifacts": None}},
    "no object": {"members": {"about.json": b"[]"}},
    "no JSON": {"members": {"about.json": b"{"}},
    "nested JSON": {"members": {"about.json": b"[" * 60_000}},
    "long JSON": {"members": {"about.json": b'{"a": "' + b"a" * 100_000 + b'"}'}},
    "no msgpack": {"members": {"entries.msgpack": b"\xc1"}},
    "a huge list": {"members": {"entries.msgpack": b"\xdd\xff\xff\xff\xff"}},
    "a huge text": {"members": {"artifacts.msgpack": b"\xdb\xff\xff\xff\xff"}},
    "nested lists": {"members": {"entries.msgpack": b"\x91" * 5000}},
    "a mapping": {"entries": [{"key": 1}]},
    "too few columns": {"entries": [[bytes(32)]]},
    "a short key": {"entries": [_entry(key=b"k")]},
    "a key of text": {"entries": [_entry(key="a" * 32)]},
    "neither result": {"entries": [_entry(outputs=None)]},
    "both results": {"entries": [_entry(asked="mask")]},
    "outputs of nothing": {"entries": [_entry(outputs=b"")]},
    "outputs of text": {"entries": [_entry(outputs=_column("text"))]},
    "no digest": {"entries": [_entry(outputs=_column([[1.5, 20]]))]},
    "a short digest": {"entries": [_entry(outputs=_column([[b"d", 20]]))]},
    "a negative size": {"entries": [_entry(outputs=_column([[_DIGEST, -1]]))]},
    "a size of text": {"entries": [_entry(outputs=_column([[_DIGEST, "1"]]))]},
    "inline text": {"entries": [_entry(outputs=_column([[_DIGEST, 1, "x"]]))]},
    "bad items": {"entries": [_entry(outputs=_column([[_DIGEST, 1, None, [[1, 2]]]]))]},
    "half of a surrogate": {
        "members": {
            "entries.msgpack": msgpack.packb(
                _entry(node_type="\ud800"), unicode_errors="surrogatepass"
            )
        }
    },
    "a long type": {"entries": [_entry(node_type="T" * 10_000)]},
    "true seconds": {"entries": [_entry(seconds=True)]},
    "an artifact without a file": {"artifacts": [_artifact(file=bytes(32))]},
    "an artifact of another size": {"artifacts": [_artifact(bytes=1 << 40)]},
    "an artifact without a suffix": {"artifacts": [_artifact(suffix="/../x")]},
    "an empty artifact": {
        "members": {f"artifacts/{_FILE.hex()}.msgpack": b""},
        "artifacts": [_artifact(bytes=0)],
    },
}


@pytest.mark.parametrize("changes", _REFUSED.values(), ids=_REFUSED)
def test_other_archives_are_refused(
    target: Store, path: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    _archive(path, **dict(changes))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InvalidFile) as raised:
        import_archive(target, path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 1000
    assert sorted(tmp_path.iterdir()) == before
    assert target.entry("00" * 32) is None
    assert files(target.folder, "temporary") == []
    assert verify(target).is_sound


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -1.0, 1e300])
def test_no_result_can_claim_to_be_kept_for_ever(target: Store, path: Path, seconds: float) -> None:
    _archive(path, artifacts=[_artifact(seconds=seconds)], entries=[_entry(seconds=seconds)])
    import_archive(target, path)
    entry = target.entry("00" * 32)
    assert entry is not None
    assert 0 <= entry.seconds <= 1e8
    with target.index.reading() as connection:
        (score,) = connection.execute("SELECT score FROM artifacts").fetchone()
    assert 0 <= score <= 1e8


def test_a_file_with_other_bytes_is_not_taken(target: Store, path: Path) -> None:
    wrong = bytes(len(_CONTENT))
    _archive(path, members={f"artifacts/{_FILE.hex()}.msgpack": wrong})
    assert import_archive(target, path) == ArchiveImport(entries=1, damaged=1)
    assert files(target.folder) == files(target.folder, "temporary") == []


def test_a_file_is_copied_once_however_often_it_is_listed(target: Store, path: Path) -> None:
    rows = [_artifact(digest=struct.pack(">32xI", number)[4:]) for number in range(100)]
    _archive(path, artifacts=rows)
    done = import_archive(target, path)
    assert (done.artifacts, done.bytes) == (100, len(_CONTENT))
    assert verify(target).is_sound


def test_parts_that_say_nothing_are_left_out(target: Store, path: Path) -> None:
    _archive(path, entries=[_entry(parts=b"\xc1")])
    import_archive(target, path)
    entry = target.entry("00" * 32)
    assert entry is not None
    assert entry.parts is None


def test_no_archive_at_all(target: Store, path: Path) -> None:
    with raises(InvalidFile):
        import_archive(target, path)
    for content in (b"", b"PK", bytes(1000)):
        path.write_bytes(content)
        with raises(InvalidFile):
            import_archive(target, path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "whole.zip"
    outputs = pack_outputs(())
    _archive(path, entries=[_entry(), _entry(key=bytes(31) + b"1", outputs=outputs)])
    return path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_archives_bring_nothing_wrong(
    whole: bytes, target: Store, path: Path, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.sampled_from([len(whole), len(whole) // 2]))])
    with suppress(InvalidFile):
        import_archive(target, path)
    assert verify(target).is_sound
    assert files(target.folder, "temporary") == []
