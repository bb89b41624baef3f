"""Preprocessors: known images give known edges, and batches what their items give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from nodegraph.core.training_values import Preprocessor
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.images.preprocessing import (
    PREPROCESSORS,
    canny_edges,
    color_blocks,
    normal_map,
    preprocess,
    soft_edges,
    tile_hint,
)
from tests.messages import raises

NAMED = pytest.mark.parametrize("make", PREPROCESSORS.values(), ids=PREPROCESSORS)
Make = Callable[[Tensor], Tensor]


def disc(side: int = 48) -> Tensor:
    """A dark disc on white."""
    places = torch.arange(side) - side / 2 + 0.5
    inside = (places[None].square() + places[:, None].square()).sqrt() < side / 4
    return torch.where(inside[None, ..., None], 0.1, 1.0).expand(1, side, side, 3)


@NAMED
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_batches_equal_singles_in_any_channels_and_odd_sizes(make: Make, channels: int) -> None:
    image = torch.rand(3, 19, 37, channels)
    found = make(image)
    assert found.shape == (3, 19, 37, 3)
    assert found.min() >= 0
    assert found.max() <= 1
    singles = torch.cat([make(item[None]) for item in image])
    assert torch.equal(found, singles)


@NAMED
def test_a_flat_picture_has_no_edges(make: Make) -> None:
    found = make(torch.full((1, 16, 16, 3), 0.4))
    assert (found.amax((1, 2)) - found.amin((1, 2))).max() < 1e-3


def test_edges_lie_where_scikit_image_finds_them() -> None:
    from scipy.ndimage import distance_transform_edt
    from skimage.feature import canny

    found = canny_edges(disc())[0, :, :, 0].numpy() > 0
    expected = canny(disc()[0, :, :, 0].numpy(), sigma=1)
    assert expected.any()
    for one, other in ((found, expected), (expected, found)):
        assert distance_transform_edt(~other)[one].max() <= 1.5


def test_edges_are_those_that_the_embedded_control_network_was_trained_on() -> None:
    from training.companions.controlnet import edges_of

    levels = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), dtype=np.uint8)
    levels[:, :, 12:] //= 8
    image = torch.from_numpy(levels).float() / 255
    expected = edges_of(levels).movedim(1, -1).expand(-1, -1, -1, 3)
    # The training kept its images in -1..1: but for rounding they are the same.
    assert (canny_edges(image) != expected).float().mean() < 0.01


@pytest.mark.parametrize("name", ["soft edges", "line art", "scribble"])
def test_outlines_are_drawn_at_the_border_of_a_disc(name: str) -> None:
    found = PREPROCESSORS[name](disc())[0, :, :, 0]
    assert found[0, 0] < 0.01
    assert found[24, 24] < 0.1
    assert found[24, 10:15].max() > 0.5


def test_the_strongest_edge_is_white() -> None:
    assert soft_edges(disc()).max() == pytest.approx(1)


def test_blocks_have_the_mean_of_what_is_in_them() -> None:
    image = torch.rand(1, 10, 13, 3)
    found = color_blocks(image, 4)
    for row in range(0, 10, 4):
        for column in range(0, 13, 4):
            mean = image[0, row : row + 4, column : column + 4].mean((0, 1))
            block = found[0, row : row + 4, column : column + 4]
            torch.testing.assert_close(block, mean.expand_as(block))
    whole = color_blocks(image, 64)
    torch.testing.assert_close(whole[0, 9, 12], image.mean((0, 1, 2)))


def test_a_slope_faces_away_from_where_it_rises() -> None:
    flat = normal_map(torch.full((1, 8, 8, 3), 0.5))
    torch.testing.assert_close(flat[0, 4, 4], torch.tensor([0.5, 0.5, 1.0]))
    rising = torch.linspace(0, 1, 16).view(1, 1, 16, 1).expand(1, 16, 16, 3)
    assert normal_map(rising)[0, 8, 8, 0] < 0.5  # it faces left, where it falls
    downwards = rising.transpose(1, 2)
    assert normal_map(downwards)[0, 8, 8, 1] > 0.5  # it faces up
    assert normal_map(downwards, green_up=False)[0, 8, 8, 1] < 0.5
    unit = (normal_map(torch.rand(1, 8, 8, 3)) * 2 - 1).norm(dim=-1)
    torch.testing.assert_close(unit, torch.ones_like(unit))


def test_a_tile_keeps_what_is_coarse_alone() -> None:
    checks = (torch.arange(32)[:, None] + torch.arange(32)) % 2
    image = checks.float()[None, ..., None].expand(1, 32, 32, 3)
    assert (tile_hint(image, 4) - 0.5).abs().max() < 0.01


def test_a_preprocessor_works_at_its_resolution_and_gives_the_picture_s_size() -> None:
    seen = []

    def half(image: Tensor) -> Tensor:
        seen.append(tuple(image.shape))
        return image[:, ::2, ::2, :1]

    found = preprocess(torch.rand(2, 20, 30, 4), Preprocessor(half), 10)
    assert seen == [(2, 10, 15, 3)]
    assert found.shape == (2, 20, 30, 3)


@pytest.mark.parametrize(
    ("apply", "fault"),
    [
        (lambda image: image[0], InvalidValue),
        (lambda image: image[:0], InvalidValue),
        (lambda image: image.tolist(), InvalidValue),
        (lambda image: image * float("nan"), NumericalError),
    ],
)
def test_what_a_preprocessor_gives_is_checked(apply: Make, fault: type[Exception]) -> None:
    with raises(fault):
        preprocess(torch.rand(1, 4, 4, 3), Preprocessor(apply, "halves"))
