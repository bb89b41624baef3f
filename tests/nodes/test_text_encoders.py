"""LoadTextEncoder gives a recipe at once, and tells before running what can't be loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_hidream import hidream
from tests.diffusion.families.text_files import clip, clip_file, named, t5, write
from tests.nodes.conftest import Bench, link


@pytest.fixture
def files(bench: Bench) -> Path:
    folder = bench.folder / "models"
    folder.mkdir(exist_ok=True)
    write(folder / "clip_l.safetensors", clip_file(clip()))
    write(folder / "t5xxl.safetensors", named(t5()))
    return folder


def load(*names: str, **inputs: Any) -> dict[str, Any]:
    ports = ("file", "file_2", "file_3", "file_4")
    given = {"family": "flux", **dict(zip(ports, names, strict=False)), **inputs}
    return {"load": {"type": "LoadTextEncoder", "inputs": given}}


def test_it_gives_a_text_encoder_whatever_the_order(bench: Bench, files: Path) -> None:
    one = bench.value(load("clip_l", "t5xxl"), "load.text_encoder")
    assert one == bench.value(load("t5xxl", "clip_l"), "load.text_encoder")
    roles = {file.role: Path(file.path).name for file in one.files if "token" not in file.role}
    assert roles == {
        "text_encoder": "clip_l.safetensors",
        "text_encoder_2": "t5xxl.safetensors",
    }
    assert (one.family, one.dtype) == ("flux", "float32")


def test_prompts_are_encoded(bench: Bench, files: Path) -> None:
    inputs = {"encoder": link("load.text_encoder"), "text": "a cat"}
    nodes = load("clip_l", "t5xxl") | {"say": {"type": "EncodePrompt", "inputs": inputs}}
    found = bench.value(nodes, "say.conditioning")
    assert found.family == "flux"
    assert found.entries[0].embeddings.shape == (1, 512, 128)


@pytest.mark.parametrize(
    ("names", "port", "words"),
    [
        (("clip_l",), "file_2", "no file holds: T5-XXL"),
        (("clip_l", "clip_l", "t5xxl"), "file_2", "CLIP-L, is given twice"),
        (("clip_l", "t5xl"), "file_2", "there is no model `t5xl`"),
        (
            ("clip_l", "."),
            "file_2",
            "models is not the folder of a text encoder: it has no config.json",
        ),
        (
            ("clip_l", "wan"),
            "file_2",
            "wan is a WanPipeline, which is not a text encoder of Flux.1",
        ),
        (
            ("vae", "clip_l"),
            "file",
            "vae is a AutoencoderKL, which is not a text encoder of Flux.1",
        ),
    ],
)
def test_wrong_files_are_told_before_running(
    bench: Bench, files: Path, names: tuple[str, ...], port: str, words: str
) -> None:
    write_json(files / "wan" / "model_index.json", _class_name="WanPipeline")
    write_json(files / "vae" / "config.json", _class_name="AutoencoderKL")
    write(files / "vae" / "diffusion_pytorch_model.safetensors", {"a": torch.ones(1)})
    [problem] = bench.problems(load(*names), "load")
    assert problem.port == port
    assert words in problem.message


def test_all_files_that_are_missing_are_told_at_once(bench: Bench) -> None:
    missing = [item.port for item in bench.problems(load("clip_l", "t5xxl", ""), "load")]
    assert missing == ["file", "file_2"]


def write_json(file: Path, **content: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content))


def test_a_changed_file_is_noticed(bench: Bench, files: Path) -> None:
    before = bench.value(load("clip_l", "t5xxl"), "load.text_encoder")
    assert bench.run(load("clip_l", "t5xxl"), "load").nodes["load"].status == "cached"
    tensors = clip_file(clip())
    name = "text_model.final_layer_norm.bias"
    tensors[name] = tensors[name] + 1
    write(files / "clip_l.safetensors", tensors)
    result = bench.run(load("clip_l", "t5xxl"), "load")
    assert result.nodes["load"].status == "ran"
    assert result["load.text_encoder"].digest != before.digest


def test_a_folder_without_llama_is_told_where_a_prompt_is_encoded(bench: Bench) -> None:
    folder = bench.folder / "models" / "hidream"
    random_pipeline(hidream).save_pretrained(folder)
    inputs = {"encoder": link("whole.text_encoder"), "text": "a cat"}
    whole = {"type": "LoadModel", "inputs": {"model": "hidream"}}
    nodes = {"whole": whole, "say": {"type": "EncodePrompt", "inputs": inputs}}
    assert bench.problems(nodes, "say") == []
    for role in ("text_encoder_4", "tokenizer_4"):
        shutil.rmtree(folder / role)
    [problem] = bench.problems(nodes, "say")
    assert problem.port == "encoder"
    assert "has no Llama 3.1" in problem.message
