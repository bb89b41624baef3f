"""Things selected by points and boxes: those that are there, and in batches as alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.images import classical_segmentation as selecting
from nodegraph.media.images import scikit_image
from nodegraph.media.images.classical_segmentation import (
    pixel_points,
    plain_background,
    select_by_box,
    select_by_points,
    select_similar_colors,
    select_superpixels,
    superpixels,
)
from tests.messages import raises


def two_discs(noise: float = 0.05) -> tuple[Tensor, Tensor, Tensor]:
    """A red and a blue disc on gray, somewhat noisy; and where each of them is."""
    rows, columns = torch.arange(40)[:, None], torch.arange(60)
    red = (rows - 20) ** 2 + (columns - 15) ** 2 < 100
    blue = (rows - 20) ** 2 + (columns - 42) ** 2 < 144
    image = torch.full((40, 60, 3), 0.6)
    image[red], image[blue] = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.8])
    given = torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    return (image + noise * (given - 0.5)).clamp(0, 1)[None], red, blue


def agreement(found: Tensor, expected: Tensor) -> float:
    """Intersection over union."""
    hit = found[0] > 0
    return float((hit & expected).sum() / (hit | expected).sum())


def test_a_wand_takes_the_disc_that_it_touches() -> None:
    image, red, blue = two_discs()
    assert agreement(select_similar_colors(image, [(15, 20)], 0.1), red) == 1
    assert agreement(select_similar_colors(image, [(15, 20), (42, 20)], 0.1), red | blue) == 1


def test_a_wand_takes_all_of_a_colour_where_it_is_asked_to() -> None:
    image = torch.zeros(1, 3, 5, 3)
    image[:, :, 2] = 1
    assert select_similar_colors(image, [(0, 0)], 0.1).sum() == 6
    assert select_similar_colors(image, [(0, 0)], 0.1, connected=False).sum() == 12


def test_points_select_the_thing_that_they_are_on() -> None:
    image, red, blue = two_discs()
    assert agreement(select_by_points(image, [(42, 20)], []), blue) > 0.95
    both = select_by_points(image, [(15, 20), (42, 20)], [(28, 2), (28, 37)])
    assert agreement(both, red | blue) > 0.9


def test_a_box_selects_the_thing_in_it_alone() -> None:
    image, red, blue = two_discs()
    assert agreement(select_by_box(image, (2, 5, 27, 30)), red) > 0.95
    assert agreement(select_by_box(image, (28, 5, 29, 33)), blue) > 0.95


def test_a_large_picture_is_selected_from_at_a_smaller_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selecting, "_LARGEST", 30)
    image, red, _ = two_discs()
    found = select_by_points(image, [(15, 20)], [])
    assert found.shape == (1, 40, 60)
    assert agreement(found, red) > 0.8


def test_in_an_even_picture_a_box_holds_nothing() -> None:
    assert select_by_box(torch.full((1, 9, 9, 3), 0.5), (2, 2, 4, 4)).sum() == 0
    for box in ((0, 0, 9, 9), (-5, -5, 2, 2)):
        with raises(InvalidValue, port="box"):
            select_by_box(torch.rand(1, 9, 9, 3), box)


def test_an_even_background_is_taken_away_but_not_what_is_enclosed() -> None:
    image, red, blue = two_discs()
    image[0, 18:22, 13:17] = 0.6  # a hole in the red disc, of the background's color
    assert agreement(plain_background(image, 0.1), red | blue) == 1
    soft = plain_background(image, 0.1, 2)
    assert (soft[0][~(red | blue)] == 0).all()
    assert soft[0, 20, 42] == 1


@pytest.mark.parametrize("method", ["slic", "felzenszwalb", "watershed"])
def test_parts_have_their_mean_colour_and_points_select_them(
    method: selecting.SuperpixelMethod,
) -> None:
    image, red, _ = two_discs()
    found, borders = superpixels(image, method, 30)
    assert found.shape == image.shape
    # Means keep the mean of all.
    torch.testing.assert_close(found.mean((1, 2)), image.mean((1, 2)), rtol=0, atol=1e-5)
    assert 0 < borders.mean() < 1
    part = select_superpixels(image, [(15, 20)], method, 30)
    assert part[0, 20, 15] == 1
    assert (part[0] > 0)[red].sum() > 0.9 * part.sum()


@pytest.mark.parametrize(
    "select",
    [
        lambda image: select_similar_colors(image, [(4, 4)], 0.2),
        lambda image: plain_background(image, 0.3),
        lambda image: select_by_points(image, [(4, 4)], [(12, 9)], 1),
        lambda image: select_by_box(image, (2, 2, 8, 6)),
        lambda image: select_superpixels(image, [(4, 4)], "slic", 6),
    ],
)
@pytest.mark.parametrize("channels", [1, 4])
def test_batches_equal_singles(select: Callable[[Tensor], Tensor], channels: int) -> None:
    image = torch.rand(3, 11, 15, channels, generator=torch.Generator().manual_seed(1))
    found = select(image)
    assert found.shape == (3, 11, 15)
    assert torch.equal(found, torch.cat([select(item[None]) for item in image]))


@pytest.mark.parametrize(
    "select",
    [
        lambda image: select_similar_colors(image, [(15, 20)], 0.1),
        lambda image: select_by_points(image, [(15, 20)], []),
        lambda image: select_by_box(image, (2, 2, 26, 36)),
        lambda image: superpixels(image, "slic", 9),
        lambda image: select_superpixels(image, [(15, 20)], "watershed", 9),
        lambda image: plain_background(image, 0.2),
    ],
)
def test_a_picture_with_what_is_no_number_is_told(select: Callable[[Tensor], Tensor]) -> None:
    image = two_discs()[0]
    image[0, 3, 4, 1] = float("nan")
    with raises(NumericalError, port="image"):
        select(image)


def test_points_lie_in_the_picture() -> None:
    assert pixel_points([(0, 0), (1, 1), (0.5, 0.5)], (10, 4), "shares") == [(0, 0), (9, 3), (5, 2)]
    assert pixel_points([(9, 3)], (10, 4), "pixels") == [(9, 3)]
    for point in ((1.1, 0.5), (-0.01, 0.5)):
        with raises(InvalidValue, port="points"):
            pixel_points([point], (10, 4), "shares")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scikit_image, "find_spec", lambda name: None)
    with raises(InvalidValue):
        select_by_points(torch.rand(1, 4, 4, 3), [(1, 1)], [])
