"""Qwen-Image 2.1 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.loaders import single_file_utils as converters
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families import qwen_image_21 as qwen_image_21_family
from nodegraph.families.identification import identify_tensors
from nodegraph.models.conditioning import encode_edit, with_references
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from tests.messages import raises

from .checks import assert_like_stock, assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen3_vl_text
from .parts import dynamic_flow
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
AREA = 96 * 64
OPTIONS: dict[str, Any] = {"use_kv_cache": False}


class PictureProcessor(tf.Qwen3VLProcessor):
    """Without its part for videos, which needs torchvision."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_processor, self.tokenizer = image_processor, tokenizer
        self.video_processor, self.chat_template = None, tokenizer.chat_template
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)

    def save_pretrained(self, folder: Any, **_: Any) -> None:
        self.image_processor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def transformer(head: int = 32) -> Any:
    return d.QwenImage21Transformer2DModel(
        in_channels=64,
        out_channels=64,
        num_layers=2,
        attention_head_dim=head,
        num_attention_heads=2,
        context_in_dim=32,
        mlp_ratio=2,
        axes_dims_rope=(head // 8, 7 * head // 16, 7 * head // 16),
    )


def autoencoder() -> Any:
    return d.AutoencoderKLQwenImage21(
        base_dim=8, decoder_base_dim=12, dim_mult=[1, 2, 2, 2, 2], num_res_blocks=1
    )


def qwen_image_21() -> Any:
    words = qwen_words()
    pictures = tf.Qwen2VLImageProcessorPil(
        patch_size=16, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]
    )
    return d.QwenImage21Pipeline(
        dynamic_flow(shift=1.0),
        autoencoder(),
        qwen3_vl_text(words),
        PictureProcessor(pictures, words),
        transformer(),
    )


