"""ERNIE-Image gives what diffusers' pipeline gives, to the last bit.

Text to image, odd sizes, batches, guidance of 0, 1 and 7.3, negative and long prompts, bfloat16,
and image to image at any strength.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file

from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.families.ernie_image import _FILE
from nodegraph.families.identification import identify_tensors
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import ministral3_text, mistral_words
from .late_start import late_start
from .parts import flow

ModelOf = Callable[[Callable[[], Any]], Pair]
LONG = "a red cat on a mat, " * 30


def transformer(text: int = 32) -> Any:
    """Of random weights, also where published models begin with zeros."""
    return d.ErnieImageTransformer2DModel(
        hidden_size=64,
        num_attention_heads=2,
        num_layers=2,
        ffn_hidden_size=96,
        in_channels=128,
        out_channels=128,
        text_in_dim=text,
        rope_axes_dim=(8, 12, 12),
    )


def vae() -> Any:
    """As published: its file has another epsilon than the pipeline uses."""
    made = d.AutoencoderKLFlux2(
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        layers_per_block=1,
        latent_channels=32,
        batch_norm_eps=1e-3,
    )
    made.bn.running_mean.normal_(0, 0.1)
    made.bn.running_var.uniform_(0.5, 2.0)
    return made


def ernie_image() -> Any:
    words = mistral_words()
    encoder = ministral3_text(words)
    return d.ErnieImagePipeline(transformer(), vae(), encoder, words, flow(shift=3.0))


def ernie_image_enhanced() -> Any:
    """As published: with a model that rewrites prompts, which isn't run here."""
    pipeline = ernie_image()
    config = pipeline.text_encoder.config.text_config
    enhancer = tf.Ministral3ForCausalLM(config)
    return d.ErnieImagePipeline(
        **{**pipeline.components, "pe": enhancer, "pe_tokenizer": mistral_words()}
    )


def test_ernie_image_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(ernie_image))


def test_a_folder_with_a_prompt_enhancer_is_loaded_without_it(model_of: ModelOf) -> None:
    pipeline, model = model_of(ernie_image_enhanced)
    found = model.make(64, 64, cfg=1.0)
    called = {"width": 64, "height": 64, "guidance_scale": 1.0, "use_pe": False}
    assert_same(found, stock(pipeline, **called))


def test_guidance_batches_and_long_prompts_are_diffusers(model_of: ModelOf) -> None:
    """At 0 and 1 the pipeline reads the positive prompt alone; here that is 1."""
    pipeline, model = model_of(ernie_image)
    for guidance, cfg, prompt, negative, batch in (
        (0.0, 1.0, PROMPT, NEGATIVE, 1),
        (7.3, 7.3, LONG, NEGATIVE, 3),
        (7.3, 7.3, PROMPT, LONG, 1),
        (2.0, 2.0, "", "", 1),
    ):
        both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch}
        found = model.make(80, 112, cfg=cfg, **both)
        called = {"width": 80, "height": 112, "guidance_scale": guidance}
        assert_same(found, stock(pipeline, **both, **called))


@pytest.mark.parametrize(
    ("denoise", "walked"),
    [
        (0.5, 4),
        pytest.param(0.13, 1, marks=pytest.mark.slow),
        pytest.param(0.99, 7, marks=pytest.mark.slow),
    ],
)
def test_pictures_of_pictures_are_diffusers(model_of: ModelOf, denoise: float, walked: int) -> None:
    """diffusers has no such pipeline: its own one walks the last levels."""
    pipeline, model = model_of(ernie_image)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    both = {"negative": NEGATIVE, "steps": 8}
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, **both)
    called = {"width": 96, "height": 64, "guidance_scale": 4.0, **both}
    assert latent.samples is not None
    with late_start(pipeline, walked=walked) as noised:
        stock(pipeline, **called)
        expected = stock(pipeline, latents=noised(latent.samples), **called)
    assert_same(found, expected)


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(ernie_image))
    assert torch.equal(found.latents, expected.latents.float())


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    pipeline, model = model_of(ernie_image)
    warnings: list[str] = []
    encoder = model.part("text_encoder")
    for words in (encoder.tokenizers["tokenizer"], pipeline.tokenizer):
        words.model_max_length = 20
    try:
        (entry,) = encode_prompt(encoder, LONG, warn=warnings.append).entries
        with torch.no_grad():
            expected = pipeline.encode_prompt(LONG, "cpu")[0]
        assert torch.equal(entry.embeddings[0], expected)
        assert entry.embeddings.shape == (1, 20, 32)
        assert len(warnings) == 1
        encode_prompt(encoder, PROMPT, warn=warnings.append)
        assert len(warnings) == 1
    finally:
        for words in (encoder.tokenizers["tokenizer"], pipeline.tokenizer):
            words.model_max_length = 10**30


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(ernie_image)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def test_a_published_file_has_the_published_sizes() -> None:
    """Those that ComfyUI's model has by default, of eight billion parameters."""
    sizes = {
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_layers": 36,
        "ffn_hidden_size": 12288,
        "text_in_dim": 3072,
    }
    with torch.device("meta"):
        published = d.ErnieImageTransformer2DModel(**sizes)
    shapes = {name: tuple(item.shape) for name, item in published.state_dict().items()}
    found = _FILE.config(shapes)
    assert found == {name: published.config[name] for name in found}


def as_list(value: Any) -> Any:
    """As a configuration's file has it."""
    return list(value) if isinstance(value, tuple) else value


def test_a_file_of_its_transformer_is_the_folders(model_of: ModelOf, tmp_path: Path) -> None:
    """diffusers and ComfyUI's file have the same names."""
    _, model = model_of(ernie_image)
    own = model.part("model").module
    tensors = {f"model.diffusion_model.{name}": item for name, item in own.state_dict().items()}
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of ERNIE-Image"
    file = tmp_path / "ernie-image.safetensors"
    save_file(tensors, file)
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    found = loaded.module.state_dict()
    assert found.keys() == own.state_dict().keys()
    assert all(torch.equal(item, found[name]) for name, item in own.state_dict().items())
    figures = {name: value for name, value in own.config.items() if not name.startswith("_")}
    assert {name: as_list(loaded.config[name]) for name in figures} == figures
    other = Model(model.folder, loaded={**model.loaded, "model": loaded})
    assert torch.equal(other.make(64, 64, cfg=1.0).latents, model.make(64, 64, cfg=1.0).latents)


def test_a_transformer_as_wide_as_its_language_model_has_no_projection(tmp_path: Path) -> None:
    stock_module = transformer(text=64)
    file = tmp_path / "wide.safetensors"
    save_file(stock_module.state_dict(), file)
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    assert loaded.config["text_in_dim"] == 64
    assert loaded.module.text_proj is None
