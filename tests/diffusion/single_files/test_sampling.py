"""A diffusion model in a file of its own samples what the folder does, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file

from nodegraph.diffusion import load_component, locate_model
from nodegraph.errors import InvalidFile
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from tests.diffusion.families.equality import NEGATIVE, Model, random_pipeline
from tests.diffusion.families.language import qwen_vl_text
from tests.diffusion.families.qwen_parts import qwen_flow, qwen_vae
from tests.diffusion.families.test_flux2 import flux2
from tests.diffusion.families.test_z_image import z_image
from tests.diffusion.families.words import qwen_words
from tests.messages import raises

from .originals import WRITERS


def qwen_image() -> Any:
    net = d.QwenImageTransformer2DModel(
        num_layers=1,
        attention_head_dim=128,
        num_attention_heads=1,
        joint_attention_dim=32,
    )
    words = qwen_words()
    return d.QwenImagePipeline(qwen_flow(), qwen_vae(), qwen_vl_text(words), words, net)


CASES: dict[str, tuple[Callable[[], Any], str, dict[str, Any]]] = {
    "z-image": (z_image, "model.diffusion_model.", {"cfg": 4.0}),
    "flux2": (flux2, "diffusion_model.", {"cfg": 1.0}),
    "qwen-image": (qwen_image, "transformer.", {"cfg": 4.0, "negative": NEGATIVE}),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "flux2" else ()) for name in CASES],
)
def test_a_latent_is_the_folders(tmp_path: Path, name: str) -> None:
    build, prefix, options = CASES[name]
    pipeline = random_pipeline(build)
    pipeline.save_pretrained(tmp_path / "folder")
    model = Model(tmp_path / "folder")
    expected = model.make(64, 64, **options).latents
    tensors = WRITERS[name](pipeline.transformer.state_dict())
    path = tmp_path / "alone.safetensors"
    save_file({f"{prefix}{key}": item.clone() for key, item in tensors.items()}, path)
    recipe = open_denoiser(DenoiserRequest(str(path)), [], dtype="float32")
    assert recipe.family == name
    model.loaded["model"] = load_component(recipe, "cpu")
    assert torch.equal(model.make(64, 64, **options).latents, expected)


def test_a_family_of_several_that_look_the_same_is_chosen(tmp_path: Path) -> None:
    net = random_pipeline(qwen_image).transformer
    path = tmp_path / "qwen.safetensors"
    save_file({key: item.clone() for key, item in net.state_dict().items()}, path)
    for family, expected in (
        ("auto", "qwen-image"),
        ("qwen-image-edit", "qwen-image-edit"),
        ("qwen-image-edit-plus", "qwen-image-edit-plus"),
    ):
        recipe = open_denoiser(DenoiserRequest(str(path), family=family), [], dtype="float32")
        assert recipe.family == expected
        assert load_component(recipe, "cpu").module.config.num_layers == 1


def test_what_is_not_supported_is_told_as_what_it_is(tmp_path: Path) -> None:
    tensors = {
        "model.diffusion_model.vace_patch_embedding.weight": torch.ones(1),
        "model.diffusion_model.patch_embedding.weight": torch.ones(1),
    }
    save_file(tensors, tmp_path / "vace.safetensors")
    with raises(InvalidFile):
        open_denoiser(DenoiserRequest("vace"), [tmp_path])
    with raises(InvalidFile):
        locate_model("vace", [tmp_path])
