"""Models are listed again without being read again."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph.models import model_sources as known_models
from nodegraph.models.model_sources import KnownModels, describe_model, list_models

EMBEDDED = [
    "tiny",
    "tiny/controlnet",
    "tiny/lcm_lora",
    "tiny/molecules",
    "tiny/motions",
    "tiny/shapes",
    "tiny/sounds",
    "tiny/style_lora",
    "tiny/upscaler",
]


def write(path: Path, shape: tuple[int, ...] = (1,)) -> None:
    entry = {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 4 * shape[0]]}
    head = json.dumps({"x": entry}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(4 * shape[0]))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were read."""
    found: list[str] = []

    def describe(name: str, *more: Any) -> Any:
        found.append(name)
        return describe_model(name, *more)

    monkeypatch.setattr(known_models, "describe_model", describe)
    return found


def test_only_what_changed_is_read_again(tmp_path: Path, read: list[str]) -> None:
    known = KnownModels()

    def names_read() -> list[str]:
        listed = known.list([tmp_path])
        names = sorted(read)
        assert [replace(each, record=None) for each in listed] == list_models([tmp_path])
        read.clear()
        return names

    write(tmp_path / "a.safetensors")
    write(tmp_path / "b.safetensors")
    assert names_read() == ["a.safetensors", "b.safetensors", *EMBEDDED]
    assert names_read() == []
    write(tmp_path / "a.safetensors", (2,))
    write(tmp_path / "c.safetensors")
    assert names_read() == ["a.safetensors", "c.safetensors"]


def test_what_is_gone_is_forgotten_and_read_when_it_comes_back(
    tmp_path: Path, read: list[str]
) -> None:
    known, path = KnownModels(), tmp_path / "a.safetensors"
    write(path)
    known.list([tmp_path])
    path.unlink()
    assert [model.name for model in known.list([tmp_path])] == EMBEDDED
    write(path)
    known.list([tmp_path])
    assert read.count("a.safetensors") == 2


def test_a_file_within_a_model_folder_counts(tmp_path: Path, read: list[str]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model_index.json").write_text('{"_class_name": "Nothing"}')
    known = KnownModels()
    known.list([tmp_path])
    known.list([tmp_path])
    assert read.count("model") == 1
    (folder / "unet").mkdir()
    (folder / "unet" / "config.json").write_text("{}")
    known.list([tmp_path])
    assert read.count("model") == 2


def test_a_folder_may_go_while_it_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, away = tmp_path / "models", tmp_path / "away"
    inner = models / "model" / "unet"
    write(inner / "a.safetensors")
    (models / "model" / "model_index.json").write_text('{"_class_name": "Nothing"}')
    scandir = os.scandir

    def late(place: Any) -> Any:
        if str(place) == str(inner):
            inner.rename(away)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", late)
    assert [model.name for model in KnownModels().list([models])] == ["model", *EMBEDDED]
    assert away.exists()


def test_a_file_that_keeps_its_size_and_time_is_seen_to_be_another(
    tmp_path: Path, read: list[str]
) -> None:
    known, path = KnownModels(), tmp_path / "a.safetensors"
    write(path)
    known.list([tmp_path])
    status = path.stat()
    write(path)
    while path.stat().st_ctime_ns == status.st_ctime_ns:  # some systems' clock ticks every 10 ms
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    known.list([tmp_path])
    assert read.count("a.safetensors") == 2
