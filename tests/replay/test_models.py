"""`nodegraph replay` with models: found by content, named if they lack, compared byte by byte."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from blake3 import blake3

from nodegraph.families.embedded_models import embedded_folder
from tests.cli.conftest import Cli
from tests.downloads.stand_in import Site, standing_in
from tests.processes import PATIENCE
from tests.replay.conftest import PAINTING, Save, with_nodes

UPSCALER = next((embedded_folder().parent / "companions").glob("*/upscaler.safetensors"))
"""A model that is one file."""
LARGER = with_nodes(
    PAINTING,
    load={"type": "LoadUpscaleModel", "inputs": {"model": "larger"}},
    upscale={
        "type": "UpscaleImage",
        "inputs": {"model": {"from": "load"}, "image": {"from": "paint"}},
    },
    save={"type": "SaveImage", "inputs": {"image": {"from": "upscale"}}},
)


@pytest.fixture
def upscaler(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "upscale_models" / "larger.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(UPSCALER.read_bytes())
    return path


@pytest.fixture
def larger(save: Save, pack: Path, upscaler: Path) -> Path:
    """An image that was made with the upscaler."""
    (file,) = save(LARGER, "--pack", pack, "--models", upscaler.parents[1])
    return file


def change_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 0x04
    path.write_bytes(data)


def test_a_renamed_model_is_found_by_its_content(
    cli: Cli, larger: Path, pack: Path, upscaler: Path
) -> None:
    other = upscaler.with_name("another.safetensors")
    other.write_bytes(b"no model")
    upscaler.rename(upscaler.parents[1] / "moved.safetensors")
    options = ("--pack", pack, "--models", upscaler.parents[1])
    result = cli("replay", larger, "--verify", *options)
    assert result.code == 0, result.err
    assert "identical" in result.out
    assert sorted(path.name for path in upscaler.parent.iterdir()) == ["another.safetensors"]


def test_a_model_of_the_same_name_does_not_stand_for_it(
    cli: Cli, larger: Path, pack: Path, upscaler: Path
) -> None:
    upscaler.rename(upscaler.with_name("kept.safetensors"))
    upscaler.write_bytes(upscaler.with_name("kept.safetensors").read_bytes())
    change_a_byte(upscaler)
    options = ("--pack", pack, "--models", upscaler.parents[1])
    assert "identical" in cli("replay", larger, "--verify", *options).out


def test_a_changed_byte_is_named_as_the_cause(
    cli: Cli, larger: Path, pack: Path, upscaler: Path
) -> None:
    change_a_byte(upscaler)
    options = ("--pack", pack, "--models", upscaler.parents[1])
    result = cli("replay", larger, "--verify", *options)
    assert result.code == 1
    assert "upscale_models/larger.safetensors has other content than it had" in result.err
    assert "first node that differs: `load` (LoadUpscaleModel)" in result.out
    assert "because: model files have other content: upscale_models/larger.safeten" in result.out
    assert "PSNR" in result.out


def test_a_missing_model_is_named_with_its_digest(
    cli: Cli, larger: Path, pack: Path, upscaler: Path
) -> None:
    digest = blake3(upscaler.read_bytes()).hexdigest()
    upscaler.unlink()
    result = cli("replay", larger, "--verify", "--pack", pack)
    assert result.code == 2
    assert "missing model: larger (UpscaleModel)" in result.err
    assert f"upscale_models/larger.safetensors, blake3 {digest}" in result.err
    assert f"nodegraph models add {digest}" in result.err
    (model,) = cli("replay", larger, "--pack", pack, "--json").json["missing"]["models"]
    assert model["files"] == {"upscale_models/larger.safetensors": digest}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    with standing_in() as sites:
        monkeypatch.setenv("HF_ENDPOINT", sites.url)
        monkeypatch.setenv("CIVITAI_ENDPOINT", sites.civitai)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("NODEGRAPH_DOWNLOAD_HOSTS", "127.0.0.0/8,localhost,127.0.0.1")
        monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "home"))
        yield sites


def test_a_missing_model_is_downloaded_by_its_digest(
    cli: Cli, larger: Path, pack: Path, upscaler: Path, site: Site, tmp_path: Path
) -> None:
    site.add_version(7, "larger.safetensors", upscaler.read_bytes())
    site.versions["7"]["model"]["type"] = "Upscaler"
    upscaler.unlink()
    result = cli("replay", larger, "--verify", "--pack", pack, "--get")
    assert result.code == 0, result.err
    assert "identical" in result.out or "same content" in result.out
    assert list((tmp_path / "home" / "models").rglob("larger.safetensors"))


def test_a_source_that_the_workflow_states_is_offered(
    cli: Cli, save: Save, pack: Path, upscaler: Path
) -> None:
    models = [{"name": "larger.safetensors", "source": "a/larger", "directory": "upscale_models"}]
    options = ("--pack", pack, "--models", upscaler.parents[1])
    (file,) = save({**LARGER, "models": models}, *options)
    upscaler.unlink()
    result = cli("replay", file, "--pack", pack)
    assert result.code == 2
    assert "nodegraph models add a/larger  (from the workflow)" in result.err


APPLE: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "load": {"type": "LoadModel", "inputs": {"model": "apples"}},
        "text": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "a red apple"},
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "load.model"},
                "positive": {"from": "text"},
                "latent": {"from": "size"},
                "steps": 2,
            },
        },
        "decode": {
            "type": "VAEDecode",
            "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}},
        },
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}, "name": "apple"}},
    },
}


@pytest.mark.slow
def test_a_model_that_is_a_folder(cli: Cli, save: Save, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "apples"
    copytree(embedded_folder(), folder)
    options = ("--models", tmp_path / "models")
    (file,) = save(APPLE, *options)
    renamed = folder.with_name("pears")
    folder.rename(renamed)
    result = cli("replay", file, "--verify", *options)
    assert result.code == 0, result.err
    assert "identical" in result.out
    change_a_byte(renamed / "unet" / "diffusion_pytorch_model.safetensors")
    renamed.rename(folder)
    result = cli("replay", file, "--verify", *options)
    assert result.code == 1
    assert "first node that differs: `load` (LoadModel): model" in result.out
    assert "apples/unet/diffusion_pytorch_model.safetensors" in result.out
    folder.rename(tmp_path / "elsewhere")
    (model,) = cli("replay", file, *options, "--json").json["missing"]["models"]
    assert model["name"] == "apples"
    assert set(model["kinds"]) == {"DiffusionModel", "TextEncoder", "Vae"}


@pytest.mark.slow
def test_another_number_of_threads_is_named_as_the_cause(
    cli: Cli, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = with_nodes(APPLE, load={"type": "LoadModel"})
    path = tmp_path / "apple.json"
    path.write_text(json.dumps(document))

    def run(threads: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            monkeypatch.setenv(name, str(threads))
        command = [sys.executable, "-m", "nodegraph", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    made = run(1, "run", str(path), "--quiet")
    assert made.returncode == 0, made.stderr
    file = made.stdout.strip()
    assert "identical" in run(1, "replay", file, "--verify").stdout
    again = run(2, "replay", file, "--verify")
    assert again.returncode in (0, 1), again.stderr
    assert "1 thread → 2 threads" in again.stdout
    assert "OMP_NUM_THREADS=1" in again.stdout
