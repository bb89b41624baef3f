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

from nodegraph.core.values import FrameGuide, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.model_step import SoundLayout, count_appended
from nodegraph.models.image_to_video import with_frame_guide
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.latent_noise import draw_sampling_noise
from nodegraph.sampling.latents.files import encode_latent, read_latent
from nodegraph.sampling.sampling_parts import SamplingNoise, build_sampling_parts
from tests.messages import raises

from .equality import PROMPT, SEED, picture
from .image_to_image import as_tensor
from .test_ltx2 import PLAIN, ModelOf, Pictured, assert_equal, ltx2, sampled, unscaled
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
    parts: Any,
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
    pipeline = kind(**{role: part for role, part in parts.items() if part is not None})
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
            **PLAIN,
            **more,
        )
    return torch.as_tensor(made.frames), made.audio


@pytest.mark.parametrize(
    ("guides", "cfg"),
    [
        pytest.param([(1, 0, 1.0)], 1.0, marks=pytest.mark.slow),
        ([(1, 0, 0.7), (1, -1, 0.6)], 3.0),
        ([(9, 0, 1.0), (1, 2, 1.0)], 1.0),
        pytest.param([(9, 1, 0.4)], 1.0, marks=pytest.mark.slow),
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
        pipeline.components,
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
        pipeline.components,
        latent,
        monkeypatch,
        reference_conditions=[in_context.LTX2ReferenceCondition(shown, 1.0)],
        guidance_scale=1.0,
    )
    assert_equal(unscaled(pipeline, sampled(model, *SIZE, cfg=1.0, latent=latent)), expected)


def test_guides_of_full_strength_stay_as_they_are_with_each_sampler(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    image = as_tensor(picture(WIDTH, HEIGHT))
    vae = model.part("vae")
    latent = with_frame_guide(vae, with_frame_guide(vae, LATENT, image, 0, 1.0), image, -1, 1.0)
    first, last = latent.guides
    assert (first.is_appended, last.is_appended, last.frame) == (False, True, FRAMES - 1)
    for sampler in ("euler_ancestral", "dpmpp_2m"):
        made = sampled(model, *SIZE, cfg=1.0, latent=latent, sampler=sampler)
        assert made.samples is not None
        assert made.samples.shape == SHAPE
        assert torch.equal(made.samples[:, :, :1], first.samples)
        assert made.samples[:, :, 1:].std() > 0.1


def test_a_guided_sampling_in_two_parts_is_the_whole(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    positive, image = model.encode(PROMPT), as_tensor(picture(WIDTH, HEIGHT))
    assert positive is not None
    start = with_frame_guide(model.part("vae"), LATENT, image, 0, 1.0, append=True)
    parts = build_sampling_parts(
        positive, None, seed=SEED, steps=2, cfg=1.0, sampler="euler", schedule="normal"
    )
    made = start
    for end in (1, 2):
        noise = replace(parts.noise, added=end == 1)
        part = replace(parts, schedule=parts.schedule.part(end - 1, end), noise=noise)
        denoising = Denoising(model.part("model"), made, part)
        shown = [denoising.denoised(info) for info in denoising][-1]
        made = denoising.result()
    expected = sampled(model, *SIZE, cfg=1.0, latent=start)
    assert made.samples is not None
    assert expected.samples is not None
    assert torch.equal(made.samples, expected.samples)
    assert torch.equal(made.sound, expected.sound)
    assert shown.samples is not None
    assert shown.samples.shape == SHAPE


def guide(cells: tuple[int, int] = SHAPE[3:], **options: Any) -> FrameGuide:
    samples = torch.randn(1, 128, 1, *cells, generator=torch.Generator().manual_seed(1))
    return FrameGuide(samples, **options)


def test_a_mask_keeps_a_guide_of_an_empty_latent(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    held = guide(strength=0.5)
    kept = replace(LATENT, noise_mask=torch.zeros(1, HEIGHT, WIDTH), guides=(held,))
    made = sampled(model, *SIZE, cfg=1.0, latent=kept)
    assert made.samples is not None
    assert torch.equal(made.samples[:, :, :1], held.samples)
    assert not made.samples[:, :, 1:].any()


def test_stated_noise_is_that_of_the_video_alone() -> None:
    latent = replace(LATENT, guides=(guide(is_appended=True), guide()))
    own, layout = torch.randn(SHAPE), SoundLayout(4, SOUND, 8, 16)
    shape = layout.joined_shape((*SHAPE[:2], 4, *SHAPE[3:]))
    drawn = [
        draw_sampling_noise(SamplingNoise(SEED, tensor=tensor), latent, shape, layout).first
        for tensor in (None, own)
    ]
    (video, sound), (stated, kept) = map(layout.split, drawn)
    assert torch.equal(stated[:, :, :3], own)
    assert torch.equal(stated[:, :, 3:], video[:, :, 3:])
    assert torch.equal(kept, sound)


def test_a_clip_is_cut_to_what_the_vae_and_the_video_hold(model_of: ModelOf) -> None:
    vae = model_of(ltx2)[1].part("vae")
    clips = tensor_of(clip(12))
    at = [with_frame_guide(vae, LATENT, clips, frame, 1.0).guides[0] for frame in (0, 6, -8)]
    assert [(each.frame, each.count, each.latent_frames) for each in at] == [
        (0, 9, 2),
        (1, 9, 2),
        (9, 1, 1),
    ]


def test_guides_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(ltx2)
    image = as_tensor(picture(WIDTH, HEIGHT))
    for frame in (FRAMES, -FRAMES - 1):
        with raises(InvalidValue, port="frame", given=str(frame)):
            with_frame_guide(model.part("vae"), LATENT, image, frame, 1.0)
    with raises(InvalidValue, port="vae"):
        with_frame_guide(model.part("vae"), replace(LATENT, format="wan"), image, 0, 1.0)
    for wrong in (guide((2, 2)), guide(frame=FRAMES)):
        with raises(InvalidValue, port="latent"):
            sampled(model, *SIZE, cfg=1.0, latent=replace(LATENT, guides=(wrong,)))


def test_other_models_refuse_guides(model_of: ModelOf) -> None:
    _, model = model_of(ltx)
    with raises(InvalidValue, port="latent"):
        model.make(WIDTH, HEIGHT, latent=replace(LATENT, guides=(guide(),)), cfg=1.0)


def test_a_file_keeps_the_guides_of_a_latent(tmp_path: Path) -> None:
    guides = guide(), guide(frame=16, strength=0.25, is_appended=True)
    path = tmp_path / "latent.safetensors"
    path.write_bytes(encode_latent(replace(LATENT, guides=guides), {}))
    found = read_latent(path).guides
    for one, other in zip(found, guides, strict=True):
        assert torch.equal(one.samples, other.samples)
        assert replace(one, samples=other.samples) == other
