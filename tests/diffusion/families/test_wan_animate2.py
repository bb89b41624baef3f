"""Wan Animate 2 gives what diffusers' modular pipeline gives.

The pipeline's attention is one mask for a compiled kernel, here it is one call per frame: results
differ by rounding. So equality to the last bit is tested with this attention in the pipeline, too.
Later segments differ by rounding: the frames before are images in 0..1 here, and in -1..1 there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.families.wan_animate2_attention import LayerKeys, ScaledKeys, set_attention
from nodegraph.media.images.images import to_pil
from nodegraph.models.driving_video import (
    DrivenSegment,
    embed_character,
    encode_driving_video,
    motion_embeddings,
)
from nodegraph.sampling.inpainting import with_tensors

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model
from .modular_pipelines import ModularPipeline
from .parts import flow
from .video_models import umt5_text, wan_vae
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT, FRAMES = 64, 48, 9
LONG = "a red cat on a mat, \n " * 60


def wan_animate_2() -> ModularPipeline:
    """With more blocks than nine, one of which negative prompts leave out."""
    eye = tf.CLIPVisionModel(
        tf.CLIPVisionConfig(
            hidden_size=1280,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=224,
            patch_size=112,
        )
    )
    return ModularPipeline(
        d.WanAnimate2Blocks(),
        text_encoder=umt5_text(words := t5_words()),
        tokenizer=words,
        image_encoder=eye,
        transformer=network(),
        vae=wan_vae(),
        scheduler=flow(shift=5.0),
    )


def network(**changed: Any) -> Any:
    usual = {
        "dim": 32,
        "ffn_dim": 48,
        "freq_dim": 32,
        "text_dim": 32,
        "num_heads": 2,
        "num_layers": 11,
    }
    return d.WanAnimate2Transformer3DModel(**{**usual, **changed})


def bytes_like(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3)) / 255


IMAGE = bytes_like(1, HEIGHT, WIDTH, 3)
VIDEO = bytes_like(FRAMES, HEIGHT, WIDTH, 3).flip(1)
SEGMENT = DrivenSegment(IMAGE, VIDEO, FRAMES)


def shown(
    model: Model, segment: DrivenSegment, motion: str | None = None
) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        encoder = model.part("text_encoder")
        tensors = {
            **encode_driving_video(model.part("vae"), prompt, segment),
            **embed_character(encoder, segment),
            **motion_embeddings(prompt, model.encode(motion), encoder),
        }
        return with_tensors(prompt, tensors)

    return change


class Adapted:
    """The attention here, with keys and values as the pipeline stores them."""

    def __init__(self, attention: Callable[..., Tensor]) -> None:
        self._attention = attention

    def __call__(self, attn: Any, states: Tensor, *, kv_cache: Any, **call: Any) -> Tensor:
        if call["kv_cache_mode"] == "cached":
            keys = LayerKeys(on_host=False)
            keys.store(*kv_cache.get())
            kv_cache = ScaledKeys(keys, None, None)
        return self._attention(attn, states, kv_cache=kv_cache, **call)


@contextmanager
def same_attention(pipeline: ModularPipeline) -> Iterator[None]:
    """Inside, a pipeline's attention is the one here."""
    network = pipeline.inner.transformer
    masks, own = network.block_masks, [block.self_attn.processor for block in network.blocks]
    set_attention(network)
    for block in network.blocks:
        block.self_attn.set_processor(Adapted(block.self_attn.processor))
    try:
        yield
    finally:
        network.block_masks = masks
        for block, processor in zip(network.blocks, own, strict=True):
            block.self_attn.set_processor(processor)


def by_stock(
    pipeline: ModularPipeline,
    segment: DrivenSegment,
    *,
    cfg: float,
    steps: int = 2,
    seed: int = SEED,
    prompt: str = PROMPT,
    **options: Any,
) -> Made:
    """Latents as the VAE decodes them, one segment after the other, and the video."""
    parts, decoded = pipeline.inner, []
    parts.update_components(guider=d.ClassifierFreeGuidance(guidance_scale=cfg))
    decode = parts.vae.decode

    def recorded(latents: Tensor, **call: Any) -> Any:
        decoded.append(latents.clone())
        return decode(latents, **call)

    parts.vae.decode = recorded
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = parts(
                image=to_pil(segment.image),
                driving_video=[to_pil(frame[None]) for frame in segment.video],
                prompt=prompt,
                height=segment.image.shape[1],
                width=segment.image.shape[2],
                segment_frame_length=segment.frames,
                prev_segment_conditioning_frames=segment.overlap,
                num_inference_steps=steps,
                generator=torch.Generator().manual_seed(seed),
                output_type="pt",
                **options,
            )
    finally:
        parts.vae.decode = decode
    video: Tensor = state.get("videos")
    return Made(torch.cat(decoded, 2), lambda: video)


def raw(pipeline: ModularPipeline, latents: Tensor) -> Tensor:
    """Latents as the VAE takes them."""
    config = pipeline.inner.vae.config
    mean, std = (
        torch.tensor(item).view(1, -1, 1, 1, 1)
        for item in (config.latents_mean, config.latents_std)
    )
    return latents / (1.0 / std) + mean


def make(model: Model, segment: DrivenSegment, motion: str | None = None, **options: Any) -> Made:
    _, height, width, _ = segment.image.shape
    change = shown(model, segment, motion)
    return model.make(width, height, frames=segment.frames, change=change, **options)


@pytest.mark.parametrize(
    ("cfg", "negative", "prompt"),
    [
        pytest.param(3.0, NEGATIVE, PROMPT, id="cfg"),
        pytest.param(1.0, None, PROMPT, id="distilled", marks=pytest.mark.slow),
        pytest.param(0.0, NEGATIVE, PROMPT, id="zero", marks=pytest.mark.slow),
        pytest.param(7.3, None, LONG, id="long", marks=pytest.mark.slow),
    ],
)
def test_videos_are_those_of_diffusers(
    model_of: ModelOf, cfg: float, negative: str | None, prompt: str
) -> None:
    pipeline, model = model_of(wan_animate_2)
    found = make(model, SEGMENT, cfg=cfg, negative=negative, prompt=prompt)
    with same_attention(pipeline):
        expected = by_stock(pipeline, SEGMENT, cfg=cfg, negative_prompt=negative, prompt=prompt)
    assert expected.latents.std() > 1e-4
    assert torch.equal(raw(pipeline, found.latents), expected.latents)
    assert torch.equal(found.pixels, expected.pixels)
