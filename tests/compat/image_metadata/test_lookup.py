"""Models that images name are found by hash or by name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch
from blake3 import blake3
from safetensors.torch import save_file

from nodegraph.interop.image_metadata import find_generation
from nodegraph.interop.image_metadata.generation import ModelReference
from nodegraph.interop.image_metadata.generation_workflow import import_generation
from nodegraph.interop.image_metadata.model_finder import ModelFinder
from nodegraph.models.model_hashes import ModelHashCache, compute_hashes, find_by_hash


def written(path: Path, value: float, metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.full((600, 600), value)}, path, metadata)
    # Files count as written long ago: hashes of those that may still change are not kept.
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def autov3(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    written(folder / "checkpoints" / "sdxl" / "Dream Shaper.safetensors", 1.0)
    written(folder / "loras" / "detail.safetensors", 2.0, {"ss_output_name": "x"})
    (folder / "checkpoints" / "old.ckpt").write_bytes(b"\x80\x02" * 700_000)
    for name in ("twice.safetensors", "twice.pt"):
        (folder / "checkpoints" / name).write_bytes(b"")
    return folder


def test_hashes_are_those_of_the_other_tools(models: Path) -> None:
    lora, old = models / "loras" / "detail.safetensors", models / "checkpoints" / "old.ckpt"

    hashes = compute_hashes(lora)

    assert (hashes.sha256, hashes.autov3) == (sha256(lora), autov3(lora))
    assert hashes.autov2 == sha256(lora)[:10]
    assert compute_hashes(old) == (sha256(old), "")


def test_another_header_keeps_autov3(models: Path) -> None:
    same = written(models / "loras" / "again.safetensors", 2.0, {"modelspec.title": "y"})
    first, second = (
        compute_hashes(models / "loras" / name) for name in ("detail.safetensors", same.name)
    )

    assert first.sha256 != second.sha256
    assert first.autov3 == second.autov3


@pytest.mark.parametrize(
    "kind", ["sha256", "autov2", "autov3", "lora", "swarm", "autov1", "blake3"]
)
def test_a_model_is_found_by_any_hash(models: Path, tmp_path: Path, kind: str) -> None:
    path = models / "checkpoints" / "sdxl" / "Dream Shaper.safetensors"
    digits = {
        "sha256": sha256(path),
        "autov2": sha256(path)[:10],
        "autov3": autov3(path)[:12],
        "lora": autov3(path)[:10],
        "swarm": autov3(path),
        "autov1": hashlib.sha256(path.read_bytes()[0x100000:0x110000]).hexdigest()[:8],
        "blake3": blake3(path.read_bytes()).hexdigest(),
    }[kind]
    finder = ModelFinder((models,), tmp_path / "cache")

    name, message = finder.find(ModelReference("another name", (digits,)))

    assert (name, message) == ("checkpoints/sdxl/Dream Shaper.safetensors", "")


def test_hashes_are_computed_once_while_the_file_stays(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.core.file_digests._UNSETTLED", -1.0)  # no file is too new
    path = models / "loras" / "detail.safetensors"
    cache = ModelHashCache(tmp_path / "cache")
    first = cache.hashes(path)

    again = ModelHashCache(tmp_path / "cache")
    assert again.known(path) == first
    assert find_by_hash([first.autov2], [path], again, budget=0).path == path
    written(path, 3.0)
    assert again.known(path) is None
    assert again.hashes(path).sha256 == sha256(path) != first.sha256


def test_a_damaged_cache_hurts_nothing(models: Path, tmp_path: Path) -> None:
    path = models / "loras" / "detail.safetensors"
    (tmp_path / "model_hashes.db").write_bytes(b"no database" * 1000)

    assert ModelHashCache(tmp_path).hashes(path).sha256 == sha256(path)


def test_a_budget_bounds_what_is_read(models: Path, tmp_path: Path) -> None:
    files = sorted(models.rglob("*.safetensors"))
    read: list[Path] = []
    match = find_by_hash(["0" * 10], files, ModelHashCache(None), budget=100, on_read=read.append)

    assert match.path is None
    assert match.unread == 2
    assert [path.name for path in read] == ["twice.safetensors"]
    finder = ModelFinder((models,), None, budget=100)
    name, message = finder.find(ModelReference("lost", ("0" * 10,)))
    assert name == "lost"
    assert "too large to search" in message


def test_hashes_in_headers_count_without_reading(models: Path) -> None:
    known = {"sshs_model_hash": "ab" * 32}
    path = written(models / "loras" / "known.safetensors", 4.0, known)

    assert find_by_hash(["ab" * 6], [path], ModelHashCache(None), budget=0).path == path


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("dream shaper", "checkpoints/sdxl/Dream Shaper.safetensors"),
        ("Dream Shaper.safetensors [31e35c80fc]", "checkpoints/sdxl/Dream Shaper.safetensors"),
        ("C:\\models\\Dream Shaper.ckpt", "checkpoints/sdxl/Dream Shaper.safetensors"),
        ("OfficialModels/Dream Shaper", "checkpoints/sdxl/Dream Shaper.safetensors"),
        ("Dream Shaper_f16.ckpt", "checkpoints/sdxl/Dream Shaper.safetensors"),
        ("old", "checkpoints/old.ckpt"),
        ("twice.ckpt", "checkpoints/twice.safetensors"),
        ("nobody", "nobody"),
        ("../../../etc/passwd", "passwd"),
    ],
)
def test_a_model_is_found_by_name(models: Path, wanted: str, name: str) -> None:
    assert ModelFinder((models,), None).find(ModelReference(wanted)) == (name, "")


def test_of_files_of_one_name_the_one_of_the_kind_counts(models: Path) -> None:
    written(models / "vae" / "detail.safetensors", 5.0)
    finder = ModelFinder((models,), None)

    for kind in ("loras", "vae"):
        assert finder.find(ModelReference("detail"), kind) == (f"{kind}/detail.safetensors", "")


def test_a_name_outside_the_folders_names_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path)

    assert ModelFinder((), None).find(ModelReference("secret")) == ("secret", "")


def test_another_hash_is_reported(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.core.file_digests._UNSETTLED", -1.0)
    path = models / "loras" / "detail.safetensors"
    finder = ModelFinder((models,), tmp_path / "cache")
    finder.find(ModelReference("x", (sha256(path),)))

    name, message = finder.find(ModelReference("detail", ("0123456789",)))

    assert name == "loras/detail.safetensors"
    assert f"another hash ({sha256(path)[:10]}, expected 0123456789)" in message


def test_models_of_an_image_are_those_of_the_folders(models: Path, tmp_path: Path) -> None:
    lora = models / "loras" / "detail.safetensors"
    generation = find_generation(
        {
            "parameters": "a <lora:renamed:0.5>\nSteps: 2, Sampler: Euler, Seed: 1, Size: 64x64, "
            f'Model: dream shaper, Lora hashes: "renamed: {autov3(lora)[:12]}"'
        }
    )
    assert generation is not None
    nodes = import_generation(generation, ModelFinder((models,), tmp_path)).workflow.nodes

    assert nodes["load"].inputs["model"] == "checkpoints/sdxl/Dream Shaper.safetensors"
    assert nodes["lora"].inputs["lora"] == "loras/detail.safetensors"


def test_small_files_do_not_match_the_hash_of_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small.ckpt"
    small.write_bytes(b"x" * 1000)
    nothing = hashlib.sha256(b"").hexdigest()[:8]
    assert find_by_hash([nothing], [small], ModelHashCache(None)).path is None
