"""Kandinsky 5 gives what diffusers' pipelines give, to the last bit.

The pipelines draw noise with channels last; they get it here as it is drawn for other models, with
channels first. They draw a random latent of an image, and get the most likely one here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_image, encode_prompt, encode_video, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.identification import identify_tensors
from nodegraph.families.nabla_attention import neighbours
from nodegraph.models.conditioning import encode_edit, with_references
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .checks import assert_like_stock, assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen_vl_text
from .late_start import LateScheduler
from .parts import clip_text, flow, flux_vae
from .test_qwen_image_edit import PictureProcessor
from .words import clip_words, qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]
PIPELINES = (
    *(d.Kandinsky5T2IPipeline, d.Kandinsky5I2IPipeline),
    *(d.Kandinsky5T2VPipeline, d.Kandinsky5I2VPipeline),
)


def transformer(*, visual_cond: bool = True, width: int = 64, **more: Any) -> Any:
    return d.Kandinsky5Transformer3DModel(
        in_visual_dim=16,
        in_text_dim=32,
        in_text_dim2=24,
        time_dim=16,
        out_visual_dim=16,
        model_dim=width,
        ff_dim=48,
        num_text_blocks=1,
        num_visual_blocks=2,
        axes_dims=(8, 12, 12),
        visual_cond=visual_cond,
        **more,
    )


def video_vae() -> Any:
    return d.AutoencoderKLHunyuanVideo(
        block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=4
    )


def pipeline_of(kind: Any, net: Any, vae: Any, shift: float) -> Any:
    words, clip = qwen_words(), clip_words()
    eye = tf.Qwen2VLImageProcessorPil(min_pixels=3136, max_pixels=12845056)
    processor = PictureProcessor(eye, words)
    encoders = qwen_vl_text(words), processor, clip_text(clip, 24), clip
    pipeline = kind(net, vae, *encoders, flow(shift=shift))
    if hasattr(pipeline, "resolutions"):
        pipeline.resolutions = [(64, 64), (96, 64), (64, 112)]
    return pipeline


def kandinsky5_image() -> Any:
    net = transformer(visual_cond=False)
    return pipeline_of(d.Kandinsky5T2IPipeline, net, flux_vae(), 3.0)


def kandinsky5_edit() -> Any:
    return pipeline_of(d.Kandinsky5I2IPipeline, transformer(), flux_vae(), 3.0)


def kandinsky5_video() -> Any:
    return pipeline_of(d.Kandinsky5T2VPipeline, transformer(), video_vae(), 5.0)


def plain_video() -> Any:
    """A model that takes the latent alone."""
    net = transformer(visual_cond=False)
    return pipeline_of(d.Kandinsky5T2VPipeline, net, video_vae(), 5.0)


def kandinsky5_i2v() -> Any:
    return pipeline_of(d.Kandinsky5I2VPipeline, transformer(), video_vae(), 5.0)


@pytest.fixture(autouse=True)
def noise_with_channels_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in PIPELINES:
        home = sys.modules[kind.__module__]
        usual = home.randn_tensor

        def drawn(shape: tuple[int, ...], usual: Any = usual, **options: Any) -> Tensor:
            return usual((shape[0], shape[-1], *shape[1:-1]), **options).movedim(1, -1).contiguous()

        monkeypatch.setattr(home, "randn_tensor", drawn)


class MostLikely:
    """An autoencoder of a stock pipeline that gives the most likely latent of an image."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae

    def encode(self, pixels: Tensor) -> SimpleNamespace:
        mode = self._vae.encode(pixels.contiguous()).latent_dist.mode()
        return SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda generator: mode))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)


def as_images(pipeline: Any) -> Any:
    """A pipeline whose output has the usual name."""
    return lambda **called: SimpleNamespace(images=pipeline(**called).image)


def unpack_image(tokens: Tensor) -> Tensor:
    return tokens[:, 0].permute(0, 3, 1, 2)


def unpack_video(tokens: Tensor) -> Tensor:
    return tokens.permute(0, 4, 1, 2, 3)


