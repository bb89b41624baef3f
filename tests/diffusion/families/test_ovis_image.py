"""Ovis-Image gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import encode_prompt, load_component
from nodegraph.families.identification import identify_tensors
from nodegraph.families.patches import unpack_latents
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import PROMPT, Model
from .language import qwen3_text
from .parts import dynamic_flow, flux_vae
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def transformer() -> Any:
    return d.OvisImageTransformer2DModel(
        in_channels=64,
        out_channels=64,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(4, 14, 14),
    )


def ovis_image() -> Any:
    words = qwen_words()
    encoder = qwen3_text(words, kind=tf.Qwen3Model)
    return d.OvisImagePipeline(dynamic_flow(), flux_vae(), encoder, words, transformer())


def unpack(width: int, height: int) -> Callable[[Tensor], Tensor]:
    return lambda tokens: unpack_latents(tokens, height // 8, width // 8)


def test_ovis_image_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(ovis_image), unpack=unpack)


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(ovis_image))
    assert torch.equal(found.latents, unpack(64, 64)(expected.latents).float())


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    _, model = model_of(ovis_image)
    warnings: list[str] = []
    encoder = model.part("text_encoder")
    (entry,) = encode_prompt(encoder, "cat " * 400, warn=warnings.append).entries
    assert entry.embeddings.shape == (1, 256, 32)
    assert len(warnings) == 1
    encode_prompt(encoder, PROMPT, warn=warnings.append)
    assert len(warnings) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(ovis_image)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def test_a_file_of_its_transformer_is_the_folders(model_of: ModelOf, tmp_path: Path) -> None:
    _, model = model_of(ovis_image)
    tensors = model.part("model").module.state_dict()
    file = tmp_path / "ovis.safetensors"
    save_file(tensors, file)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of Ovis-Image"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    other = Model(model.folder, loaded={**model.loaded, "model": loaded})
    assert torch.equal(other.make(64, 64, cfg=1.0).latents, model.make(64, 64, cfg=1.0).latents)
