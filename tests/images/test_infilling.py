"""What is empty in an image, filled from what surrounds it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.inpainting import infill


def halves(side: int = 33) -> Tensor:
    """Red at the left, blue at the right: (1, side, side, 3)."""
    image = torch.zeros(1, side, side, 3)
    image[:, :, : side // 2, 0] = 1
    image[:, :, side // 2 :, 2] = 1
    return image


def test_what_is_not_masked_keeps_its_bits() -> None:
    image = torch.rand(2, 31, 47, 3, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 31, 47)
    mask[:, :, 30:] = 1
    filled = infill(image, mask, noise=0.5)
    assert torch.equal(filled[:, :, :30], image[:, :, :30])
    assert not torch.equal(filled[:, :, 30:], image[:, :, 30:])


def test_an_even_color_goes_on_evenly() -> None:
    color = torch.tensor([0.2, 0.4, 0.6])
    image = color.expand(1, 40, 56, 3).clone()
    mask = torch.zeros(1, 40, 56)
    mask[:, 7:, :50] = 1
    image[mask > 0] = 1
    assert torch.allclose(infill(image, mask), color.expand(1, 40, 56, 3), atol=1e-5)


def test_each_side_gets_the_colors_that_it_borders_on() -> None:
    image, mask = halves(), torch.zeros(1, 33, 33)
    mask[:, 20:] = 1
    bottom = infill(image, mask)[0, -1]
    just_below = infill(image, mask)[0, 20]
    assert bottom[0, 0] > 1.5 * bottom[0, 2]
    assert bottom[-1, 2] > 1.5 * bottom[-1, 0]
    assert just_below[0, 0] > 0.9 > 0.1 > just_below[0, 2]


def test_white_below_what_is_transparent_is_not_seen() -> None:
    image = torch.cat((halves(), torch.ones(1, 33, 33, 1)), -1)
    image[:, 20:] = torch.tensor([1.0, 1.0, 1.0, 0.0])
    image[:, 19, :, 3] = 0.5
    filled = infill(image)
    assert filled.shape == (1, 33, 33, 3)
    assert filled[..., 1].max() < 0.01


def test_an_image_that_is_empty_everywhere_becomes_gray() -> None:
    filled = infill(torch.ones(1, 9, 5, 3), torch.ones(1, 9, 5))
    assert torch.equal(filled, torch.full((1, 9, 5, 3), 0.5))


def test_noise_is_as_strong_as_said_and_follows_its_seed() -> None:
    image, mask = torch.full((1, 64, 64, 3), 0.5), torch.ones(1, 64, 64)
    mask[:, :4] = 0
    first, again, other = (infill(image, mask, noise=0.1, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float((first - 0.5)[:, 4:].std()) == pytest.approx(0.1, rel=0.1)


def test_masks_of_another_number_are_refused() -> None:
    with pytest.raises(InvalidValue, match="batches differ"):
        infill(torch.zeros(2, 8, 8, 3), torch.ones(3, 8, 8))
