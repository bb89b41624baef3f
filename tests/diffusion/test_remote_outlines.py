"""Outlines of remote models: when the place is asked for them, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from nodegraph.errors import InvalidFile, ModelNotFound
from nodegraph.models.model_sources import KnownModels, find_path, list_models
from nodegraph.models.remote import remote_models as outlines
from nodegraph.models.remote.manifests import push_model
from nodegraph.models.remote.remote_models import RemoteModels
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.store.remote.object_storage import ObjectStorage, Unreachable, open_storage
from nodegraph.weights.attached_models import attach, detach
from tests.diffusion.families.text_files import clip, clip_file, named, t5
from tests.diffusion.safetensors_files import write_safetensors
from tests.messages import raises


class Slow:
    """A place that takes its time, on a clock that only it moves, and may not answer at all."""

    def __init__(self, place: ObjectStorage) -> None:
        self._place = place
        self.now, self.asked = 0.0, 0
        self.is_away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

    def _ask(self) -> None:
        self.asked += 1
        self.now += 60
        if self.is_away:
            raise Unreachable("no answer")

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        self._ask()
        return self._place.list(prefix)

    def read(self, name: str) -> bytes:
        self._ask()
        return self._place.read(name)


@pytest.fixture
def place(tmp_path: Path) -> ObjectStorage:
    (tmp_path / "shared").mkdir()
    return open_storage((tmp_path / "shared").as_uri())


@pytest.fixture
def slow(place: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> Slow:
    found = Slow(place)
    monkeypatch.setattr(outlines, "open_storage", lambda url: found)
    return found


def remote(place: Any, home: Path) -> RemoteModels:
    clock = {"clock": lambda: place.now} if isinstance(place, Slow) else {}
    return RemoteModels(place.url, home / "outlines", home / "cache", 1 << 30, ("loras",), **clock)


def push_text(place: ObjectStorage, folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(text)
    push_model("model", folder, place)


def test_a_slow_place_is_listed_once_for_a_name(slow: Slow, tmp_path: Path) -> None:
    there = remote(slow, tmp_path)
    for _ in range(2):
        assert there.find("wolf/of/many/readings") is None
        assert slow.asked == 1
    slow.now += 11
    there.find("wolf")
    assert slow.asked == 2


def test_a_place_that_did_not_answer_is_left_alone_for_a_while(slow: Slow, tmp_path: Path) -> None:
    push_text(slow, tmp_path / "model", "{}")
    slow.is_away = True
    there = remote(slow, tmp_path / "empty")
    for _ in range(2):
        with raises(InvalidFile):
            there.find("model")
        assert slow.asked == 1
    slow.now += 11
    slow.is_away = False
    assert there.find("model")


def test_what_was_looked_at_is_found_without_waiting_for_each_object(
    slow: Slow, tmp_path: Path
) -> None:
    push_text(slow, tmp_path / "model", "{}")
    assert remote(slow, tmp_path).find("model")
    slow.is_away, slow.asked = True, 0
    assert remote(slow, tmp_path).find("model")
    assert slow.asked == 1


def test_a_place_that_is_away_gives_the_version_seen_last(
    place: ObjectStorage, tmp_path: Path
) -> None:
    for text in ("{}", '{"a": 1}', "{}"):
        push_text(place, tmp_path / "model", text)
        assert remote(place, tmp_path).find("model")
    (tmp_path / "shared").rename(tmp_path / "gone")
    found = remote(place, tmp_path).find("model")
    assert found is not None
    assert (found / "config.json").read_text() == "{}"


@pytest.mark.parametrize("name", ["model/config.json", ".manifest.json"])
def test_a_torn_file_of_an_outline_is_laid_anew(
    place: ObjectStorage, tmp_path: Path, name: str
) -> None:
    push_text(place, tmp_path / "model", '{"a": 1}')
    found = remote(place, tmp_path).find("model")
    assert found is not None
    torn = found.parent / name
    whole = torn.read_bytes()
    torn.write_bytes(whole[:3])
    assert remote(place, tmp_path).find("model") == found
    assert torn.read_bytes() == whole


def test_only_fetched_weights_are_here(place: ObjectStorage, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write_safetensors(folder / "unet" / "weights.safetensors", {"a": (2, 3)})
    push_text(place, folder, "{}")
    there = remote(place, tmp_path)
    found = there.find("model")
    assert found is not None
    assert there.is_here(found / "config.json")
    weights = found / "unet" / "weights.safetensors"
    assert not there.is_here(weights)
    with there.full_file(weights):
        pass
    assert there.is_here(weights)


def test_encoders_of_a_bucket_have_the_precision_of_the_same_files_here(
    place: ObjectStorage, tmp_path: Path
) -> None:
    """The larger file's, though the other has the larger header."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    save_file(named(t5()), shelf / "large.safetensors")
    halved = {name: tensor.bfloat16() for name, tensor in clip_file(clip()).items()}
    save_file(halved, shelf / "small.safetensors")
    for name in ("small.safetensors", "large.safetensors"):
        push_model(name, shelf / name, place)
    there, names = remote(place, tmp_path), {"file": "small", "file_2": "large"}
    attach(there)
    try:
        near, far = (
            open_text_encoder("flux", names, [folder], device="cuda")
            for folder in (shelf, there.root)
        )
    finally:
        detach(there)
    assert near.dtype == far.dtype == "float32"


