"""Both stages of Stable Cascade give what diffusers' pipelines give, to the last bit.

Text to image by both stages one after the other, images as prompts, odd sizes, batches, guidance of
0, 1 and 7.3, negative prompts, bfloat16, and image to image of stage B at any strength. Longer
prompts than 77 tokens are cut by the pipelines; here they take more windows, as of other families
with CLIP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.models.conditioning import with_stage_c

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, assert_same
from .parts import clip_text
from .words import clip_words

ModelOf = Callable[[Callable[[], Any]], Pair]
_BLOCKS = ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock")


def stage_c_network(**more: Any) -> Any:
    options: dict[str, Any] = {
        "conditioning_dim": 64,
        "block_out_channels": (64, 128),
        "num_attention_heads": (1, 2),
        "down_num_layers_per_block": (1, 2),
        "up_num_layers_per_block": (2, 1),
        "clip_text_in_channels": 32,
        "clip_text_pooled_in_channels": 32,
        "clip_image_in_channels": 24,
        "timestep_ratio_embedding_dim": 16,
        "switch_level": (False,),
    }
    return d.StableCascadeUNet(**{**options, **more})


def stage_b_network(**more: Any) -> Any:
    options: dict[str, Any] = {
        "in_channels": 4,
        "out_channels": 4,
        "patch_size": 2,
        "conditioning_dim": 64,
        "block_out_channels": (32, 64, 64, 128),
        "num_attention_heads": (-1, -1, 1, 2),
        "down_num_layers_per_block": (1, 2, 2, 1),
        "up_num_layers_per_block": (1, 2, 2, 1),
        "down_blocks_repeat_mappers": (1, 1, 1, 1),
        "up_blocks_repeat_mappers": (3, 3, 2, 2),
        "block_types_per_layer": (_BLOCKS[:2], _BLOCKS[:2], _BLOCKS, _BLOCKS),
        "clip_text_pooled_in_channels": 32,
        "effnet_in_channels": 16,
        "pixel_mapper_in_channels": 3,
        "timestep_ratio_embedding_dim": 16,
        "dropout": (0.1, 0.1, 0.1, 0.1),
        "timestep_conditioning_type": ("sca",),
    }
    return d.StableCascadeUNet(**{**options, **more})


def eyes() -> Any:
    """An image encoder with a projection of 24 numbers."""
    return tf.CLIPVisionModelWithProjection(
        tf.CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
            projection_dim=24,
        )
    )


def _text() -> tuple[Any, Any]:
    words = clip_words()
    return words, clip_text(words, 32, 32, "gelu")


def stable_cascade() -> Any:
    words, text = _text()
    return d.StableCascadePriorPipeline(
        tokenizer=words,
        text_encoder=text,
        prior=stage_c_network(),
        scheduler=d.DDPMWuerstchenScheduler(),
        feature_extractor=tf.CLIPImageProcessor(size=32, crop_size=32),
        image_encoder=eyes(),
    )


def stable_cascade_decoder() -> Any:
    words, text = _text()
    return d.StableCascadeDecoderPipeline(
        decoder=stage_b_network(),
        tokenizer=words,
        text_encoder=text,
        scheduler=d.DDPMWuerstchenScheduler(),
        vqgan=PaellaVQModel(
            bottleneck_blocks=2, embed_dim=32, num_vq_embeddings=16, scale_factor=0.43
        ),
    )


def prior(pipeline: Any, **options: Any) -> Made:
    """The latent of stage C by the stock pipeline."""
    batch = options.pop("batch", 1)
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    options.setdefault("num_inference_steps", 3)
    with torch.no_grad():
        found = pipeline(
            PROMPT, num_images_per_prompt=batch, generator=generators, output_type="pt", **options
        )
    return Made(found.image_embeddings, lambda: torch.empty(0))


def test_stage_c_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(stable_cascade)
    for width, height, batch, negative, cfg in (
        (1024, 1024, 1, None, 4.0),
        (1000, 640, 3, NEGATIVE, 7.3),
        (512, 512, 1, None, 1.0),
    ):
        found = model.make(
            width, height, batch=batch, negative=negative, cfg=cfg, sampler="ddpm", steps=3
        )
        expected = prior(
            pipeline,
            width=width,
            height=height,
            batch=batch,
            guidance_scale=cfg,
            negative_prompt=negative,
        )
        assert_same(found, expected)


SHOWN = torch.randn(3, 16, 3, 4, generator=torch.Generator().manual_seed(5))
"""Latents of stage C."""


def following(latents: Tensor) -> Callable[[Conditioning], Conditioning]:
    """Give prompts a latent of stage C."""
    latent = Latent(latents, 128, 128, len(latents), format="stable-cascade")
    return lambda prompt: with_stage_c(prompt, latent)


def decoder(pipeline: Any, latents: Tensor, *, steps: int = 3, **options: Any) -> Made:
    """What stage B makes of latents of stage C by the stock pipeline."""

    def run(kind: str) -> Tensor:
        generators = [torch.Generator().manual_seed(SEED + item) for item in range(len(latents))]
        with torch.no_grad():
            answer = pipeline(
                latents,
                options.get("prompt", PROMPT),
                num_inference_steps=steps,
                generator=generators,
                output_type=kind,
                **{name: item for name, item in options.items() if name != "prompt"},
            )
        return torch.as_tensor(answer.images)

    return Made(run("latent"), lambda: run("pt"))


@pytest.mark.parametrize(
    ("batch", "negative", "cfg"),
    [
        (1, None, 4.5),
        pytest.param(1, NEGATIVE, 7.3, marks=pytest.mark.slow),
        pytest.param(3, NEGATIVE, 1.1, marks=pytest.mark.slow),
        pytest.param(3, None, 1.0, marks=pytest.mark.slow),
    ],
)
def test_stage_b_is_diffusers(
    model_of: ModelOf, batch: int, negative: str | None, cfg: float
) -> None:
    """With a latent of stage C for each image. Pixels are brought to -1..1 and back, which may
    round their last bit."""
    pipeline, model = model_of(stable_cascade_decoder)
    shown = SHOWN[:batch]
    # Of 3 and 4 cells the pipeline makes 32 and 42.
    found = model.make(
        168,
        128,
        batch=batch,
        negative=negative,
        cfg=cfg,
        sampler="ddpm",
        steps=3,
        change=following(shown),
    )
    expected = decoder(pipeline, shown, guidance_scale=cfg, negative_prompt=negative)
    assert_same(found, expected)
    if batch == 1:
        torch.testing.assert_close(found.pixels, expected.pixels, rtol=0, atol=2**-23)
