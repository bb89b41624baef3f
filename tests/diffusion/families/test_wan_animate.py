"""Wan Animate gives what diffusers' pipeline gives, to the last bit.

Later segments differ by rounding alone: the frames of the segment before are images in 0..1 here,
and in -1..1 in the pipeline.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch
from PIL import Image
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.errors import InvalidValue
from nodegraph.families.speed_options import FirstBlock, Magnitude, StepCaching
from nodegraph.media.images.images import to_pil
from nodegraph.models.character_animation import Animation, encode_animation
from nodegraph.models.image_to_video import embed_first_frame
from nodegraph.models.speed.step_caches import CachedSteps
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, stock
from .video_models import ltx, wan_animate, wan_i2v

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT, FRAMES = 64, 48, 9


def bytes_like(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3)) / 255


IMAGE = bytes_like(1, HEIGHT, WIDTH, 3)
POSE = bytes_like(FRAMES, HEIGHT, WIDTH, 3)
FACE = bytes_like(FRAMES, 16, 16, 3)
BACKGROUND = POSE.flip(1)
MASKS = bytes_like(FRAMES, HEIGHT, WIDTH)
ANIMATION = Animation(IMAGE, POSE, FACE, FRAMES)
REPLACEMENT = replace(ANIMATION, background=BACKGROUND, masks=MASKS)


def shown(model: Model, animation: Animation) -> Callable[[Conditioning], Conditioning]:
    def change(prompt: Conditioning) -> Conditioning:
        tensors = encode_animation(model.part("vae"), prompt, animation)
        seen = embed_first_frame(model.part("text_encoder"), animation.image)
        return with_tensors(prompt, {**tensors, **seen})

    return change


def pictures(frames: Tensor) -> list[Image.Image]:
    return [to_pil(frame[None]) for frame in frames]


def as_masks(masks: Tensor) -> list[Image.Image]:
    return [Image.fromarray((mask * 255).round().byte().numpy(), "L") for mask in masks]


def by_stock(pipeline: Any, animation: Animation, **options: Any) -> Made:
    called: dict[str, Any] = {
        "image": to_pil(animation.image),
        "pose_video": pictures(animation.pose),
        "face_video": pictures(animation.face),
        "height": HEIGHT,
        "width": animation.image.shape[2],
        "segment_frame_length": animation.frames,
        "prev_segment_conditioning_frames": animation.overlap,
    }
    if animation.background is not None and animation.masks is not None:
        called["mode"] = "replace"
        called["background_video"] = pictures(animation.background)
        called["mask_video"] = as_masks(animation.masks)
    return stock(pipeline, out="frames", **called, **options)


def assert_like_stock(pipeline: Any, found: Made, expected: Made, *, pixels: bool = False) -> None:
    """Equal to the last bit.

    The pipeline gives latents as its VAE takes them, with the frame of the character's image.
    """
    config = pipeline.vae.config
    mean, std = (
        torch.tensor(item).view(1, -1, 1, 1, 1)
        for item in (config.latents_mean, config.latents_std)
    )
    raw = replace(found, latents=found.latents / (1.0 / std) + mean)
    assert_same(raw, expected, lambda latents: latents[:, :, 1:], pixels=pixels)


@pytest.mark.parametrize(
    ("animation", "batch", "negative", "cfg"),
    [
        pytest.param(ANIMATION, 1, None, 1.0, id="animate"),
        pytest.param(ANIMATION, 1, NEGATIVE, 7.3, id="animate-cfg"),
        pytest.param(REPLACEMENT, 1, None, 1.0, id="replace"),
        pytest.param(REPLACEMENT, 1, NEGATIVE, 5.0, id="replace-cfg", marks=pytest.mark.slow),
        pytest.param(ANIMATION, 3, NEGATIVE, 5.0, id="batch", marks=pytest.mark.slow),
    ],
)
def test_videos_are_those_of_diffusers(
    model_of: ModelOf, animation: Animation, batch: int, negative: str | None, cfg: float
) -> None:
    pipeline, model = model_of(wan_animate)
    both: dict[str, Any] = {"batch": batch, "negative": negative, "steps": 3}
    found = model.make(
        WIDTH,
        HEIGHT,
        frames=FRAMES,
        cfg=cfg,
        sampler="uni_pc",
        change=shown(model, animation),
        **both,
    )
    expected = by_stock(pipeline, animation, guidance_scale=cfg, **both)
    assert_like_stock(pipeline, found, expected, pixels=batch == 1)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    """With a VAE in float32, as published: the pipeline scales latents in the VAE's precision."""
    stock_pipeline, model = model_of(wan_animate)
    pipeline = d.WanAnimatePipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.register_modules(vae=stock_pipeline.vae)
    pipeline.set_progress_bar_config(disable=True)
    half = Model(model.folder, "bfloat16")
    coarse = Model(model.folder, "bfloat16", {**half.loaded, "vae": model.part("vae")})
    options: dict[str, Any] = {"negative": NEGATIVE, "steps": 3}
    size = {"frames": FRAMES, "cfg": 5.0, "sampler": "uni_pc"}
    found = coarse.make(WIDTH, HEIGHT, change=shown(coarse, ANIMATION), **size, **options)
    expected = by_stock(pipeline, ANIMATION, guidance_scale=5.0, **options)
    assert_like_stock(pipeline, found, expected)


