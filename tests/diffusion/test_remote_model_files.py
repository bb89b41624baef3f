"""Files of remote models: put there whole, kept here within a budget, fetched once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.context import PROGRESS_CALLBACK
from nodegraph.errors import Cancelled, InvalidFile, InvalidValue, UnsafeFile
from nodegraph.models.remote.file_cache import FileCache
from nodegraph.models.remote.manifests import RemoteModelFile, parse_manifest, push_model
from nodegraph.store.remote.object_storage import ObjectStorage, Unreachable, open_storage
from tests.diffusion.safetensors_files import write_safetensors
from tests.messages import raises

SIZE = 100_000


@pytest.fixture
def place(tmp_path: Path) -> ObjectStorage:
    (tmp_path / "shared").mkdir()
    return open_storage((tmp_path / "shared").as_uri())


def pushed(place: ObjectStorage, tmp_path: Path, name: str) -> RemoteModelFile:
    """A file of `SIZE` bytes and a header, whose content its name decides."""
    path = tmp_path / f"{name}.safetensors"
    content = (name * SIZE).encode()[:SIZE]
    header = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (SIZE, SIZE)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content)
    (file,) = push_model(path.name, path, place).files
    return file


class Source:
    """The files of a place, in pieces of 10 kB; what was asked of it is noted."""

    def __init__(self, place: ObjectStorage, *, breaks_after: int | None = None) -> None:
        self.place, self.breaks_after = place, breaks_after
        self.starts: list[int] = []

    def __call__(self, file: RemoteModelFile, start: int) -> Iterator[bytes]:
        self.starts.append(start)
        content = b"".join(self.place.chunks(file.object, file.bytes))
        for at in range(start, len(content), 10_000):
            if self.breaks_after is not None and at >= self.breaks_after:
                raise InvalidFile("the line is cut")
            yield content[at : at + 10_000]


def content(cache: FileCache, file: RemoteModelFile) -> bytes:
    with cache.using(file) as path:
        return path.read_bytes()


def kept(folder: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in (folder / "files").iterdir()}


def test_what_was_used_least_lately_goes_first_and_nothing_that_is_in_use(
    place: ObjectStorage, tmp_path: Path
) -> None:
    first, second, third = (pushed(place, tmp_path, name) for name in "abc")
    source, folder = Source(place), tmp_path / "cache"
    cache = FileCache(folder, first.bytes * 2 + 10, source)
    for file in (first, second, first):
        content(cache, file)
    content(cache, third)
    assert kept(folder) == {first.sha256, third.sha256}
    with cache.using(first):  # the one that would go
        content(cache, second)
        assert kept(folder) == {first.sha256, second.sha256}
    assert len(source.starts) == 4
    with raises(InvalidValue, given="model_cache_budget = 1.0 kB"):
        content(FileCache(folder, 1000, source), third)


def test_a_broken_fetch_leaves_no_file_and_goes_on_where_it_was(
    place: ObjectStorage, tmp_path: Path
) -> None:
    file, folder = pushed(place, tmp_path, "a"), tmp_path / "cache"
    with raises(InvalidFile):
        content(FileCache(folder, 10 * SIZE, Source(place, breaks_after=50_000)), file)
    assert not list((folder / "files").glob("*.safetensors"))
    source = Source(place)
    assert content(FileCache(folder, 10 * SIZE, source), file)[-1:] == b"a"
    assert source.starts == [50_000]


def test_what_an_earlier_attempt_left_damaged_is_fetched_anew(
    place: ObjectStorage, tmp_path: Path
) -> None:
    file, folder = pushed(place, tmp_path, "a"), tmp_path / "cache"
    with pytest.raises(InvalidFile):
        content(FileCache(folder, 10 * SIZE, Source(place, breaks_after=50_000)), file)
    (part,) = (folder / "files").iterdir()
    part.write_bytes(b"x" * part.stat().st_size)
    source = Source(place)
    content(FileCache(folder, 10 * SIZE, source), file)
    assert source.starts == [50_000, 0]


def test_a_fetched_file_that_was_damaged_here_is_fetched_anew(
    place: ObjectStorage, tmp_path: Path
) -> None:
    file, source = pushed(place, tmp_path, "a"), Source(place)
    cache = FileCache(tmp_path / "cache", 10 * SIZE, source)
    whole = content(cache, file)
    (path,) = (tmp_path / "cache" / "files").iterdir()
    path.write_bytes(b"x" * file.bytes)
    assert content(cache, file) == whole
    assert source.starts == [0, 0]


def test_damage_there_is_refused_with_both_digests(place: ObjectStorage, tmp_path: Path) -> None:
    file = pushed(place, tmp_path, "a")
    place.write(file.object, b"x" * file.bytes)
    with raises(InvalidFile) as refusal:
        content(FileCache(tmp_path / "cache", 10 * SIZE, Source(place)), file)
    problem = refusal.value.problem
    assert file.sha256 in (problem.expected or "")
    assert (problem.given or "").startswith("SHA-256 ")
    assert not kept(tmp_path / "cache")


def test_a_cancelled_run_stops_within_a_piece(place: ObjectStorage, tmp_path: Path) -> None:
    file, source = pushed(place, tmp_path, "a"), Source(place)
    steps: list[tuple[int, int]] = []

    def stop(step: int, total: int) -> None:
        steps.append((step, total))
        raise Cancelled("enough")

    token = PROGRESS_CALLBACK.set(stop)
    try:
        with pytest.raises(Cancelled):
            content(FileCache(tmp_path / "cache", 10 * SIZE, source), file)
    finally:
        PROGRESS_CALLBACK.reset(token)
    assert len(steps) == 1
    (part,) = (tmp_path / "cache" / "files").iterdir()
    assert part.stat().st_size == 10_000


def _use(url: str, file: RemoteModelFile, folder: Path, barrier: Any, asked: Any) -> None:
    source = Source(open_storage(url))
    barrier.wait()
    content(FileCache(folder, 10 * SIZE, source), file)
    asked.put(len(source.starts))


def test_processes_that_want_the_same_fetch_it_once(place: ObjectStorage, tmp_path: Path) -> None:
    file, spawning = pushed(place, tmp_path, "a"), multiprocessing.get_context("spawn")
    barrier, asked = spawning.Barrier(2), spawning.Queue()
    given = (place.url, file, tmp_path / "cache", barrier, asked)
    other = spawning.Process(target=_use, args=given)
    other.start()
    _use(*given)
    other.join()
    assert sorted(asked.get() for _ in range(2)) == [0, 1]


class Failing:
    """A place whose connection breaks at the n-th file that is brought."""

    def __init__(self, place: ObjectStorage, uploads: int) -> None:
        self._place, self._left = place, uploads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

    def upload(self, name: str, path: Path) -> None:
        if not self._left:
            raise Unreachable("no answer")
        self._left -= 1
        self._place.upload(name, path)


def test_a_push_goes_on_where_it_was_and_shows_the_model_only_when_it_is_whole(
    place: ObjectStorage, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    write_safetensors(folder / "unet" / "weights.safetensors", {"a": (2, 3)})
    (folder / "model_index.json").write_text("{}")
    (folder / "old.ckpt").write_bytes(b"pickle")
    with raises(InvalidFile):
        push_model("model", folder, Failing(place, 1))
    assert not list(place.list("manifests"))
    brought: list[str] = []

    def told(file: RemoteModelFile, is_new: bool) -> None:
        if is_new:
            brought.append(file.path)

    manifest = push_model("model", folder, place, told)
    assert brought == ["model/unet/weights.safetensors"]
    assert [file.path for file in manifest.files] == ["model/model_index.json", *brought]
    assert parse_manifest(place.read("manifests/model.json"), "model", place.url) == manifest
    with pytest.raises(UnsafeFile):
        push_model("old.ckpt", folder / "old.ckpt", place)
    with pytest.raises(InvalidValue):
        push_model("../model", folder, place)


def test_what_nodegraph_does_not_read_is_left_out_of_a_push(
    place: ObjectStorage, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    write_safetensors(folder / "unet" / "weights.safetensors", {"a": (2, 3)})
    for name in ("flax_model.msgpack", "model.onnx", "tf_model.H5", "old.ckpt", "tokenizer.json"):
        (folder / name).write_bytes(b"{}")
    with (folder / "weights.data").open("wb") as file:
        file.truncate(65 << 20)
    left: list[str] = []
    manifest = push_model("model", folder, place, left_out=left.append)
    assert [file.path for file in manifest.files] == [
        "model/tokenizer.json",
        "model/unet/weights.safetensors",
    ]
    assert {Path(name).name for name in left} == {
        *("flax_model.msgpack", "model.onnx", "tf_model.H5", "old.ckpt", "weights.data")
    }


def test_a_manifest_that_leads_outside_of_its_model_is_refused(
    place: ObjectStorage, tmp_path: Path
) -> None:
    file = pushed(place, tmp_path, "a")
    data = place.read("manifests/a.safetensors.json").decode()
    for path in ("../a", "/etc/passwd", "a.safetensors/../../b", ".manifest.json"):
        with raises(InvalidFile):
            parse_manifest(
                data.replace(f'"path": "{file.path}"', f'"path": "{path}"').encode(), None, ""
            )
