"""Images in motion: their tokens, what leads a model, and what the one that comes along does."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Autoencoder, Denoiser
from nodegraph.families.embedded_models import embedded_folder
from nodegraph.families.item_family import item_conditioning
from nodegraph.families.items.motions import (
    FEATURES,
    PICTURE,
    TOKENS,
    Motion,
    frames_to_tokens,
    tokens_to_frames,
)
from nodegraph.families.registry import get_family
from nodegraph.models.denoiser_files import DenoiserRequest, denoiser_facts, open_denoiser
from nodegraph.models.image_to_video import decode_videos, motion_conditioning
from nodegraph.models.loading import load_component
from nodegraph.models.model_recipes import open_model
from tests.diffusion.conftest import one_thread  # noqa: F401 - a fixture
from tests.messages import raises

from .making import sampled

APPLE = Path(__file__).parents[3] / "workflows" / "apple.png"
FOLDER = embedded_folder().parent / "items" / "motions"


@cache
def denoiser(name: str) -> Denoiser:
    loaded = load_component(open_denoiser(DenoiserRequest(name), []), "cpu")
    assert isinstance(loaded, Denoiser)
    return loaded


@cache
def autoencoder() -> Autoencoder:
    loaded = load_component(open_model("tiny", []).vae, "cpu")
    assert isinstance(loaded, Autoencoder)
    return loaded


def picture() -> Tensor:
    pixels = np.asarray(Image.open(APPLE).convert("RGB").resize((64, 64), Image.Resampling.BOX))
    return torch.from_numpy(pixels / np.float32(255))[None]


def asked(motion: Motion | None = None, amount: float | None = 1.0) -> Conditioning:
    return motion_conditioning(autoencoder(), picture(), motion, amount)


def made(conditioning: Conditioning, *, steps: int = 5, cfg: float = 1.0, seed: int = 1) -> Tensor:
    """Latents of a clip."""
    empty = Latent(None, FEATURES, TOKENS)
    return sampled(denoiser("tiny/motions"), conditioning, empty, steps=steps, cfg=cfg, seed=seed)


def centre(frame: Tensor) -> tuple[float, float]:
    """Of what isn't white."""
    ink = (1 - frame.amin(-1)).clamp(min=0.15) - 0.15
    places = torch.linspace(0, 1, 64)
    return tuple(float((ink.sum(axis) * places).sum() / ink.sum()) for axis in (0, 1))  # type: ignore[return-value]


@given(st.integers(1, 3), st.integers(1, 16), st.integers(0, 2**31))
def test_tokens_are_frames_in_their_order(batch: int, frames: int, seed: int) -> None:
    latents = torch.randn(batch, frames, 8, 8, 8, generator=torch.Generator().manual_seed(seed))
    tokens = frames_to_tokens(latents)
    assert tokens.shape == (batch, 16 * frames, FEATURES)
    assert torch.equal(tokens_to_frames(tokens), latents)
    assert torch.equal(tokens[:, 16 * (frames - 1) :], frames_to_tokens(latents[:, -1:]))


def test_the_middle_of_any_picture_is_what_a_video_begins_with() -> None:
    small = picture()
    large = small.repeat_interleave(2, 1).repeat_interleave(2, 2)
    wide = torch.cat([torch.zeros(1, 128, 30, 3), large, torch.ones(1, 128, 30, 3)], 2)
    expected = asked().entries[0].tensors[PICTURE]
    found = motion_conditioning(autoencoder(), wide, None, 1.0).entries[0].tensors[PICTURE]
    assert expected.shape == (1, 16, FEATURES)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_several_pictures_are_refused() -> None:
    with raises(InvalidValue, port="image", given="2 images"):
        motion_conditioning(autoencoder(), picture().repeat(2, 1, 1, 1), "left", 1.0)


def test_conditionings_without_a_picture_are_refused_with_the_node_that_brings_one() -> None:
    with raises(InvalidValue, port="positive", given="1 classes, 1 numbers") as error:
        made(item_conditioning("motions", (0,), (1.0,)))
    assert "picture of 16 x 32" in str(error.value.problem.expected)


@pytest.mark.slow
def test_a_video_of_the_picture_moves_as_it_was_asked_to() -> None:
    places: dict[Motion, tuple[float, float]] = {}
    for motion in ("left", "right", "up", "down"):
        (video,) = decode_videos(autoencoder(), made(asked(motion))[:, 0])
        assert video.frames.shape == (16, 64, 64, 3)
        first, last = centre(video.frames[0]), centre(video.frames[-1])
        assert abs(first[0] - centre(picture()[0])[0]) < 0.03
        places[motion] = last[0] - first[0], last[1] - first[1]
    assert places["left"][0] < -0.1 < 0.1 < places["right"][0]
    assert places["up"][1] < -0.1 < 0.1 < places["down"][1]


def test_a_seed_gives_the_same_bits_and_guidance_another_clip_of_the_picture() -> None:
    conditioning = asked("right")
    plain = made(conditioning, steps=2)
    assert torch.equal(made(conditioning, steps=2), plain)
    assert not torch.equal(made(conditioning, steps=2, seed=2), plain)
    led = made(conditioning, steps=3, cfg=2.0)
    first = tokens_to_frames(led[:, 0])[:, 0]
    expected = tokens_to_frames(conditioning.entries[0].tensors[PICTURE])[:, 0]
    assert float((first - expected).square().mean()) < 0.1 * float(expected.square().mean())


def test_its_weights_alone_are_as_good_as_the_folder() -> None:
    file = str(FOLDER / "diffusion_pytorch_model.safetensors")
    assert denoiser_facts(DenoiserRequest(file), [])["family"] == "motions"
    known, alone = denoiser("tiny/motions"), denoiser(file)
    told = {name: value for name, value in known.config.items() if not name.startswith("_")}
    assert {name: alone.config[name] for name in told} == told
    empty, conditioning = Latent(None, FEATURES, TOKENS), asked("up")
    both = [sampled(each, conditioning, empty, steps=1) for each in (known, alone)]
    assert torch.equal(*both)


def test_previews_show_all_frames_in_rows() -> None:
    frames = torch.zeros(1, 16, 8, 8, 8)
    frames[:, 3] = 2.0
    pictures = get_family("motions").latent.pictures(frames_to_tokens(frames)[:, None])
    assert pictures is not None
    assert pictures.shape == (1, 3, 256, 256)
    shown = pictures.view(3, 4, 64, 4, 64)
    assert not torch.equal(shown[:, 0, :, 3], shown[:, 0, :, 2])
    assert torch.equal(shown[:, 3, :, 3], shown[:, 0, :, 2])
