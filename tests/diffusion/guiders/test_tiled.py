"""A model that is evaluated tile by tile: where tiles lie, and what each of them sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import diffusers
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from nodegraph.core.values import Area, Conditioning, ConditioningEntry, Latent
from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.conditionings import combine, with_area, with_mask
from nodegraph.families.noise import draw_noise
from nodegraph.families.speed_options import Broadcast
from nodegraph.sampling.controls.control_conditioning import control_of, with_control
from nodegraph.sampling.controls.files import open_control
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.guiders.added_guidance import (
    PerturbedAttention,
    SelfAttention,
    SmoothedEnergy,
)
from nodegraph.sampling.guiders.base import TILING_STRATEGIES, TiledEvaluation
from nodegraph.sampling.guiders.methods import Projected
from nodegraph.sampling.regions import Window
from nodegraph.sampling.sampling_parts import GuiderChoice, SamplingParts, build_sampling_parts
from nodegraph.sampling.tiled_evaluation import plan_tiles
from tests.diffusion.conftest import SD1_SCHEDULER, tiny_unet
from tests.diffusion.stand_in import ONE_OF_EACH
from tests.diffusion.test_guidance import moment
from tests.messages import raises
from tests.properties import examples

ROWS, COLUMNS = 8, 16
WIDTH, HEIGHT = 8 * COLUMNS, 8 * ROWS
SHAPE = (1, 4, ROWS, COLUMNS)
MOMENT = moment()
HALVES = TiledEvaluation(64, 64, "simple")
LEFT, RIGHT = slice(0, 8), slice(8, 16)


def text(number: int) -> Conditioning:
    entry = ConditioningEntry({"embeddings": draw_noise((7, 32), number, [0])})
    return Conditioning((entry,), "sd1", entry)


def model(**more: Any) -> Denoiser:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Denoiser({"unet": tiny_unet().eval()}, "sd1", SD1_SCHEDULER, **more)


def latent(shape: tuple[int, ...] = SHAPE) -> Tensor:
    return draw_noise(shape[1:], 5, [0])


@torch.no_grad()
def tiled(choice: GuiderChoice, tiling: TiledEvaluation = HALVES, **more: Any) -> Tensor:
    guidance = Guidance(
        model(**more), replace(choice, tiling=tiling), width=WIDTH, height=HEIGHT, shape=SHAPE
    )
    return guidance(latent(), MOMENT)


@torch.no_grad()
def alone(choice: GuiderChoice, part: slice, **more: Any) -> Tensor:
    """What the model says about one half of the latent as a latent of its own."""
    x = latent()[..., part].contiguous()
    return Guidance(model(**more), choice, width=64, height=HEIGHT, shape=tuple(x.shape))(x, MOMENT)


@settings(max_examples=examples(100), deadline=None)
@given(data=st.data())
def test_each_cell_belongs_to_one_tile(data: st.DataObject) -> None:
    align = data.draw(st.sampled_from((1, 2)))
    cells = tuple(align * data.draw(st.integers(1, 40)) for _ in "hw")
    tile = tuple(align * data.draw(st.integers(1, 50)) for _ in "hw")
    strategy = data.draw(st.sampled_from(TILING_STRATEGIES))
    tiling = TiledEvaluation(strategy=strategy, seed=data.draw(st.integers(0, 2**64 - 1)))
    covered = torch.zeros(cells)
    for found in plan_tiles(
        tiling, (cells[0], cells[1]), (tile[0], tile[1]), align, data.draw(st.integers(0, 30))
    ):
        window = found.window
        assert window.contains(found.core)
        assert window.top % align == window.left % align == 0
        assert Window(0, 0, *cells).contains(window)
        if strategy != "random":
            assert (window.height, window.width) == (min(tile[0], cells[0]), min(tile[1], cells[1]))
        found.core.crop(covered).add_(1)
    assert torch.equal(covered, torch.ones(cells))


def test_random_tiles_lie_elsewhere_at_each_step_and_by_each_seed() -> None:
    def cores(seed: int, step: int) -> list[Any]:
        tiling = TiledEvaluation(strategy="random", seed=seed)
        return [tile.core for tile in plan_tiles(tiling, (64, 64), (24, 24), 1, step)]

    assert cores(1, 0) == cores(1, 0)
    assert cores(1, 0) != cores(1, 2)
    assert cores(1, 0) != cores(7, 0)


def test_padded_parts_have_surroundings_on_each_side_within_the_picture() -> None:
    tiling = TiledEvaluation(strategy="padded")
    for tile in plan_tiles(tiling, (64, 96), (32, 32), 1, 0):
        inner = tile.core.top - tile.window.top, tile.core.left - tile.window.left
        assert (tile.core.height, tile.core.width) == (16, 16)
        assert inner[0] == (8 if 0 < tile.core.top < 48 else tile.core.top and 16)
        assert inner[1] == (8 if 0 < tile.core.left < 80 else tile.core.left and 16)


@pytest.mark.parametrize("strategy", TILING_STRATEGIES)
@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param(name, marks=pytest.mark.slow if turn else ())
        for turn, name in enumerate(ONE_OF_EACH)
    ],
)
def test_one_tile_gives_the_bits_of_none(strategy: str, sampler: str) -> None:
    def sampled(tiling: TiledEvaluation | None) -> Tensor:
        parts = sampling(sampler, tiling)
        denoising = Denoising(model(), Latent(None, 64, 64), parts)
        list(denoising)
        samples = denoising.result().samples
        assert samples is not None
        return samples

    assert torch.equal(sampled(TiledEvaluation(64, 64, strategy)), sampled(None))


def sampling(sampler: str, tiling: TiledEvaluation | None) -> SamplingParts:
    parts = build_sampling_parts(
        text(1), text(2), seed=3, steps=4, cfg=4.0, sampler=sampler, schedule="normal"
    )
    return replace(parts, guider=replace(parts.guider, tiling=tiling))


@pytest.mark.parametrize(
    "choice",
    [
        GuiderChoice(text(1)),
        GuiderChoice(text(1), text(2), 4.0),
        GuiderChoice(text(1), text(2), 4.0, added=(PerturbedAttention(2.0, 0.0, 1.0),)),
        GuiderChoice(text(1), text(2), 4.0, added=(SmoothedEnergy(2.0, 0.0, 1.0),)),
    ],
)
def test_a_tile_is_evaluated_as_a_picture_of_its_own(choice: GuiderChoice) -> None:
    expected = torch.cat([alone(choice, LEFT), alone(choice, RIGHT)], -1)
    assert torch.equal(tiled(choice), expected)


def test_masks_and_areas_are_those_of_the_tile() -> None:
    left, top = Area(0, 0, 0.5, 1, sampled="area"), Area(0, 0, 128, 32, "pixels")
    right = torch.zeros(1, HEIGHT, WIDTH)
    right[..., 64:] = 1
    prompts = [with_area(text(1), left), with_mask(text(2), right), with_area(text(3), top)]
    found = tiled(GuiderChoice(combine(prompts)))
    half = Area(0, 0, 64, 32, "pixels")
    for number, part in ((1, LEFT), (2, RIGHT)):
        there = GuiderChoice(combine([text(number), with_area(text(3), half)]))
        torch.testing.assert_close(found[..., part], alone(there, part))


def test_a_tile_of_no_prompt_has_the_empty_one() -> None:
    left = with_area(text(1), Area(0, 0, 0.5, 1))
    found = tiled(GuiderChoice(replace(left, unconditional=text(9).entries[0])))
    torch.testing.assert_close(found[..., LEFT], alone(GuiderChoice(text(1)), LEFT))
    torch.testing.assert_close(found[..., RIGHT], alone(GuiderChoice(text(9)), RIGHT))


def test_guidance_by_attention_looks_at_all_tiles_and_blurs_the_whole() -> None:
    choice = GuiderChoice(text(1), None, 1.0, added=(SelfAttention(2.0, 0.0, 1.0),))
    found, there = tiled(choice), alone(choice, LEFT)
    far_from_the_seam = slice(0, 2)
    torch.testing.assert_close(
        found[..., far_from_the_seam], there[..., far_from_the_seam], atol=0.1, rtol=0.1
    )
    assert not torch.allclose(found, tiled(GuiderChoice(text(1))), atol=1e-3)


def test_control_images_are_cropped(tmp_path: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        unet = tiny_unet()
        net = diffusers.ControlNetModel.from_unet(
            unet, conditioning_embedding_out_channels=(8, 8, 16, 16)
        )
        for weight in net.parameters():
            weight.data.add_(torch.randn_like(weight) / 10)
    net.save_pretrained(tmp_path)
    recipe = open_control(str(tmp_path), [])
    controls = {recipe: load_component(recipe, "cpu")}
    hint = draw_noise((HEIGHT, WIDTH, 3), 4, [0]).sigmoid()

    def led(image: Tensor) -> GuiderChoice:
        control = control_of(recipe, image)
        return GuiderChoice(with_control(text(1), control), with_control(text(2), control), 3.0)

    found = tiled(led(hint), controls=controls)
    for pixels, part in ((slice(0, 64), LEFT), (slice(64, 128), RIGHT)):
        expected = alone(led(hint[:, :, pixels]), part, controls=controls)
        assert torch.equal(found[..., part], expected)
        assert not torch.allclose(expected, alone(GuiderChoice(text(1), text(2), 3.0), part))


@pytest.mark.parametrize("strategy", TILING_STRATEGIES)
def test_stopped_and_resumed_it_gives_the_same_bits(strategy: str) -> None:
    parts = sampling("dpmpp_2m", TiledEvaluation(64, 64, strategy, seed=5))
    parts = replace(parts, guider=replace(parts.guider, method=Projected()))
    begun, resumed = (Denoising(model(), Latent(None, WIDTH, HEIGHT), parts) for _ in "ab")
    for _ in range(2):
        begun.advance()
    resumed.restore(load(save(begun.state())))
    list(begun), list(resumed)
    first, second = begun.result().samples, resumed.result().samples
    assert first is not None
    assert second is not None
    assert first.isfinite().all()
    assert torch.equal(first, second)


def test_it_stops_between_two_tiles() -> None:
    class Stopped(Exception):
        pass

    asked: list[int] = []

    def stop() -> None:
        asked.append(1)
        raise Stopped

    denoising = Denoising(model(), Latent(None, WIDTH, HEIGHT), sampling("euler", HALVES))
    with pytest.raises(Stopped):
        denoising.advance(stop)
    assert (len(asked), denoising.step) == (1, 0)


def test_a_step_cache_is_refused() -> None:
    with raises(InvalidValue, port="model"):
        tiled(GuiderChoice(text(1)), caching=Broadcast())
