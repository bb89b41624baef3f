"""Sizes that a model cannot split into patches: what is sampled, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from nodegraph.core.values import Latent, Leftover
from nodegraph.diffusion import decode_latent
from nodegraph.families.registry import get_family
from nodegraph.sampling.latents.files import encode_latent, read_latent
from nodegraph.sampling.padded_latent import PaddedLatent
from nodes._sampling_facts import empty_outputs

from .conftest import Pair
from .test_flux import flux

ModelOf = Callable[[Callable[[], Any]], Pair]


def test_an_odd_size_is_that_of_a_larger_one_cropped(model_of: ModelOf) -> None:
    """Flux.1 reads 2 x 2 cells of 8 pixels."""
    _, model = model_of(flux)
    found = model.make(72, 104, latent=Latent(None, 72, 104, any_size=True), cfg=1.0)
    whole = model.make(80, 112, cfg=1.0)
    assert torch.equal(found.latents, whole.latents[..., :13, :9])


def test_a_size_that_fits_is_sampled_as_without(model_of: ModelOf) -> None:
    _, model = model_of(flux)
    found = model.make(64, 96, latent=Latent(None, 64, 96, any_size=True), cfg=1.0)
    assert torch.equal(found.latents, model.make(64, 96, cfg=1.0).latents)


def test_an_odd_latent_is_sampled_again(model_of: ModelOf) -> None:
    """The padding of a second sampling changes the size of no result either."""
    _, model = model_of(flux)
    first = model.make(72, 104, latent=Latent(None, 72, 104, any_size=True), cfg=1.0)
    mask = torch.zeros(1, 104, 72)
    mask[:, :52] = 1.0
    again = Latent(first.latents, 72, 104, noise_mask=mask, format="flux", any_size=True)
    found = model.make(72, 104, latent=again, cfg=1.0, denoise=0.5)
    assert found.latents.shape == first.latents.shape
    assert torch.equal(found.latents[..., 7:, :], first.latents[..., 7:, :])
    assert not torch.equal(found.latents[..., :6, :], first.latents[..., :6, :])
    whole = Latent(found.latents, 72, 104, format="flux")
    assert decode_latent(model.part("vae"), whole).shape == (1, 104, 72, 3)


@pytest.mark.parametrize(
    ("family", "size", "result", "sampled"),
    [
        ("flux", (1000, 1000), (1000, 1000), (1008, 1008)),
        ("sdxl", (1000, 1016), (1000, 1016), (1000, 1016)),
        # 81 x 45.5 cells, whose half goes to the even number, and 4.5 cells
        ("minimax-h3", (1296, 728), (1296, 736), (1312, 736)),
        ("minimax-h3", (136, 72), (128, 64), (128, 64)),
        ("minimax-h3", (8, 8), (16, 16), (32, 32)),
    ],
)
def test_sizes_are_those_of_comfyui(
    family: str, size: tuple[int, int], result: tuple[int, int], sampled: tuple[int, int]
) -> None:
    """Its empty latents are rounded to cells of the model, and its models return their size."""
    padded = PaddedLatent.of(get_family(family), Latent(None, *size, any_size=True))
    assert (padded.width, padded.height) == result
    assert (padded.latent.width, padded.latent.height) == sampled


def test_noise_that_is_left_comes_along() -> None:
    samples, original = torch.randn(1, 16, 13, 9), torch.randn(1, 16, 13, 9)
    left = Leftover(0.5, "mixing", original)
    latent = Latent(samples, 72, 104, leftover=left, any_size=True)
    padded = PaddedLatent.of(get_family("flux"), latent)
    inner = padded.latent
    assert inner.samples is not None
    assert inner.leftover is not None
    assert inner.leftover.original is not None
    for item, before in ((inner.samples, samples), (inner.leftover.original, original)):
        assert torch.equal(item[..., :13, :9], before)
        assert torch.equal(item[..., 13:, :9], before[..., :1, :])
        assert torch.equal(item[..., 9:], item[..., :1])
    back = padded.crop(inner)
    assert back.leftover is not None
    assert back.leftover.original is not None
    assert torch.equal(back.leftover.original, original)
    assert (back.width, back.height) == (72, 104)


def test_a_latent_smaller_than_its_padding_is_repeated() -> None:
    """GLM-Image reads 4 x 4 cells, of which there is a single one here, with 2 below it."""
    samples = torch.arange(3.0).view(1, 1, 3, 1)
    inner = PaddedLatent.of(get_family("glm-image"), Latent(samples, 8, 24, any_size=True)).latent
    assert inner.samples is not None
    column = torch.tensor([0.0, 1.0, 2.0, 0.0])
    assert torch.equal(inner.samples[0, 0], column[:, None].expand(4, 4))


@pytest.mark.parametrize(("width", "known"), [(72, False), (64, True)])
def test_a_size_that_the_model_may_change_is_not_known_before(width: int, known: bool) -> None:
    """So no check refuses it, and none counts with it."""
    literals = {"width": width, "height": 64, "batch_size": 2, "multiple_of": 1, "any_size": True}
    found = empty_outputs(cast("Any", SimpleNamespace(literals=literals)))
    sizes = {"width": width, "height": 64} if known else {}
    assert found == {"latent": {"batch": 2, "frames": 1, "masked": False, **sizes}}


def test_a_file_of_a_latent_says_that_any_size_is_taken(tmp_path: Any) -> None:
    latent = Latent(torch.zeros(1, 16, 13, 9), 72, 104, format="flux", any_size=True)
    file = tmp_path / "odd.safetensors"
    file.write_bytes(encode_latent(latent, {}))
    assert read_latent(file).any_size
