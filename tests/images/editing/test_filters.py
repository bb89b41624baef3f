"""Filters against SciPy and scikit-image, and by what must hold."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.filters import unsharp_mask
from torch import Tensor

from nodegraph.media.images.editing import filters as blurring
from nodegraph.media.images.editing import filters as effects
from nodegraph.media.images.editing.filters import blur

PICTURE = torch.rand(1, 13, 9, 3, generator=torch.Generator().manual_seed(2))


def close(found: Tensor, expected: object, tolerance: float = 1e-5) -> None:
    wanted = torch.as_tensor(np.array(expected), dtype=torch.float32).reshape(found.shape)
    torch.testing.assert_close(found.float(), wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("deviation", [0.4, 1.5, 20])
def test_gaussian_is_that_of_scipy(deviation: float) -> None:
    sigma = (deviation, deviation, 0)
    expected = ndimage.gaussian_filter(PICTURE[0].double().numpy(), sigma, mode="nearest")
    close(blur(PICTURE, "gaussian", deviation), expected)


def test_box_and_median_are_those_of_scipy() -> None:
    pixels = PICTURE[0].numpy()
    box = ndimage.uniform_filter(pixels, (5, 5, 1), mode="nearest")
    close(blur(PICTURE, "box", 2), box)
    median = ndimage.median_filter(pixels, (3, 3, 1), mode="nearest")
    assert torch.equal(blur(PICTURE, "median", 1)[0], torch.from_numpy(median))


def test_wide_filters_in_strips_are_what_they_are_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = [blur(PICTURE, kind, 2) for kind in ("median", "surface")]  # type: ignore[arg-type]
    monkeypatch.setattr(blurring, "_VALUES", 1)
    in_strips = [blur(PICTURE, kind, 2) for kind in ("median", "surface")]  # type: ignore[arg-type]
    for whole, parts in zip(at_once, in_strips, strict=True):
        close(parts, whole.numpy())


@pytest.mark.parametrize(("angle", "shape"), [(0, (1, 7)), (90, (7, 1)), (180, (1, 7))])
def test_motion_along_an_axis_is_a_mean_along_it(angle: float, shape: tuple[int, int]) -> None:
    dot = torch.zeros(1, 9, 9, 1)
    dot[0, 4, 4] = 1
    made = blur(dot, "motion", 3, angle)[0, ..., 0]
    assert float(made.sum()) == pytest.approx(1, abs=1e-4)
    rows, columns = torch.nonzero(made > 0.02, as_tuple=True)
    assert (len(rows.unique()), len(columns.unique())) == shape


def test_motion_goes_up_to_the_right_at_45_degrees() -> None:
    dot = torch.zeros(1, 9, 9, 1)
    dot[0, 4, 4] = 1
    made = blur(dot, "motion", 4, 45)[0, ..., 0]
    assert made[2, 6] > 0.05
    assert made[2, 2] == 0


def test_a_surface_blur_keeps_edges_and_takes_noise_away() -> None:
    step = torch.zeros(1, 12, 12, 1)
    step[:, :, 6:] = 0.8
    noise = torch.rand(step.shape, generator=torch.Generator().manual_seed(0)) * 0.1
    made = blur(step + noise, "surface", 3, edge=0.15)
    assert (made - step - 0.05).abs().mean() < (noise - 0.05).abs().mean() / 2
    assert (made[:, :, 6] - made[:, :, 5]).amin() > 0.7


def test_sharpening_is_that_of_scikit_image() -> None:
    grey = PICTURE[..., :1]
    expected = unsharp_mask(grey[0, ..., 0].double().numpy(), 0.8, 0.7)
    # At the edges the libraries go on in other ways.
    close(blurring.sharpen(grey, 0.7, 0.8, 0)[:, 4:-4, 4:-4], expected[4:-4, 4:-4])


def test_blur_and_high_pass_together_are_the_picture() -> None:
    quiet = PICTURE * 0.3 + 0.35
    close(blur(quiet, "gaussian", 2) + blurring.high_pass(quiet, 2) - 0.5, quiet.numpy())


def test_grain_goes_by_seed_and_place_and_leaves_black_and_white() -> None:
    flat = torch.full((2, 32, 32, 3), 0.5)
    made = effects.add_grain(flat, 0.1, 1, 7, in_color=False)
    assert torch.equal(made[1:], effects.add_grain(flat[:1], 0.1, 1, 8, in_color=False))
    assert not torch.equal(made[0], made[1])
    assert torch.equal(made[..., 0], made[..., 1])
    assert float(made.std()) == pytest.approx(0.1, rel=0.1)
    coarse = effects.add_grain(flat, 0.1, 4, 7, in_color=True)
    assert float(coarse.std()) == pytest.approx(0.1, rel=0.1)
    ends = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1)
    assert torch.equal(effects.add_grain(ends, 1, 1, 0, in_color=False), ends)


def test_a_vignette_leaves_the_middle_and_reaches_its_color_at_the_corners() -> None:
    made = effects.vignette(torch.ones(1, 101, 101, 3), 1, 0.2, 0.75, (1, 0, 0, 1))
    close(made[0, 50, 50], [1, 1, 1])
    close(made[0, 0, 0], [1, 0, 0], 1e-3)


def test_squares_are_means_also_where_they_are_cut_off() -> None:
    made = effects.pixelate(PICTURE, 4)
    close(made[0, :4, :4], PICTURE[0, :4, :4].mean((0, 1)).expand(4, 4, 3).numpy())
    close(made[0, 12:, 8:], PICTURE[0, 12:, 8:].numpy())


def test_slopes_are_those_of_sobel() -> None:
    grey = PICTURE[..., :1]
    pixels = grey[0, ..., 0].numpy()
    right, down = effects.sobel(grey)
    close(right, ndimage.sobel(pixels, axis=1, mode="nearest") / 4)
    close(down, ndimage.sobel(pixels, axis=0, mode="nearest") / 4)


def test_glow_never_darkens_and_spreads_light() -> None:
    light = torch.zeros(1, 9, 9, 3)
    light[0, 4, 4] = 1
    made = effects.glow(light, 1, 1, 0.5)
    assert (made >= light).all()
    assert made[0, 4, 6, 0] > 0


def test_fringes_leave_green_and_the_middle() -> None:
    made = effects.chromatic_aberration(PICTURE, 2)
    assert torch.equal(made[..., 1], PICTURE[..., 1])
    close(made[0, 6, 4], PICTURE[0, 6, 4].numpy())
    close(effects.chromatic_aberration(PICTURE, 0), PICTURE.numpy())


def test_noise_of_a_batch_is_one_draw_from_the_seed_clamped() -> None:
    image = torch.rand(2, 5, 3, 3, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(7))
    noisy = effects.add_noise(image, 0.5, 7, at_once=True)
    assert torch.equal(noisy, (image + 0.5 * noise).clamp(0, 1))


def test_noise_of_a_batch_with_alpha_is_drawn_for_all_channels_and_alpha_stays() -> None:
    image = torch.rand(2, 5, 3, 4, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(7))
    noisy = effects.add_noise(image, 0.5, 7, at_once=True)
    colors = (image + 0.5 * noise).clamp(0, 1)[..., :3]
    assert torch.equal(noisy, torch.cat([colors, image[..., 3:]], dim=-1))


def extreme(image: Tensor, radius: int, best: Callable[..., float]) -> Tensor:
    """Each pixel's maximum or minimum in a square, of pixels that there are, one by one."""
    _, height, width, channels = image.shape
    changed = torch.empty_like(image)
    for row, column, channel in product(range(height), range(width), range(channels)):
        rows = range(max(0, row - radius), min(height, row + radius + 1))
        columns = range(max(0, column - radius), min(width, column + radius + 1))
        values = [float(image[0, y, x, channel]) for y in rows for x in columns]
        changed[0, row, column, channel] = best(values)
    return changed


@pytest.mark.parametrize("radius", [1, 2, 9])
def test_morphology_is_that_of_its_definition(radius: int) -> None:
    image = torch.rand(1, 6, 5, 3, generator=torch.Generator().manual_seed(2))
    eroded, dilated = extreme(image, radius, min), extreme(image, radius, max)
    opened, closed = extreme(eroded, radius, max), extreme(dilated, radius, min)
    for operation, expected in {
        "erode": eroded,
        "dilate": dilated,
        "open": opened,
        "close": closed,
        "gradient": dilated - eroded,
        "top hat": image - opened,
        "bottom hat": closed - image,
    }.items():
        torch.testing.assert_close(effects.morph(image, operation, radius), expected)
