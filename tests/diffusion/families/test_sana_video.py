"""Sana Video gives what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_video
from nodegraph.families.sana_video import INSTRUCTION
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.sampling.inpainting import with_tensors

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import gemma2_text
from .late_start import late_start
from .parts import flow
from .test_ltx2 import video_vae
from .test_sana import AS_ASKED
from .video_models import wan_vae
from .words import gemma_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def transformer(channels: int = 16, patch: int = 2) -> Any:
    return d.SanaVideoTransformer3DModel(
        in_channels=channels,
        out_channels=channels,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=16,
        cross_attention_dim=32,
        caption_channels=32,
        sample_size=30 if patch == 2 else 22,
        patch_size=(1, patch, patch),
        rope_max_seq_len=64,
    )


def dpm_flow() -> Any:
    return d.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=8.0
    )


def sana_video() -> Any:
    words = gemma_words()
    parts = words, gemma2_text(words), wan_vae(), transformer(), dpm_flow()
    return d.SanaVideoPipeline(*parts)


def sana_video_720p() -> Any:
    words = gemma_words()
    parts = words, gemma2_text(words), video_vae(), transformer(128, 1), dpm_flow()
    return d.SanaVideoPipeline(*parts)


def with_image(build: Callable[[], Any]) -> Callable[[], Any]:
    def image_to_video() -> Any:
        parts = {**build().components, "scheduler": flow(shift=8.0)}
        return d.SanaImageToVideoPipeline(**parts)

    return image_to_video


sana_video_i2v = with_image(sana_video)
sana_video_720p_i2v = with_image(sana_video_720p)


@pytest.mark.parametrize(
    ("build", "width", "height", "frames", "batch", "negative", "cfg"),
    [
        pytest.param(sana_video, 64, 64, 5, 1, NEGATIVE, 6.0, id="480p"),
        pytest.param(sana_video, 96, 64, 9, 3, NEGATIVE, 7.3, id="batch", marks=pytest.mark.slow),
        pytest.param(sana_video, 64, 96, 5, 1, None, 1.0, id="alone", marks=pytest.mark.slow),
        pytest.param(sana_video, 64, 64, 1, 1, NEGATIVE, 4.0, id="image", marks=pytest.mark.slow),
        pytest.param(sana_video_720p, 64, 64, 9, 1, NEGATIVE, 6.0, id="720p"),
    ],
)
def test_videos_are_those_of_diffusers(
    model_of: ModelOf,
    build: Callable[[], Any],
    width: int,
    height: int,
    frames: int,
    batch: int,
    negative: str | None,
    cfg: float,
) -> None:
    pipeline, model = model_of(build)
    options: dict[str, Any] = {"batch": batch, "negative": negative, "steps": 4}
    found = model.make(width, height, frames=frames, cfg=cfg, sampler="dpmpp_2m", **options)
    options |= {"width": width, "height": height, "frames": frames, "guidance_scale": cfg}
    expected = stock(pipeline, out="frames", **options, **AS_ASKED)
    assert_same(found, expected, pixels=build is sana_video and batch == 1)
    torch.testing.assert_close(found.pixels, expected.pixels, rtol=0, atol=1e-5)


def start(model: Model, image: Tensor, frames: int) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        return with_tensors(prompt, encode_first_frame(model.part("vae"), prompt, image, frames))

    return change


@pytest.mark.parametrize(
    ("build", "frames", "cfg"),
    [
        pytest.param(sana_video_i2v, 5, 6.0, id="480p"),
        pytest.param(sana_video_i2v, 9, 1.0, id="alone", marks=pytest.mark.slow),
        pytest.param(sana_video_720p_i2v, 9, 6.0, id="720p", marks=pytest.mark.slow),
    ],
)
def test_videos_of_a_first_image_are_those_of_diffusers(
    model_of: ModelOf, build: Callable[[], Any], frames: int, cfg: float
) -> None:
    """The pipeline multiplies by the inverse of LTX-2's deviations, where nodegraph, as LTX-2's own
    pipelines, divides by them; and of several videos of a prompt it makes one."""
    pipeline, model = model_of(build)
    image = picture(96, 64)
    options: dict[str, Any] = {"negative": NEGATIVE, "steps": 4}
    change = start(model, as_tensor(image), frames)
    found = model.make(96, 64, frames=frames, cfg=cfg, change=change, **options)
    options |= {"width": 96, "height": 64, "frames": frames, "guidance_scale": cfg}
    expected = stock(pipeline, out="frames", image=image, **options, **AS_ASKED)
    if build is sana_video_i2v:
        assert_same(found, expected, pixels=True)
    torch.testing.assert_close(found.latents, expected.latents, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(sana_video)
    pipeline = d.SanaVideoPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    half = Model(model.folder, "bfloat16")
    options: dict[str, Any] = {"negative": NEGATIVE, "steps": 4}
    found = half.make(64, 64, frames=5, cfg=6.0, sampler="dpmpp_2m", **options)
    options |= {"width": 64, "height": 64, "frames": 5, "guidance_scale": 6.0}
    expected = stock(pipeline, out="frames", **options, **AS_ASKED)
    assert torch.equal(found.latents, expected.latents.float())


@pytest.mark.parametrize("kind", [d.SanaVideoPipeline, d.SanaImageToVideoPipeline])
def test_the_instruction_is_the_pipelines(kind: Any) -> None:
    call = inspect.signature(kind.__call__).parameters
    assert "\n".join(call["complex_human_instruction"].default) == INSTRUCTION


@pytest.mark.slow
@pytest.mark.parametrize(("denoise", "walked"), [(0.13, 1), (0.5, 4), (0.99, 7)])
def test_the_last_steps_from_a_video_are_diffusers(
    model_of: ModelOf, denoise: float, walked: int
) -> None:
    pipeline, model = model_of(sana_video)
    film = torch.cat([as_tensor(picture(64, 64)).roll(shift, 2) for shift in range(5)])
    latent = encode_video(model.part("vae"), film)
    options: dict[str, Any] = {"negative": NEGATIVE, "steps": 8}
    found = model.make(
        64, 64, latent=latent, cfg=6.0, denoise=denoise, sampler="dpmpp_2m", **options
    )
    options |= {"width": 64, "height": 64, "frames": 5, "guidance_scale": 6.0, **AS_ASKED}
    assert latent.samples is not None
    with late_start(pipeline, walked=walked) as noised:
        stock(pipeline, out="frames", **options)
        expected = stock(pipeline, out="frames", latents=noised(latent.samples), **options)
    assert_same(found, expected)


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(sana_video)
    assert_samples_by(model, {"euler": "normal", "uni_pc": "normal"})
    assert_refuses(model, near="64 x 64")