def in_bfloat16(pipeline: Any, folder: Path) -> Any:
    """The stock pipeline with the networks of a folder."""
    networks = {
        role: type(part).from_pretrained(folder / role, dtype=torch.bfloat16).eval()
        for role, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    loaded = type(pipeline)(**{**pipeline.components, **networks})
    loaded.set_progress_bar_config(disable=True)
    if hasattr(pipeline, "resolutions"):
        loaded.resolutions = pipeline.resolutions
    return loaded


def test_images_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(kandinsky5_image)
    cases = (
        (64, 64, 1, None, 4.5),
        (96, 64, 3, NEGATIVE, 7.3),
        (64, 112, 1, None, 1.0),
    )
    assert_like_stock((as_images(pipeline), model), cases, unpack=lambda *_: unpack_image)


@pytest.mark.parametrize("build", [kandinsky5_video, plain_video])
def test_videos_are_those_of_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    """The pipeline has a negative prompt of its own where there is none.

    It encodes a prompt once for several videos, which gives other last bits than one for each, as
    the pipeline of videos from images has it.
    """
    pipeline, model = model_of(build)
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    for width, frames, batch, negative, cfg in (
        (64, 5, 1, None, 5.0),
        (96, 9, 3, NEGATIVE, 7.3),
        (80, 1, 1, None, 1.0),
    ):
        options = {"batch": batch, "negative": negative}
        found = model.make(width, 64, frames=frames, cfg=cfg, **options)
        options |= {"width": width, "height": 64, "num_frames": frames, "guidance_scale": cfg}
        other.encode_prompt = partial(pipeline.encode_prompt, num_videos_per_prompt=batch)
        expected = stock(other, out="frames", **options)
        assert_same(found, expected, unpack_video, pixels=cfg == 5.0)


def shown(
    model: Model, image: Tensor, frames: int
) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        tensors = encode_first_frame(model.part("vae"), prompt, image, frames)
        return with_tensors(prompt, tensors)

    return change


def test_videos_of_a_first_image_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(kandinsky5_i2v)
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.vae = MostLikely(pipeline.vae)
    other.normalize_first_frame = lambda latents: latents
    for width, frames, batch, cfg in ((64, 9, 1, 5.0), (96, 5, 3, 1.0)):
        drawn = picture(width, 64)
        change = shown(model, as_tensor(drawn), frames)
        found = model.make(
            width, 64, frames=frames, cfg=cfg, batch=batch, negative=NEGATIVE, change=change
        )
        size = {"width": width, "height": 64, "num_frames": frames}
        options = {"image": drawn, "guidance_scale": cfg, "negative": NEGATIVE, "batch": batch}
        expected = stock(other, out="frames", **size, **options)
        assert_same(found, expected, unpack_video, pixels=batch == 1)


def edited(model: Model, drawn: Image.Image, size: tuple[int, int], **options: Any) -> Made:
    """An image made of one, as the nodes do it."""
    encoder, vae = model.part("text_encoder"), model.part("vae")
    sides = [encode_edit(encoder, text, [as_tensor(drawn)]) for text in (PROMPT, NEGATIVE)]
    brought = drawn.resize(size, resample=Image.Resampling.LANCZOS)
    latent = encode_image(vae, as_tensor(brought))
    positive, negative = (with_references(side, latent) for side in sides)
    return model.make(*size, change=lambda _: positive, away=negative, **options)


@pytest.mark.parametrize(
    ("drawn", "size", "batch", "cfg"),
    [((130, 90), (96, 64), 1, 4.0), ((64, 64), (64, 64), 3, 7.3), ((90, 160), (64, 112), 1, 1.0)],
)
def test_edited_images_are_those_of_diffusers(
    model_of: ModelOf, drawn: tuple[int, int], size: tuple[int, int], batch: int, cfg: float
) -> None:
    pipeline, model = model_of(kandinsky5_edit)
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other.vae, other.resolutions = MostLikely(pipeline.vae), pipeline.resolutions
    image = picture(*drawn)
    found = edited(model, image, size, batch=batch, cfg=cfg)
    called = {"image": image, "guidance_scale": cfg, "negative": NEGATIVE, "batch": batch}
    expected = stock(as_images(other), **called)
    assert_same(found, expected, unpack_image, pixels=batch == 1 and cfg > 1)
