"""Prompts, masks and images of a size that is padded: they keep their position in the latent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Area, Conditioning, Control, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.image_conditioning import CONTROL_IMAGE
from nodegraph.families.registry import get_family
from nodegraph.sampling.controls.control_conditioning import control_of, with_control
from nodegraph.sampling.denoise import Denoising, sample
from nodegraph.sampling.guiders.base import TiledEvaluation
from nodegraph.sampling.inpainting import masked_picture, with_masked_latent, with_tensors
from nodegraph.sampling.preflight import tokens_of
from nodegraph.sampling.sampling_parts import SamplingNoise, SamplingParts, build_sampling_parts
from tests.messages import raises

from .conftest import Pair
from .equality import Model
from .test_controls import NetOf, beside, flux_control, flux_pixels, net_of
from .test_flux import flux
from .test_following import flux_canny
from .test_inpainting import flux_fill
from .test_kandinsky5 import kandinsky5_edit

__all__ = ["net_of"]

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

ModelOf = Callable[[Callable[[], Any]], Pair]
Change = Callable[[Conditioning], Conditioning]
WIDTH, HEIGHT = 72, 104
"""9 x 13 cells: Flux.1 samples 10 x 14."""
WIDE, HIGH = 80, 112
ODD = Latent(None, WIDTH, HEIGHT, any_size=True)


def cropped(cells: Tensor) -> Tensor:
    return cells[..., :13, :9]


def regions(model: Model, *limits: dict[str, Any]) -> Change:
    """Prompts, each of which applies in a part of the image."""

    def change(prompts: Conditioning) -> Conditioning:
        texts = [model.encode(text) for text in ("a cat", "a dog")]
        entries = [replace(text.entries[0], **limit)
                   for text, limit in zip(texts, limits, strict=True) if text]  # fmt: skip
        return replace(prompts, entries=tuple(entries))

    return change


def repeated(cells: Tensor) -> Tensor:
    """Cells with the first ones after the last ones."""
    return cells.index_select(-2, torch.arange(14) % 13).index_select(-1, torch.arange(10) % 9)


def area(*sides: float, **options: Any) -> dict[str, Any]:
    return {"areas": (Area(*sides, **options),)}


def pixels(*sides: float, **options: Any) -> dict[str, Any]:
    return area(*sides, unit="pixels", **options)


def right_of(start: int, width: int, height: int) -> dict[str, Any]:
    mask = torch.zeros(1, height, width)
    mask[..., start:] = 1
    return {"mask": mask}


@pytest.mark.parametrize(
    ("limits", "padded"),
    [
        pytest.param(({}, area(0.5, 0.5, 0.5, 0.5)),
                     ({}, pixels(36, 52, WIDE, HIGH)), id="corner"),
        pytest.param((area(0, 0, 0.5, 1), area(0.5, 0, 0.5, 1)),
                     (pixels(0, 0, 36, HIGH), pixels(36, 0, WIDE, HIGH)), id="halves"),
        pytest.param((pixels(0, 0, 40, HEIGHT), pixels(40, 0, 32, HEIGHT)),
                     (pixels(0, 0, 40, HIGH), pixels(40, 0, 40, HIGH)), id="pixels"),
        pytest.param(({}, area(0.5, 0, 0.5, 1, feather=0.1)),
                     ({}, pixels(36, 0, WIDE, HIGH, feather=7.2)), id="feather"),
        pytest.param(({}, area(0.25, 0.25, 0.5, 0.5)),
                     ({}, pixels(18, 26, 36, 52)), id="inside"),
        pytest.param(({}, right_of(40, WIDTH, HEIGHT)),
                     ({}, right_of(40, WIDE, HIGH)), id="mask"),
        pytest.param(({}, right_of(WIDTH, 2 * WIDTH, 2 * HEIGHT)),
                     ({}, right_of(36, WIDE, HIGH)), id="large mask"),
        pytest.param(({}, area(0.4, 0.4, 0.6, 0.6, sampled="area")),
                     ({}, pixels(32, 40, 48, 72, sampled="area")), id="sampled area"),
        pytest.param(({}, pixels(16, 16, 40, 40, sampled="area")),
                     ({}, pixels(16, 16, 40, 40, sampled="area")), id="inner sampled area"),
    ],
)  # fmt: skip
def test_regions_lie_where_they_lie_in_the_image(
    model_of: ModelOf, limits: Any, padded: Any
) -> None:
    _, model = model_of(flux)
    found = model.make(WIDTH, HEIGHT, latent=ODD, cfg=1.0, change=regions(model, *limits))
    whole = model.make(WIDE, HIGH, cfg=1.0, change=regions(model, *padded))
    assert torch.equal(found.latents, cropped(whole.latents))


def test_a_batch_and_a_negative_prompt_with_a_region(model_of: ModelOf) -> None:
    _, model = model_of(flux)
    away = model.encode("a tree")
    assert away is not None
    found, whole = (
        model.make(width, height, latent=latent, cfg=3.0, away=regions(model, {}, limit)(away))
        for width, height, latent, limit in (
            (WIDTH, HEIGHT, replace(ODD, batch_size=3), area(0, 0.5, 1, 0.5)),
            (WIDE, HIGH, Latent(None, WIDE, HIGH, 3), pixels(0, 52, WIDE, HIGH)),
        )
    )
    assert found.latents.shape == (3, 16, 13, 9)
    assert torch.equal(found.latents, cropped(whole.latents))


@pytest.mark.parametrize("scale", [1, 2, 0.25])
def test_a_noise_mask_of_any_size_covers_the_latent(model_of: ModelOf, scale: float) -> None:
    _, model = model_of(flux)
    samples = torch.randn(1, 16, 13, 9, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, round(HEIGHT * scale), round(WIDTH * scale))
    mask[:, : mask.shape[1] // 2] = 1
    start = Latent(samples, WIDTH, HEIGHT, noise_mask=mask, format="flux", any_size=True)
    found = model.make(WIDTH, HEIGHT, latent=start, cfg=1.0, denoise=0.7).latents
    assert torch.equal(found[..., 7:, :], samples[..., 7:, :])
    assert not torch.isclose(found[..., :6, :], samples[..., :6, :]).all(1).any()


@pytest.mark.parametrize("tile", [64, 512])
def test_tiles_see_the_regions_of_the_image(model_of: ModelOf, tile: int) -> None:
    _, model = model_of(flux)
    parts = build_sampling_parts(
        _prompts(model), None, seed=4, steps=2, cfg=1.0, sampler="euler", schedule="normal"
    )
    tiling = TiledEvaluation(tile, tile, "simple")

    def tiled(latent: Latent, limit: dict[str, Any]) -> Tensor:
        prompts = regions(model, {}, limit)(_prompts(model))
        choice = replace(parts.guider, positive=prompts, tiling=tiling)
        return _sampled(model, latent, replace(parts, guider=choice))

    found = tiled(ODD, area(0.5, 0.5, 0.5, 0.5))
    whole = tiled(Latent(None, WIDE, HIGH), pixels(36, 52, WIDE, HIGH))
    assert torch.equal(found, cropped(whole))


def _prompts(model: Model) -> Conditioning:
    prompts = model.encode("a cat")
    assert prompts is not None
    return prompts


def _sampled(model: Model, latent: Latent, parts: SamplingParts) -> Tensor:
    denoising = Denoising(model.part("model"), latent, parts)
    list(denoising)
    samples = denoising.result().samples
    assert samples is not None
    return samples


def test_previews_and_predictions_have_the_size_of_the_image(model_of: ModelOf) -> None:
    _, model = model_of(flux)
    steps = []
    options: Any = {"seed": 1, "steps": 2, "cfg": 1.0, "sampler": "euler", "schedule": "normal"}
    found = sample(model.part("model"), _prompts(model), None, ODD, callback=steps.append,
                   **options)  # fmt: skip
    for step in steps:
        assert step.latent.shape == step.denoised.shape == (1, 16, 13, 9)
    assert torch.equal(steps[-1].latent, found.samples)
    denoising = Denoising.named(model.part("model"), _prompts(model), None, ODD, **options)
    *_, last = denoising
    predicted = denoising.denoised(last)
    assert (predicted.width, predicted.height) == (WIDTH, HEIGHT)
    assert torch.equal(predicted.samples, last.denoised)


def test_noise_of_the_latents_size_is_taken(model_of: ModelOf) -> None:
    _, model = model_of(flux)
    noise = torch.randn(1, 16, 13, 9, generator=torch.Generator().manual_seed(7))
    parts = build_sampling_parts(
        _prompts(model), None, seed=4, steps=2, cfg=1.0, sampler="euler", schedule="normal"
    )

    def noised(tensor: Tensor) -> SamplingParts:
        return replace(parts, noise=SamplingNoise(4, tensor=tensor))

    found = _sampled(model, ODD, noised(noise))
    whole = _sampled(model, Latent(None, WIDE, HIGH), noised(repeated(noise)))
    assert torch.equal(found, cropped(whole))
    with pytest.raises(InvalidValue):
        _sampled(model, ODD, noised(noise[..., :8]))


def test_the_schedule_is_that_of_the_sampled_size() -> None:
    family = get_family("flux")
    assert tokens_of(family, ODD) == tokens_of(family, Latent(None, WIDE, HIGH)) == 5 * 7


def image() -> Tensor:
    return torch.rand(1, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(3))


def continued(pixels: Tensor) -> Tensor:
    """An image (1, height, width, 3) whose last pixels go on to the sampled size."""
    padded = torch.nn.functional.pad(
        pixels.movedim(-1, 1), (0, WIDE - WIDTH, 0, HIGH - HEIGHT), mode="replicate"
    )
    return padded.movedim(1, -1)


def test_a_control_image_keeps_its_scale(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(flux)
    net = net_of(flux_pixels)

    def led(latent: Latent, hint: Tensor) -> Tensor:
        control = control_of(net.recipe, hint)
        with beside(model, net):
            return model.make(latent.width, latent.height, latent=latent, cfg=1.0,
                              change=lambda it: with_control(it, control)).latents  # fmt: skip

    whole = led(Latent(None, WIDE, HIGH), continued(image()))
    assert torch.equal(led(ODD, image()), cropped(whole))
    larger = image().repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert led(ODD, larger).shape == (1, 16, 13, 9)


def test_control_images_in_cells_fit(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(flux)
    net = net_of(flux_control)
    hint = torch.randn(1, 16, 13, 9, generator=torch.Generator().manual_seed(5))

    def led(latent: Latent, cells: Tensor) -> Tensor:
        control = Control(net.recipe, cells)
        with beside(model, net):
            return model.make(latent.width, latent.height, latent=latent, cfg=1.0,
                              change=lambda it: with_control(it, control)).latents  # fmt: skip

    assert torch.equal(led(ODD, hint), cropped(led(Latent(None, WIDE, HIGH), repeated(hint))))


def test_a_control_image_of_the_model_fits(model_of: ModelOf) -> None:
    _, model = model_of(flux_canny)
    cells = torch.randn(1, 16, 13, 9, generator=torch.Generator().manual_seed(5))

    def led(latent: Latent, cells: Tensor) -> Tensor:
        shown = lambda it: with_tensors(it, {CONTROL_IMAGE: cells})  # noqa: E731
        return model.make(latent.width, latent.height, latent=latent, cfg=1.0, change=shown).latents

    assert torch.equal(led(ODD, cells), cropped(led(Latent(None, WIDE, HIGH), repeated(cells))))


def test_a_masked_image_fits(model_of: ModelOf) -> None:
    _, model = model_of(flux_fill)
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 40:] = 1
    hole, _ = masked_picture(image(), mask)
    kept = torch.randn(1, 16, 13, 9, generator=torch.Generator().manual_seed(5))
    tall = repeated(hole.view(1, 1, 13, 8, 9, 8).permute(0, 1, 3, 5, 2, 4)).permute(
        0, 1, 4, 2, 5, 3
    )

    def filled(latent: Latent, kept: Tensor, hole: Tensor) -> Tensor:
        return model.make(latent.width, latent.height, latent=latent, cfg=1.0,
                          change=lambda it: with_masked_latent(it, kept, hole)).latents  # fmt: skip

    whole = filled(Latent(None, WIDE, HIGH), repeated(kept), tall.reshape(1, 1, HIGH, WIDE))
    assert torch.equal(filled(ODD, kept, hole), cropped(whole))


def test_a_reference_of_the_latents_size_fits(model_of: ModelOf) -> None:
    """Kandinsky 5 takes references of this size alone."""
    _, model = model_of(kandinsky5_edit)
    cells = torch.randn(1, 16, 13, 9, generator=torch.Generator().manual_seed(5))

    def edited(latent: Latent, cells: Tensor) -> Tensor:
        def change(prompts: Conditioning) -> Conditioning:
            entries = tuple(replace(item, references=(cells,)) for item in prompts.entries)
            return replace(prompts, entries=entries)

        return model.make(
            latent.width, latent.height, latent=latent, cfg=1.0, change=change
        ).latents

    whole = edited(Latent(None, WIDE, HIGH), repeated(cells))
    assert torch.equal(edited(ODD, cells), cropped(whole))


def test_samples_of_another_size_than_stated_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(flux)
    wrong = Latent(torch.zeros(1, 16, 5, 5), WIDTH, HEIGHT, any_size=True)
    with raises(InvalidValue, port="latent", given="shape (1, 16, 5, 5)"):
        model.make(WIDTH, HEIGHT, latent=wrong, cfg=1.0, denoise=0.7)
