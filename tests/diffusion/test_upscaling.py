"""Upscale models: finding, loading and running them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound, NumericalError, UnsafeFile
from nodegraph.families.helper_networks import CompactShape, compact_shape
from nodegraph.families.identification import LOAD_UPSCALER
from nodegraph.models.helper_files import BUNDLED_UPSCALER, locate_upscaler, open_upscaler
from nodegraph.models.model_sources import list_models
from nodegraph.models.upscaling import (
    CompactUpscaler,
    PaddedNetwork,
    Upscaler,
    load_upscaler,
    upscale_image,
)
from tests.messages import raises

SHAPES = [CompactShape(3, 3, 8, 2, 2), CompactShape(3, 3, 4, 1, 4), CompactShape(1, 1, 4, 1, 3)]


def network(shape: CompactShape = SHAPES[0]) -> CompactUpscaler:
    torch.manual_seed(shape.scale)
    return CompactUpscaler(shape).eval().requires_grad_(False)


def upscaler(shape: CompactShape = SHAPES[0]) -> Upscaler:
    return Upscaler({"upscaler": network(shape)}, "compact", shape.channels, shape.scale)


def pictures(batch: int = 1, height: int = 12, width: int = 17, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(channels)
    return torch.rand(batch, height, width, channels, generator=generator)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_compact_model_comes_out_of_its_file(
    shape: CompactShape, ending: str, tmp_path: Path
) -> None:
    made = network(shape)
    file = tmp_path / f"made{ending}"
    if ending == ".pth":
        torch.save({"params_ema": made.state_dict()}, file)
    else:
        save_file(made.state_dict(), file)
    recipe = open_upscaler("made" + ending, [tmp_path], allow_pickle=True)
    found = load_upscaler(recipe)
    assert (found.scale, found.channels) == (shape.scale, shape.channels)
    given = torch.rand(1, shape.channels, 5, 7)
    assert torch.equal(found.module(given), made(given))
    assert found.module(given).shape == (1, shape.channels, 5 * shape.scale, 7 * shape.scale)


def test_one_that_has_learnt_nothing_repeats_pixels() -> None:
    made = network()
    nn.init.zeros_(made.body[-1].weight)
    nn.init.zeros_(made.body[-1].bias)
    given = torch.rand(1, 3, 4, 6)
    assert torch.equal(made(given), functional.interpolate(given, scale_factor=2, mode="nearest"))


def test_the_shipped_one_is_listed_and_sharpens() -> None:
    [listed] = [item for item in list_models([]) if item.name == BUNDLED_UPSCALER]
    assert (listed.node, listed.part) == (LOAD_UPSCALER, "an upscale model")
    shipped = load_upscaler(open_upscaler(BUNDLED_UPSCALER, []))
    # a disc with an edge that is one pixel wide at twice the size
    at = torch.stack(torch.meshgrid(*[torch.arange(64.0)] * 2, indexing="ij"))
    disc = (20 - (at - 31.5).norm(dim=0)).clamp(-0.5, 0.5) + 0.5
    sharp = disc.expand(1, 3, 64, 64)
    small = functional.avg_pool2d(sharp, 2)
    cubic = functional.interpolate(small, scale_factor=2, mode="bicubic").clamp(0, 1)
    found = shipped.module(small).clamp(0, 1)
    assert functional.mse_loss(found, sharp) < functional.mse_loss(cubic, sharp) / 2


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_batches_equal_singles_and_channels_are_kept(channels: int) -> None:
    given = pictures(3, channels=channels)
    found = upscale_image(upscaler(), given)
    assert found.shape == (3, 24, 34, channels)
    assert found.min() >= 0
    assert found.max() <= 1
    singles = [upscale_image(upscaler(), item[None]) for item in given]
    assert torch.equal(found, torch.cat(singles))
    if channels == 4:
        assert torch.equal(found[..., :3], upscale_image(upscaler(), given[..., :3]))


def test_one_of_brightness_takes_each_colour_by_itself() -> None:
    given = pictures()
    found = upscale_image(upscaler(SHAPES[2]), given)
    assert found.shape == (1, 36, 51, 3)
    second = upscale_image(upscaler(SHAPES[2]), given[..., 1:2])
    assert torch.equal(found[..., 1:2], second)


@pytest.mark.parametrize("size", [(9, 9), (40, 33), (5, 70)])
def test_tiles_with_room_for_what_it_sees_make_up_the_whole(size: tuple[int, int]) -> None:
    """It sees 4 pixels around each; within the fading 8 of an overlap all tiles agree but there."""
    given = pictures(2, *size)
    whole = upscale_image(upscaler(), given)
    told: list[tuple[int, int]] = []
    found = upscale_image(
        upscaler(),
        given,
        tile=24,
        overlap=12,
        on_tile=lambda step, total: told.append((step, total)),
    )
    # The outermost pixels of a tile see zeros where the image goes on, and count least.
    assert (found - whole).abs().mean() < 0.01
    assert told == [(step + 1, told[0][1]) for step in range(told[0][1])]
    assert torch.equal(upscale_image(upscaler(), given, tile=70, overlap=8), whole)


def test_a_network_of_certain_sizes_gets_them() -> None:
    class Picky(nn.Module):
        def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor]:
            height, width = picture.shape[-2:]
            assert height == width
            assert height % 8 == 0
            assert height >= 32
            return (functional.interpolate(picture, scale_factor=2, mode="nearest"),)

    padded = PaddedNetwork(Picky(), 2, 32, 8, square=True)
    for height, width in [(1, 1), (3, 50), (32, 32)]:
        given = torch.rand(1, 3, height, width)
        expected = functional.interpolate(given, scale_factor=2, mode="nearest")
        assert torch.equal(padded(given), expected)


def test_what_is_no_upscale_model_is_refused(tmp_path: Path) -> None:
    save_file({"x.lora_up.weight": torch.zeros(2, 2)}, tmp_path / "style.safetensors")
    with raises(InvalidFile):
        locate_upscaler("style", [tmp_path])
    torch.save(network().state_dict(), tmp_path / "made.pth")
    with pytest.raises(UnsafeFile):
        locate_upscaler("made.pth", [tmp_path])
    with pytest.raises(ModelNotFound) as missing:
        locate_upscaler("tiny/upscale", [tmp_path])
    assert BUNDLED_UPSCALER in str(missing.value)
    with pytest.raises(InvalidFile):
        locate_upscaler("tiny", [tmp_path])


def test_a_damaged_one_is_told(tmp_path: Path) -> None:
    state = network().state_dict()
    state["body.2.weight"] = torch.zeros(8, 7, 3, 3)
    save_file(state, tmp_path / "made.safetensors")
    with raises(InvalidFile):
        load_upscaler(open_upscaler("made", [tmp_path]))


def test_what_spandrel_reads_is_the_same_there(tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel", exc_type=ImportError)
    architectures = pytest.importorskip("spandrel.architectures.ESRGAN")
    torch.manual_seed(1)
    state = architectures.ESRGAN(num_filters=8, num_blocks=1, scale=4).state_dict()
    save_file(state, tmp_path / "esrgan.safetensors")
    found = load_upscaler(open_upscaler("esrgan", [tmp_path]))
    found.module.eval()
    own = spandrel.ModelLoader("cpu").load_from_state_dict(state)
    given = pictures()
    expected = own(given.movedim(-1, 1).contiguous()).movedim(1, -1)
    assert torch.equal(upscale_image(found, given), expected)


def test_others_need_spandrel(tmp_path: Path) -> None:
    """ESRGAN's names: without the package it is said how to get it."""
    state = {"model.0.weight": torch.zeros(8, 3, 3, 3), "other": torch.zeros(1)}
    assert compact_shape({name: tuple(item.shape) for name, item in state.items()}) is None
    save_file(state, tmp_path / "esrgan.safetensors")
    recipe = open_upscaler("esrgan", [tmp_path])
    assert recipe.family == "spandrel"
    with raises(InvalidFile):
        load_upscaler(recipe)


def test_nan_and_tiles_of_nothing_but_overlap_are_refused() -> None:
    broken = upscaler()
    nn.init.constant_(broken.module.body[-1].bias, float("nan"))
    with pytest.raises(NumericalError):
        upscale_image(broken, pictures())
    with raises(InvalidValue, port="overlap", given="9 pixels"):
        upscale_image(upscaler(), pictures(), tile=16, overlap=9)


def test_the_shipped_file_is_small() -> None:
    path = locate_upscaler(BUNDLED_UPSCALER, [])
    assert path.stat().st_size < 1_000_000
    assert {item.dtype for item in load_file(path).values()} == {torch.float16}
