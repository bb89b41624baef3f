"""Wan VACE gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch
from PIL import Image
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.image_conditioning import VACE_CONTEXT
from nodegraph.families.speed_options import FirstBlock, Magnitude, StepCaching
from nodegraph.media.images.images import to_pil
from nodegraph.models.image_to_video import ControlVideo, encode_vace
from nodegraph.models.speed.step_caches import CachedSteps
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.latents.transforms import cut_frames
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Model, assert_same, stock
from .video_models import ltx, wan, wan_vace

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT, FRAMES = 64, 48, 5


class OneGenerator:
    """VACE's pipeline with one generator in place of a list of one."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def __call__(self, *, generator: list[torch.Generator], **options: Any) -> Any:
        return self._pipeline(generator=generator[0], **options)


def bytes_like(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3)) / 255


def shown(model: Model, video: ControlVideo) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        return with_tensors(prompt, encode_vace(model.part("vae"), prompt, video))

    return change


def as_masks(masks: Tensor) -> list[Image.Image]:
    return [Image.fromarray((mask * 255).round().byte().numpy(), "L") for mask in masks]


VIDEO = bytes_like(FRAMES, HEIGHT, WIDTH, 3)
HARD = (bytes_like(FRAMES, HEIGHT, WIDTH) > 0.5).float()
SOFT = bytes_like(FRAMES, HEIGHT, WIDTH)
REFERENCES = bytes_like(2, 32, 64, 3)


@pytest.mark.parametrize(
    ("control", "strength", "negative", "cfg"),
    [
        ({}, 1.0, NEGATIVE, 5.0),
        ({"video": VIDEO}, 0.7, None, 1.0),
        ({"video": VIDEO, "masks": HARD}, 1.0, NEGATIVE, 5.0),
        ({"video": VIDEO, "masks": SOFT}, 1.0, None, 1.0),
        ({"references": REFERENCES[:1]}, 1.0, NEGATIVE, 5.0),
        ({"video": VIDEO, "masks": HARD, "references": REFERENCES}, 1.3, None, 1.0),
        pytest.param({"video": VIDEO}, 1.0, NEGATIVE, 7.3, marks=pytest.mark.slow),
        pytest.param({"video": VIDEO}, 1.0, NEGATIVE, 0.0, marks=pytest.mark.slow),
    ],
    ids=["prompt", "video", "mask", "soft mask", "reference", "all", "strong", "unguided"],
)
def test_videos_are_those_of_diffusers(
    model_of: ModelOf,
    control: dict[str, Tensor],
    strength: float,
    negative: str | None,
    cfg: float,
) -> None:
    pipeline, model = model_of(wan_vace)
    references = control.get("references")
    count = 0 if references is None else len(references)
    found = model.make(
        WIDTH,
        HEIGHT,
        frames=FRAMES + 4 * count,
        cfg=cfg,
        steps=3,
        sampler="uni_pc",
        negative=negative,
        change=shown(model, ControlVideo(WIDTH, HEIGHT, FRAMES, **control, strength=strength)),
    )
    called = {
        "video": None if "video" not in control else [to_pil(each) for each in VIDEO[:, None]],
        "mask": as_masks(control["masks"]) if "masks" in control else None,
        "reference_images": [to_pil(each) for each in references[:, None]] if count else None,
    }
    options = {"width": WIDTH, "height": HEIGHT, "num_frames": FRAMES, "guidance_scale": cfg}
    expected = stock(
        OneGenerator(pipeline),
        out="frames",
        steps=3,
        negative=negative,
        conditioning_scale=strength,
        **options,
        **called,
    )
    assert_same(found, expected)
    trimmed = cut_frames(
        Latent(found.latents, WIDTH, HEIGHT, frames=FRAMES + 4 * count, format="wan"), count, 0
    )
    decoded = replace(found, decode=lambda: model._films(trimmed))
    assert_same(decoded, expected, pixels=True)


def test_the_latent_frames_of_references_come_first(model_of: ModelOf) -> None:
    _, model = model_of(wan_vace)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    alone, both = (
        encode_vace(model.part("vae"), prompt, ControlVideo(WIDTH, HEIGHT, 5, references=images))
        for images in (None, REFERENCES)
    )
    assert (alone[VACE_CONTEXT].shape[2], both[VACE_CONTEXT].shape[2]) == (2, 4)
    assert torch.equal(both[VACE_CONTEXT][:, :, 2:], alone[VACE_CONTEXT])


def test_frames_after_the_control_video_are_generated(model_of: ModelOf) -> None:
    _, model = model_of(wan_vace)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    gray = torch.full((2, HEIGHT, WIDTH, 3), 0.5)
    short = ControlVideo(WIDTH, HEIGHT, 5, VIDEO[:3], torch.zeros(3, HEIGHT, WIDTH))
    masks = torch.cat([torch.zeros(3, HEIGHT, WIDTH), torch.ones(2, HEIGHT, WIDTH)])
    whole = ControlVideo(WIDTH, HEIGHT, 5, torch.cat([VIDEO[:3], gray]), masks)
    found, expected = (encode_vace(model.part("vae"), prompt, each) for each in (short, whole))
    assert torch.equal(found[VACE_CONTEXT], expected[VACE_CONTEXT])


def test_what_does_not_go_together_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(wan_vace)
    _, plain = model_of(wan)
    _, other = model_of(ltx)
    options = {"cfg": 1.0, "sampler": "uni_pc", "frames": 5}
    control = shown(model, ControlVideo(WIDTH, HEIGHT, 5))
    with raises(InvalidValue, port="positive"):
        model.make(WIDTH, HEIGHT, **options)
    with raises(InvalidValue, port="positive"):
        plain.make(WIDTH, HEIGHT, change=control, **options)
    with raises(InvalidValue, port="positive", given="(2, 6, 8) in latent cells"):
        model.make(96, HEIGHT, change=control, **options)
    prompt, unlike = model.encode(PROMPT), other.encode(PROMPT)
    assert prompt is not None
    assert unlike is not None
    for conditioning, video, port in (
        (unlike, ControlVideo(WIDTH, HEIGHT, 5), "conditioning"),
        (prompt, ControlVideo(WIDTH, HEIGHT, 6), "frames"),
        (prompt, ControlVideo(WIDTH, 64, 5, VIDEO), "video"),
        (prompt, ControlVideo(WIDTH, 64, 5, masks=HARD), "mask"),
    ):
        with raises(InvalidValue, port=port):
            encode_vace(model.part("vae"), conditioning, video)


@pytest.mark.parametrize("cache", [FirstBlock(0.1), Magnitude(ratios=(1.0, 1.1))])
def test_caches_that_skip_blocks_are_refused(model_of: ModelOf, cache: StepCaching) -> None:
    _, model = model_of(wan_vace)
    with raises(InvalidValue, port="model", expected="TaylorSeer or attention broadcast"):
        CachedSteps(model.part("model"), cache)


@pytest.mark.slow
def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(wan_vace)
    pipeline = d.WanVACEPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    half = Model(model.folder, "bfloat16")
    change = shown(half, ControlVideo(WIDTH, HEIGHT, FRAMES, VIDEO, HARD))
    found = half.make(
        WIDTH, HEIGHT, frames=FRAMES, cfg=5.0, steps=3, sampler="uni_pc", change=change
    )
    options = {"width": WIDTH, "height": HEIGHT, "num_frames": FRAMES, "guidance_scale": 5.0}
    video = [to_pil(each) for each in VIDEO[:, None]]
    called = {"video": video, "mask": as_masks(HARD), "steps": 3, **options}
    assert_same(found, stock(OneGenerator(pipeline), out="frames", **called))
