"""Frame guides of LTX-2 give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from diffusers.pipelines.ltx2 import pipeline_ltx2_condition as condition
from diffusers.pipelines.ltx2 import pipeline_ltx2_ic_lora as in_context
from PIL import Image
from torch import Tensor

from nodegraph.core.frame_guides import FrameGuide, count_appended
from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.model_step import SoundLayout
from nodegraph.models.image_to_video import with_frame_guide
from nodegraph.sampling.latent_noise import draw_sampling_noise
from nodegraph.sampling.latents.files import encode_latent, read_latent
from nodegraph.sampling.sampling_parts import SamplingNoise
from tests.messages import raises

from .equality import PROMPT, SEED, picture
from .image_to_image import as_tensor
from .test_ltx2 import _PLAIN, ModelOf, Pictured, assert_equal, ltx2, sampled, unscaled
from .video_models import ltx

WIDTH, HEIGHT, FRAMES = 96, 64, 17
SIZE = WIDTH, HEIGHT, FRAMES
LATENT = Latent(None, WIDTH, HEIGHT, frames=FRAMES)
SHAPE = 1, 128, 3, HEIGHT // 32, WIDTH // 32
SOUND = 18
"""Latent frames of the sound."""


def clip(frames: int) -> list[Image.Image]:
    return [picture(WIDTH, HEIGHT).rotate(9 * turn) for turn in range(frames)]


def tensor_of(frames: Sequence[Image.Image]) -> Tensor:
    return torch.cat([as_tensor(each) for each in frames])


def stock(
    module: Any,
    kind: Any,
    model_folder: Path,
    latent: Latent,
    patch: pytest.MonkeyPatch,
    **more: Any,
) -> Pictured:
    """A video by a pipeline that begins with nodegraph's noise.

    Pipelines of guides draw the noise of all tokens at once, so that it would differ.
    """
    frames = SHAPE[2] + count_appended(latent.guides)
    layout = SoundLayout(frames, SOUND, 8, 16)
    shape = layout.joined_shape((*SHAPE[:2], frames, *SHAPE[3:]))
    drawn = draw_sampling_noise(SamplingNoise(SEED), latent, shape, layout).first
    video, sound = layout.split(drawn)
    noise = iter([video.flatten(2).transpose(1, 2), sound.transpose(1, 2).flatten(2)])
    patch.setattr(module, "randn_tensor", lambda *args, **options: next(noise))
    pipeline = kind.from_pretrained(model_folder)
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pipeline(
            prompt=PROMPT,
            width=WIDTH,
            height=HEIGHT,
            num_frames=FRAMES,
            frame_rate=24.0,
            num_inference_steps=2,
            audio_guidance_scale=more["guidance_scale"],
            output_type="latent",
            **_PLAIN,
            **more,
        )
    return torch.as_tensor(made.frames), made.audio


@pytest.mark.parametrize(
    ("guides", "cfg"),
    [
        ([(1, 0, 1.0)], 1.0),
        ([(1, 0, 0.7)], 3.0),
        ([(1, 0, 0.7), (1, -1, 0.6)], 3.0),
        ([(9, 0, 1.0), (1, 2, 1.0)], 1.0),
        ([(9, 1, 0.4)], 1.0),
    ],
)
def test_guided_videos_are_those_of_diffusers(
    guides: list[tuple[int, int, float]],
    cfg: float,
    model_of: ModelOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guides are numbers of frames, latent frames that they begin at, and strengths."""
    pipeline, model = model_of(ltx2)
    latent, conditions = LATENT, []
    for count, at, strength in guides:
        shown = clip(count)
        frame = 8 * (at % 3 - 1) + 1 if at else 0
        vae = model.part("vae")
        latent = with_frame_guide(vae, latent, tensor_of(shown), frame, strength)
        frames: Any = shown[0] if count == 1 else shown
        conditions.append(condition.LTX2VideoCondition(frames, at, strength, crf=0))
    expected = stock(
        condition,
        d.LTX2ConditionPipeline,
        model.folder,
        latent,
        monkeypatch,
        conditions=conditions,
        guidance_scale=cfg,
    )
    made = sampled(model, *SIZE, cfg=cfg, latent=latent)
    assert_equal(unscaled(pipeline, made), expected)
    assert made.guides == latent.guides


def test_a_reference_video_guides_as_in_diffusers(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, model = model_of(ltx2)
    shown = clip(FRAMES)
    latent = with_frame_guide(model.part("vae"), LATENT, tensor_of(shown), 0, 1.0, append=True)
    expected = stock(
        in_context,
        d.LTX2InContextPipeline,
        model.folder,
        latent,
        monkeypatch,
        reference_conditions=[in_context.LTX2ReferenceCondition(shown, 1.0)],
        guidance_scale=1.0,
    )
    assert_equal(unscaled(pipeline, sampled(model, *SIZE, cfg=1.0, latent=latent)), expected)
