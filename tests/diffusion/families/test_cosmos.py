"""Cosmos 1.0 and Cosmos Predict2 give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import diffusers as d
import pytest
import torch
from diffusers.models.transformers import transformer_cosmos
from torch import Tensor

from nodegraph.families.base import RATE
from nodegraph.sampling.inpainting import with_tensors

from .conftest import Pair
from .equality import NEGATIVE, Made, Model, assert_same, stock
from .parts import flow, t5_text
from .video_models import wan_vae
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]

if not hasattr(transformer_cosmos, "transforms"):
    # Without torchvision, the pipelines need its one function that they use.
    def _resize(image: Tensor, size: list[int], interpolation: str) -> Tensor:
        return torch.nn.functional.interpolate(image, size=size, mode=interpolation)

    vars(transformer_cosmos)["transforms"] = SimpleNamespace(
        functional=SimpleNamespace(resize=_resize),
        InterpolationMode=SimpleNamespace(NEAREST="nearest"),
    )


class SafetyChecker:
    """Finds nothing unsafe; the pipelines need one, and the original is a package of its own."""

    def to(self, device: Any) -> SafetyChecker:
        return self

    def check_text_safety(self, prompt: str) -> bool:
        return True

    def check_video_safety(self, frames: Any) -> Any:
        return frames


def cosmos_vae() -> Any:
    return d.AutoencoderKLCosmos(
        encoder_block_out_channels=(8, 8, 8, 8),
        decode_block_out_channels=(8, 8, 8, 8),
        attention_resolutions=(8,),
        resolution=64,
        num_layers=1,
    )


def network(taken: int = 16, positions: str | None = "learnable", **more: Any) -> Any:
    usual = {"num_attention_heads": 2, "attention_head_dim": 16, "adaln_lora_dim": 4}
    return d.CosmosTransformer3DModel(
        in_channels=taken,
        num_layers=2,
        mlp_ratio=2.0,
        text_embed_dim=32,
        max_size=(8, 24, 24),
        extra_pos_embed_type=positions,
        **{**usual, **more},
    )


def edm() -> Any:
    return d.EDMEulerScheduler(sigma_data=0.5, final_sigmas_type="zero")


def parts(net: Any, vae: Any, scheduler: Any) -> tuple[Any, ...]:
    words = t5_words()
    return t5_text(words), words, net, vae, scheduler, SafetyChecker()


def cosmos() -> Any:
    return d.CosmosTextToWorldPipeline(*parts(network(), cosmos_vae(), edm()))


def cosmos_v2w() -> Any:
    return d.CosmosVideoToWorldPipeline(*parts(network(17), cosmos_vae(), edm()))


def ending_at_zero(pipeline: Any) -> Any:
    pipeline.scheduler.register_to_config(final_sigmas_type="zero")
    return pipeline


def cosmos_predict2() -> Any:
    scheduler = flow(use_karras_sigmas=True)
    net = network(positions=None, rope_scale=(1.0, 4.0, 4.0))
    return ending_at_zero(d.Cosmos2TextToImagePipeline(*parts(net, wan_vae(), scheduler)))


def predict2_v2w() -> Any:
    scheduler = flow(use_karras_sigmas=True)
    net = network(17, positions=None, rope_scale=(1.0, 3.0, 3.0))
    return ending_at_zero(d.Cosmos2VideoToWorldPipeline(*parts(net, wan_vae(), scheduler)))


def images(made: Made) -> Made:
    """A pipeline's images as videos of one frame, which nodegraph has them as."""
    return Made(made.latents.unsqueeze(2), lambda: made.pixels.unsqueeze(1))


def assert_same_pixels(found: Made, expected: Made) -> None:
    """The pipelines' safety check rounds to bytes, downwards."""
    rounded = (found.pixels * 255).floor() / 255
    torch.testing.assert_close(rounded, expected.pixels, rtol=0, atol=1e-6)


def test_videos_of_cosmos_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(cosmos)
    for width, frames, batch, negative, scale in (
        (64, 9, 1, NEGATIVE, 7.0),
        (96, 1, 3, None, 4.0),
        (64, 1, 1, None, 0.0),
    ):
        both = {"batch": batch, "negative": negative, "steps": 3}
        found = model.make(width, 64, frames=frames, cfg=scale + 1, **both)
        size = {"width": width, "height": 64, "num_frames": frames}
        expected = stock(pipeline, out="frames", **both, **size, guidance_scale=scale)
        assert_same(found, expected)
        if frames == 9:
            assert_same_pixels(found, expected)


def test_images_of_predict2_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(cosmos_predict2)
    for width, batch, negative, scale in (
        (64, 1, NEGATIVE, 7.0),
        (96, 3, None, 4.0),
        (64, 1, None, 0.0),
    ):
        both = {"batch": batch, "negative": negative, "steps": 3}
        found = model.make(width, 64, cfg=scale + 1, **both)
        expected = stock(pipeline, **both, width=width, height=64, guidance_scale=scale)
        assert_same(found, images(expected))
        if batch == 1 and scale:
            assert_same_pixels(found, images(expected))