def unpack(width: int, height: int) -> Callable[[Tensor], Tensor]:
    return lambda tokens: tokens.transpose(1, 2).unflatten(2, (height // 16, width // 16))


@pytest.mark.parametrize("cfg", [4.0, 1.0])
def test_qwen_image_21_is_diffusers(model_of: ModelOf, cfg: float) -> None:
    cases = [(64, 64, 1, None, cfg), (96, 64, 2, NEGATIVE, cfg)]
    assert_like_stock(
        model_of(qwen_image_21), cases, unpack=unpack, scale="true_cfg_scale", **OPTIONS
    )


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(qwen_image_21)
    networks = {
        role: type(part).from_pretrained(model.folder / role, dtype=torch.bfloat16).eval()
        for role, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    loaded = type(pipeline)(**{**pipeline.components, **networks})
    loaded.set_progress_bar_config(disable=True)
    found = Model(model.folder, "bfloat16").make(64, 64, cfg=1.0)
    expected = stock(loaded, width=64, height=64, **OPTIONS)
    assert torch.equal(found.latents, unpack(64, 64)(expected.latents).float())


def edited(
    model: Model,
    looked_at: list[Image.Image],
    encoded: list[Image.Image],
    **options: Any,
) -> Made:
    """An image made of images, as the nodes do it.

    Args:
        looked_at: By the text encoder.
        encoded: By the VAE.
    """
    encoder, vae = model.part("text_encoder"), model.part("vae")
    images = [as_tensor(item) for item in looked_at]
    sides = [encode_edit(encoder, text, images) for text in (PROMPT, NEGATIVE)]
    for item in encoded:
        latent = encode_image(vae, as_tensor(item))
        sides = [with_references(side, latent) for side in sides]
    positive, negative = sides
    return model.make(96, 64, change=lambda _: positive, away=negative, cfg=4.0, **options)


@pytest.fixture
def small_area(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides' own rules bring images to few pixels; to a megapixel else, which takes long."""
    home = sys.modules[d.QwenImage21Pipeline.__module__]
    wanted = partial(home.calculate_dimensions, AREA)
    monkeypatch.setattr(home, "calculate_dimensions", lambda _, ratio: wanted(ratio))
    shown = partial(qwen_image_21_family.seen_size, area=AREA)
    monkeypatch.setattr(
        qwen_image_21_family, "seen_size", lambda width, height, _: shown(width, height)
    )


@pytest.fixture
def in_planes(model_of: ModelOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline's autoencoder gets images channel by channel, as nodegraph's: other orders in
    memory give other last bits."""
    vae = model_of(qwen_image_21)[0].vae
    encode = vae.encode
    monkeypatch.setattr(vae, "encode", lambda pixels: encode(pixels.contiguous()))


@pytest.mark.usefixtures("small_area", "in_planes")
@pytest.mark.parametrize(
    ("sizes", "batch"),
    [(((100, 80),), 1), (((96, 64), (50, 90)), 2)],
)
def test_edited_pictures_are_diffusers(
    model_of: ModelOf, sizes: tuple[tuple[int, int], ...], batch: int
) -> None:
    pipeline, model = model_of(qwen_image_21)
    drawn = [picture(*size) for size in sizes]
    if batch == 2:
        drawn[0].putalpha(picture(*sizes[0]).convert("L"))
    brought = [
        item.resize(
            qwen_image_21_family.seen_size(*item.size, 0), resample=Image.Resampling.LANCZOS
        )
        for item in drawn
    ]
    found = edited(model, drawn, brought, batch=batch)
    called = {"width": 96, "height": 64, "true_cfg_scale": 4.0, "negative": NEGATIVE, **OPTIONS}
    expected = stock(pipeline, image=drawn, batch=batch, **called)
    assert_same(found, expected, unpack(96, 64), pixels=batch == 1)


@pytest.mark.usefixtures("in_planes")
def test_a_picture_with_alpha_keeps_it(model_of: ModelOf) -> None:
    pipeline, model = model_of(qwen_image_21)
    vae = model.part("vae")
    drawn = picture(64, 64).convert("RGBA")
    drawn.putalpha(picture(64, 64).convert("L"))
    pixels = pipeline.image_processor.preprocess(drawn).unsqueeze(2)
    with torch.no_grad():
        expected = pipeline._encode_vae_image(pixels, torch.Generator())
    latent = encode_image(vae, as_tensor(drawn))
    assert latent.samples is not None
    assert torch.equal(latent.samples, expected.squeeze(2))
    opaque = encode_image(vae, as_tensor(drawn.convert("RGB")))
    assert opaque.samples is not None
    assert not torch.equal(latent.samples, opaque.samples)


def test_pictures_of_a_prompt_and_references_have_to_be_the_same(model_of: ModelOf) -> None:
    _, model = model_of(qwen_image_21)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    with raises(InvalidValue, port="positive"):
        model.make(64, 64, cfg=1.0, change=lambda given: with_references(given, latent))
    with raises(InvalidValue, port="text", given="<|image_pad|>"):
        model.encode("a <|image_pad|>")


def test_a_prompt_beyond_the_positions_is_refused(model_of: ModelOf) -> None:
    """The transformer read the positions of images for its tokens, or failed."""
    _, model = model_of(qwen_image_21)
    known = model.encode("a cat")
    assert known is not None
    (entry,) = known.entries
    count = 8192 - entry.embeddings.shape[1]

    def longer(more: int) -> Conditioning:
        tensors = {
            "embeddings": torch.cat(
                [entry.embeddings, torch.zeros(1, more, entry.embeddings.shape[2])], 1
            ),
            "slots": torch.cat([entry.tensors["slots"], torch.zeros(1, more, dtype=torch.bool)], 1),
        }
        return replace(known, entries=(replace(entry, tensors=tensors),))

    with raises(InvalidValue, port="positive", given="8192 tokens"):
        model.make(64, 64, cfg=1.0, change=lambda prompt: longer(count))
    with raises(InvalidValue, port="text"):
        encode_prompt(model.part("text_encoder"), "word " * 8200)


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(qwen_image_21)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def joined(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors as ComfyUI's file has them: the gate lies above the other layer."""
    written = dict(tensors)
    for name in tensors:
        if name.endswith("img_mlp.gate_layer.weight"):
            other = name.replace("gate_layer", "proj")
            both = torch.cat([written.pop(name), written.pop(other)])
            written[name.replace("gate_layer", "gate_up")] = both
    return written


@pytest.mark.parametrize("writes", [dict, joined])
def test_a_file_is_read_as_diffusers_reads_it(
    tmp_path: Path, writes: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    network = transformer().eval()
    tensors = writes(network.state_dict())
    expected = converters.convert_qwen_image21_transformer_checkpoint_to_diffusers(dict(tensors))
    assert expected.keys() == network.state_dict().keys()
    file = tmp_path / "qwen.safetensors"
    save_file({f"model.diffusion_model.{name}": item for name, item in tensors.items()}, file)
    shapes = {f"model.diffusion_model.{name}": tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of Qwen-Image 2.1"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu").module
    assert dict(loaded.config) | {"_use_default_values": []} == dict(network.config) | {
        "_use_default_values": []
    }
    for name, item in loaded.state_dict().items():
        assert torch.equal(item, expected[name]), name
