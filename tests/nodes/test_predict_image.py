"""Images that a model predicts of an image in one step, by a prompt of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import QwenImagePipeline
from safetensors.torch import save_file

from nodegraph.families.patches import pack_latents, unpack_latents
from tests.diffusion.families.test_qwen_image import qwen_image

from .conftest import Bench, link

TOKENS = torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def qwen(bench: Bench) -> Any:
    torch.manual_seed(0)
    pipeline = qwen_image()
    pipeline.save_pretrained(bench.folder / "models" / "qwen")
    save_file({"conditioning": TOKENS}, bench.folder / "models" / "depth.safetensors")
    return pipeline


def predicted(schedule: str = "0.5, 0", **inputs: Any) -> dict[str, Any]:
    taken = {
        "model": link("load.model"),
        "conditioning": link("prompt"),
        "latent": link("encode"),
        "schedule": link("levels"),
        **inputs,
    }
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "qwen"}},
        "prompt": {"type": "LoadConditioning", "inputs": {"conditioning": "depth.safetensors"}},
        "picture": {"type": "Picture", "inputs": {"width": 48, "height": 32, "batch": 2}},
        "encode": {
            "type": "VAEEncode",
            "inputs": {"vae": link("load.vae"), "image": link("picture")},
        },
        "levels": {"type": "ListedSchedule", "inputs": {"sigmas": schedule}},
        "size": {"type": "EmptyLatent", "inputs": {"width": 48, "height": 32}},
        "predict": {"type": "PredictImage", "inputs": taken},
    }


def test_the_velocity_is_subtracted_from_the_latent_as_it_is(
    bench: Bench, qwen: QwenImagePipeline
) -> None:
    latent = bench.value(predicted(), "encode").samples
    found = bench.value(predicted(), "predict").samples
    with torch.no_grad():
        velocity = qwen.transformer.eval()(
            hidden_states=pack_latents(latent),
            timestep=torch.tensor([0.5, 0.5]),
            encoder_hidden_states=TOKENS.expand(2, -1, -1),
            img_shapes=[[(1, 2, 3)]] * 2,
        ).sample
    assert torch.equal(found, latent - unpack_latents(velocity, 4, 6))


@pytest.mark.parametrize(
    ("changed", "port"),
    [
        ({"schedule": "0.5, 0.2"}, "schedule"),
        ({"schedule": "1, 0.5, 0"}, "schedule"),
        ({"latent": link("size")}, "latent"),
    ],
)
def test_only_one_step_of_an_image_is_taken(
    bench: Bench, qwen: QwenImagePipeline, changed: dict[str, Any], port: str
) -> None:
    assert bench.failure(predicted(**changed), "predict").problem.port == port


def test_other_models_than_of_flows_are_refused(bench: Bench, sd1_folder: Path) -> None:
    (bench.folder / "models").mkdir()
    (bench.folder / "models" / "qwen").symlink_to(sd1_folder)
    save_file({"conditioning": TOKENS}, bench.folder / "models" / "depth.safetensors")
    assert bench.failure(predicted(), "predict").problem.port == "model"


@pytest.mark.parametrize(
    "tensors",
    [
        {"embeddings": TOKENS},
        {"conditioning": TOKENS[0]},
        {"conditioning": TOKENS, "guidance": torch.ones(1)},
    ],
)
def test_files_without_an_encoded_prompt_alone_are_refused(
    bench: Bench, tensors: dict[str, torch.Tensor]
) -> None:
    path = bench.folder / "prompt.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, path)
    node = {"type": "LoadConditioning", "inputs": {"conditioning": str(path)}}
    (problem,) = bench.problems({"prompt": node}, "prompt")
    assert problem.port == "conditioning"


def test_a_pooled_prompt_of_a_file_is_kept(bench: Bench) -> None:
    path = bench.folder / "prompt.safetensors"
    save_file({"conditioning": TOKENS.half(), "pooled_output": torch.ones(1, 8)}, path)
    node = {"type": "LoadConditioning", "inputs": {"conditioning": str(path)}}
    (entry,) = bench.value({"prompt": node}, "prompt").entries
    assert torch.equal(entry.embeddings, TOKENS.half().float())
    assert torch.equal(entry.tensors["pooled"], torch.ones(1, 8))
