"""Files named by their content are whole, or found out."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.store.blobs import Blob, Blobs, DamagedBlob


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path, owner="ab")


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_a_file_is_named_by_its_bytes(blobs: Blobs, chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    blob = blobs.write(chunks, "msgpack")
    assert blob == Blob(blake3(data).hexdigest(), "msgpack", len(data))
    assert blobs.read(blob.digest, "msgpack") == data
    assert blobs.check(blob.digest, "msgpack")
    assert blobs.path(blob.digest, "msgpack").read_bytes() == data


def test_large_files_go_in_pieces(blobs: Blobs) -> None:
    data = os.urandom(1 << 20) * 20
    blob = blobs.write([b"head", memoryview(data).cast("I"), bytearray(b"tail")], "safetensors")
    assert blobs.read(blob.digest, "safetensors") == b"head" + data + b"tail"


def test_nothing_is_left_beside_the_file(blobs: Blobs, tmp_path: Path) -> None:
    blob = blobs.write([b"abc"], "msgpack")
    assert files_below(tmp_path) == [blobs.path(blob.digest, "msgpack")]
    blobs.remove(blob.digest, "msgpack")
    blobs.remove(blob.digest, "msgpack")
    assert files_below(tmp_path) == []


def test_a_failed_write_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    def chunks():  # type: ignore[no-untyped-def]
        yield b"first"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        blobs.write(chunks(), "msgpack")
    assert files_below(tmp_path) == []


def test_a_discarded_file_never_gets_its_name(blobs: Blobs, tmp_path: Path) -> None:
    staged = blobs.stage([b"abc"], "msgpack")
    assert not blobs.exists(staged.blob.digest, "msgpack")
    blobs.discard(staged)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("damage", [b"", b"ab", b"abx", b"abcd"])
def test_damage_is_found_and_set_aside(blobs: Blobs, tmp_path: Path, damage: bytes) -> None:
    blob = blobs.write([b"abc"], "msgpack")
    blobs.path(blob.digest, "msgpack").write_bytes(damage)
    assert not blobs.check(blob.digest, "msgpack")
    with pytest.raises(DamagedBlob) as caught:
        blobs.read(blob.digest, "msgpack")
    assert blobs.quarantine(blob.digest, "msgpack", caught.value.stamp)
    assert list(blobs) == []
    (kept,) = (tmp_path / "quarantine").iterdir()
    assert kept.read_bytes() == damage


def test_a_file_that_was_written_anew_is_not_set_aside(blobs: Blobs) -> None:
    blob = blobs.write([b"abc"], "msgpack")
    blobs.path(blob.digest, "msgpack").write_bytes(b"abx")
    with pytest.raises(DamagedBlob) as caught:
        blobs.read(blob.digest, "msgpack")
    blobs.write([b"abc"], "msgpack")
    assert not blobs.quarantine(blob.digest, "msgpack", caught.value.stamp)
    assert blobs.read(blob.digest, "msgpack") == b"abc"


def test_the_quarantine_stays_small(blobs: Blobs, tmp_path: Path) -> None:
    for number in range(80):
        blob = blobs.write([str(number).encode()], "msgpack")
        assert blobs.quarantine(blob.digest, "msgpack")
    assert len(files_below(tmp_path / "quarantine")) == 64


def test_a_missing_file(blobs: Blobs) -> None:
    digest = "0" * 64
    with pytest.raises(FileNotFoundError):
        blobs.read(digest, "msgpack")
    assert not blobs.check(digest, "msgpack")
    assert blobs.quarantine(digest, "msgpack")
    assert list(blobs) == []


def test_all_files_are_listed(blobs: Blobs) -> None:
    written = {blobs.write([str(number).encode()], "msgpack") for number in range(20)}
    assert set(blobs) == written


def test_files_of_the_dead_are_swept(blobs: Blobs, tmp_path: Path) -> None:
    own = blobs.stage([b"own"], "msgpack")
    dead = Blobs(tmp_path, owner="dead").stage([b"dead"], "msgpack")
    alive = Blobs(tmp_path, owner="beef").stage([b"alive"], "msgpack")
    assert blobs.sweep(lambda owner: owner == "beef") == 1
    assert own.temporary.exists()
    assert alive.temporary.exists()
    assert not dead.temporary.exists()


def test_folders_of_one_store_are_apart(blobs: Blobs, tmp_path: Path) -> None:
    others = Blobs(tmp_path, name="checkpoints")
    blob = others.write([b"abc"], "safetensors")
    assert not blobs.exists(blob.digest, blob.suffix)
    assert list(others) == [blob]


def test_threads_that_write_the_same(blobs: Blobs) -> None:
    data = [b"x" * 10_000] * 20
    threads = [threading.Thread(target=blobs.write, args=(data, "msgpack")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (blob,) = blobs
    assert blobs.check(blob.digest, blob.suffix)