@pytest.mark.parametrize("overlap", [1, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "replaces", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["animate", "replace"]
)
def test_segments_are_those_of_diffusers(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch, overlap: int, replaces: bool
) -> None:
    """A video of two segments, the second of which is cut short."""
    pipeline, model = model_of(wan_animate)
    home = importlib.import_module("diffusers.pipelines.wan.pipeline_wan_animate")

    def drawn(shape: Any, generator: Any = None, **_: Any) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(SEED))

    monkeypatch.setattr(home, "randn_tensor", drawn)
    # The pipeline counts one segment too many if a half of each is the overlap, and fails.
    frames = 9 if overlap == 1 else 13
    count = 2 * frames - overlap - 2
    pose, face, background = (bytes_like(count, *each.shape[1:]) for each in (POSE, FACE, POSE))
    masks = bytes_like(count, HEIGHT, WIDTH)
    whole = replace(ANIMATION, pose=pose, face=face, frames=frames, overlap=overlap)
    if replaces:
        whole = replace(whole, background=background.flip(2), masks=masks)
    options = {"frames": frames, "cfg": 1.0, "sampler": "uni_pc", "steps": 2}
    first = model.make(WIDTH, HEIGHT, change=shown(model, whole), **options)
    previous = first.pixels[0].movedim(1, -1)
    later = replace(whole, previous=previous, start=frames - overlap)
    second = model.make(WIDTH, HEIGHT, change=shown(model, later), **options)
    found = torch.cat([first.pixels, second.pixels[:, overlap:]], 1)[:, :count]
    expected = by_stock(pipeline, whole, guidance_scale=1.0).pixels
    assert found.shape == expected.shape
    assert torch.equal(found[:, :frames], expected[:, :frames])
    assert torch.allclose(found, expected, atol=1e-4)


def test_short_videos_run_backwards_after_their_end(model_of: ModelOf) -> None:
    _, model = model_of(wan_animate)
    prompt, coder = model.encode(PROMPT), model.part("vae")
    assert prompt is not None
    short = replace(ANIMATION, pose=POSE[:4], face=FACE[:1])
    indices = [0, 1, 2, 3, 2, 1, 0, 1, 2]
    whole = replace(ANIMATION, pose=POSE[indices], face=FACE[:1].expand(FRAMES, -1, -1, -1))
    found, expected = (encode_animation(coder, prompt, each) for each in (short, whole))
    assert all(torch.equal(found[name], item) for name, item in expected.items())


def test_a_model_without_its_videos_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(wan_animate)
    _, other = model_of(wan_i2v)
    options = {"frames": FRAMES, "cfg": 1.0}
    with pytest.raises(InvalidValue, match="Wan Animate, and the conditioning has no poses"):
        model.make(WIDTH, HEIGHT, **options)
    with pytest.raises(InvalidValue, match="is not Wan Animate, and the conditioning is for one"):
        other.make(WIDTH, HEIGHT, change=shown(other, ANIMATION), **options)
    with pytest.raises(InvalidValue, match=r"of poses was encoded for .* another size or length"):
        model.make(WIDTH, 64, change=shown(model, ANIMATION), **options)
    large = replace(ANIMATION, face=bytes_like(FRAMES, 32, 32, 3))
    with pytest.raises(InvalidValue, match=r"faces of one size.*32 x 32.*expected: 16 x 16"):
        model.make(WIDTH, HEIGHT, change=shown(model, large), **options)


@pytest.mark.parametrize(
    ("changes", "port"),
    [
        ({"image": bytes_like(2, HEIGHT, WIDTH, 3)}, "image"),
        ({"pose": bytes_like(FRAMES, 64, WIDTH, 3)}, "pose"),
        ({"background": BACKGROUND}, "mask"),
        ({"masks": MASKS}, "background"),
        ({"background": BACKGROUND, "masks": MASKS[:, :32]}, "mask"),
        ({"previous": POSE[:, :32]}, "previous"),
        ({"previous": POSE[:3], "overlap": 5}, "overlap"),
        ({"frames": 8}, "frames"),
    ],
    ids=lambda item: "" if isinstance(item, dict) else item,
)
def test_videos_that_do_not_fit_are_refused(
    model_of: ModelOf, changes: dict[str, Any], port: str
) -> None:
    _, model = model_of(wan_animate)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    with raises(InvalidValue, port=port):
        encode_animation(model.part("vae"), prompt, replace(ANIMATION, **changes))


def test_other_families_animate_no_characters(model_of: ModelOf) -> None:
    _, model = model_of(ltx)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    with raises(InvalidValue, port="conditioning"):
        encode_animation(model.part("vae"), prompt, ANIMATION)


@pytest.mark.parametrize("caching", [FirstBlock(), Magnitude(ratios=(1.0, 1.0))])
def test_caches_that_skip_blocks_are_refused(model_of: ModelOf, caching: StepCaching) -> None:
    _, model = model_of(wan_animate)
    with raises(InvalidValue, port="model"):
        CachedSteps(model.part("model"), caching)