@contextmanager
def attached(place: Any, home: Path) -> Iterator[RemoteModels]:
    there = remote(place, home)
    attach(there)
    try:
        yield there
    finally:
        detach(there)


def put_flux(place: ObjectStorage, shelf: Path, *names: str) -> None:
    """Transformers of Flux.1, by their headers."""
    shapes: dict[str, tuple[int, ...]] = {
        "img_in.weight": (8, 64),
        "double_blocks.0.img_mod.lin.weight": (8, 8),
        "vector_in.in_layer.weight": (8, 8),
        "final_layer.linear.weight": (64, 8),
    }
    for name in names:
        write_safetensors(shelf / name, shapes)
        push_model(name, shelf / name, place)


def test_lists_tell_names_first_and_then_what_a_local_file_would_be(
    slow: Slow, tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    put_flux(slow, shelf, "a.safetensors", "b/c.safetensors")
    with attached(slow, tmp_path) as there:
        assert there.refresh(1) == 1
        asked = slow.asked
        known, new = (each for each in list_models([there.root]) if each.remote_url)
        assert slow.asked == asked, "lists ask nobody"
        assert (new.name, new.bytes, new.is_looked_at) == ("b/c.safetensors", 0, False)
        (near, _) = (each for each in list_models([shelf]) if each.kind == "checkpoint")
        for what in ("name", "family", "bytes", "part", "node", "problem"):
            assert getattr(known, what) == getattr(near, what), what
        assert (there.refresh(5), there.refresh(5)) == (1, 0)
        models = [each for each in list_models([there.root]) if each.remote_url == slow.url]
        assert all(each.is_looked_at for each in models)
        both = [each for each in list_models([shelf, there.root]) if each.name == known.name]
        assert [each.remote_url for each in both] == [None], "what lies here is what a name means"


def test_only_so_many_are_looked_at_for_lists(
    place: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, "_MOST_LISTED", 1)
    put_flux(place, tmp_path / "shelf", "a.safetensors", "b.safetensors")
    with attached(place, tmp_path) as there:
        assert (there.refresh(9), there.refresh(9)) == (1, 0)
        found = KnownModels().get("b.safetensors", [there.root])
        assert found is not None
        assert found.part == "the transformer of Flux.1", "what is named is looked at"


def test_what_cannot_be_looked_at_is_listed_with_the_reason(slow: Slow, tmp_path: Path) -> None:
    put_flux(slow, tmp_path / "shelf", "a.safetensors", "b.safetensors")
    (tmp_path / "shared" / "manifests" / "a.safetensors.json").write_text("{")
    with attached(slow, tmp_path) as there:
        there.refresh(9)
        bad, good = (each for each in list_models([there.root]) if each.remote_url)
        assert "damaged" in (bad.problem or "")
        assert good.problem is None
        assert there.refresh(9) == 0, "it isn't looked at again at once"
        with raises(ModelNotFound, given="bb.safetensors"):
            find_path("bb.safetensors", [there.root])
    slow.is_away = True
    with attached(slow, tmp_path) as again:
        slow.now += 60
        assert [each.name for each in list_models([again.root]) if each.remote_url] == [good.name]


def test_names_that_lead_elsewhere_are_none(place: ObjectStorage, tmp_path: Path) -> None:
    there = remote(place, tmp_path)
    (tmp_path / "shared/manifests/.x").mkdir(parents=True)
    (tmp_path / "shared/manifests/.x/a.json").write_text("{}")
    assert there.refresh(9) == 0
    assert there.list_models() == []
