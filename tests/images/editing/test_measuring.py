"""Measures against scikit-image, and by what must hold."""

from __future__ import annotations

import math

import pytest
import torch
from skimage import metrics
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.editing.histograms import (
    color_strip,
    describe_statistics,
    draw_histogram,
)
from nodegraph.media.images.editing.metrics import compare, split_view
from tests.messages import raises

GENERATOR = torch.Generator().manual_seed(9)
SMOOTH = torch.rand(1, 6, 7, 3, generator=GENERATOR).repeat_interleave(5, 1).repeat_interleave(5, 2)
NOISY = (SMOOTH + 0.2 * torch.randn(SMOOTH.shape, generator=GENERATOR)).clamp(0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_measures_are_those_of_scikit_image(channels: int) -> None:
    one, two = SMOOTH[..., :channels], NOISY[..., :channels]
    found = compare(one, two)
    pixels = one[0].double().numpy(), two[0].double().numpy()
    expected = metrics.structural_similarity(
        *pixels,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=-1,
    )
    assert found.ssim == pytest.approx(expected, abs=1e-9)
    ratio = metrics.peak_signal_noise_ratio(*pixels, data_range=1)
    assert found.psnr == pytest.approx(ratio, abs=1e-9)
    assert found.mse == pytest.approx(metrics.mean_squared_error(*pixels), abs=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (30, 35)])
def test_equal_pictures_are_alike_whatever_their_size(size: tuple[int, int]) -> None:
    image = SMOOTH[:, : size[0], : size[1]]
    found = compare(image, image.clone())
    assert math.isinf(found.psnr)
    assert found.ssim == pytest.approx(1)
    assert found.ms_ssim == pytest.approx(1)
    assert (found.gmsd, found.rms, found.mae) == (0, 0, 0)


def test_what_is_worse_measures_worse() -> None:
    half = SMOOTH.lerp(NOISY, 0.5)
    slight, strong = compare(SMOOTH, half), compare(SMOOTH, NOISY)
    assert slight.psnr > strong.psnr
    assert slight.ssim > strong.ssim
    assert slight.ms_ssim > strong.ms_ssim
    assert slight.gmsd < strong.gmsd


def test_a_batch_measures_as_the_mean_of_its_pictures() -> None:
    whole = compare(SMOOTH.repeat(2, 1, 1, 1), torch.cat([SMOOTH, NOISY]))
    assert whole.ssim == pytest.approx((1 + compare(SMOOTH, NOISY).ssim) / 2)
    with raises(InvalidValue, port="other", given="1 x 29 x 35 x 3"):
        compare(SMOOTH, SMOOTH[:, 1:])


def test_a_split_view_shows_part_of_both() -> None:
    black, white = torch.zeros(2, 4, 10, 4), torch.ones(1, 2, 5, 1)
    made = split_view(black, white, 0.3, "horizontal", 0)
    assert made.shape == (2, 4, 10, 3)
    assert made[0, 0, :, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    assert split_view(black, black, 0.5, "vertical", 1)[0, :, 0, 0].tolist() == [0, 0, 1, 0]


def bars(image: Tensor) -> Tensor:
    return draw_histogram(image, 10, logarithmic=False).sum(1)


def test_a_histogram_counts_values() -> None:
    image = torch.zeros(1, 2, 2, 3)
    image[0, 0, :, 0] = 1
    found = bars(image)[0]
    assert found[0].tolist() == pytest.approx([5, 10, 10])
    assert found[255].tolist() == pytest.approx([5, 0, 0])
    assert float(found[1:255].sum()) == 0


def test_figures_are_told_channel_by_channel() -> None:
    text = describe_statistics(torch.tensor([[[[0.0, 0.5, 1.0, 0.25]]]]))
    assert "1 of 1 x 1 pixels, 4 channels" in text
    assert "alpha: 0.250 to 0.250" in text


def test_colours_are_as_wide_as_their_shares() -> None:
    found = color_strip([((1, 0, 0, 1), 0.75), ((0, 0, 1, 1), 0.25)], 8, 2)
    assert found[0, 0, :, 0].tolist() == [1] * 6 + [0] * 2


def test_one_picture_is_compared_with_each_of_a_batch() -> None:
    batch = torch.rand(3, 5, 7, 3, generator=torch.Generator().manual_seed(2))
    assert compare(batch, batch[1:2]) == compare(batch, batch[1:2].repeat(3, 1, 1, 1))
    with raises(InvalidValue, port="other", given="2 x 5 x 7 x 3"):
        compare(batch, batch[:2])
    with raises(InvalidValue, port="other", given="3 x 5 x 7 x 1"):
        compare(batch, batch[..., :1])
