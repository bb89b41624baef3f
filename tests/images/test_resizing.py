"""Scaling keeps what it should: proportions, flat areas, precision."""

from __future__ import annotations

import pytest
import torch

from nodegraph.errors import InvalidValue
from nodegraph.media.images.resizing import Method, resize_image, target_size
from tests.messages import raises

METHODS: list[Method] = ["lanczos", "bicubic", "bilinear", "area", "nearest"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(16, 8), (5, 3), (8, 8)])
def test_a_flat_picture_stays_flat(method: Method, size: tuple[int, int]) -> None:
    image = torch.full((2, 8, 8, 3), 0.3)

    found = resize_image(image, *size, method=method)

    assert found.shape == (2, size[1], size[0], 3)
    assert found.is_contiguous()
    torch.testing.assert_close(found, torch.full_like(found, 0.3), rtol=0, atol=1e-6)


def test_precision_is_not_cut_to_eight_bits() -> None:
    image = torch.linspace(0.5, 0.501, 16).view(1, 1, 16, 1).expand(1, 4, 16, 3)

    found = resize_image(image, 8, 4, method="area")

    torch.testing.assert_close(found[0, 0, :, 0], image[0, 0, :, 0].view(8, 2).mean(1))


def test_channels_and_pictures_stay_apart() -> None:
    image = torch.rand(2, 4, 6, 3)

    found = resize_image(image, 6, 4)

    torch.testing.assert_close(found, image, rtol=0, atol=1e-6)


def test_nearest_keeps_values() -> None:
    image = torch.rand(1, 4, 4, 3)

    found = resize_image(image, 8, 8, method="nearest")

    assert torch.equal(found[:, ::2, ::2], image)
    assert torch.equal(found[:, 1::2, 1::2], image)


def test_overshooting_is_clipped() -> None:
    image = torch.zeros(1, 8, 8, 3)
    image[:, :, 4:] = 1

    found = resize_image(image, 32, 32, method="lanczos")

    assert (found.amin(), found.amax()) == (0, 1)


def test_crop_keeps_the_middle_and_the_proportions() -> None:
    image = torch.zeros(1, 4, 12, 3)
    image[:, :, 4:8] = 1

    found = resize_image(image, 8, 8, method="nearest", fit="crop")

    assert (found == 1).all()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ((0, 0), (100, 50)),
        ((50, 0), (50, 25)),
        ((0, 25), (50, 25)),
        ((7, 9), (7, 9)),
        ((1, 0), (1, 1)),
    ],
)
def test_zero_keeps_the_proportions(wanted: tuple[int, int], expected: tuple[int, int]) -> None:
    assert target_size((100, 50), *wanted) == expected


@pytest.mark.parametrize(
    ("before", "wanted"), [((10, 10), (-1, 5)), ((10, 10), (20_000, 5)), ((1, 1000), (100, 0))]
)
def test_sizes_out_of_range_are_refused(before: tuple[int, int], wanted: tuple[int, int]) -> None:
    with raises(InvalidValue):
        target_size(before, *wanted)


def test_an_unknown_method_is_refused() -> None:
    with raises(InvalidValue):
        resize_image(torch.zeros(1, 2, 2, 3), 4, 4, method="magic")  # type: ignore[arg-type]
