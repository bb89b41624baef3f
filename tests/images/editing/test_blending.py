"""Blend modes against the formulas of the standard and Pillow, layers, channels and batches."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.editing.channels import (
    join_batch,
    join_channels,
    split_channels,
    take_from_batch,
)
from nodegraph.media.images.editing.compositing import (
    BlendMode,
    blend,
    blend_images,
    composite_layer,
    flatten,
)
from tests.messages import raises

GENERATOR = torch.Generator().manual_seed(4)
BELOW = torch.randint(0, 256, (1, 6, 7, 3), generator=GENERATOR) / 255
ABOVE = torch.randint(0, 256, (1, 6, 7, 3), generator=GENERATOR) / 255


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def soft_light(b: float, s: float) -> float:
    if s <= 0.5:
        return b - (1 - 2 * s) * b * (1 - b)
    d = ((16 * b - 12) * b + 4) * b if b <= 0.25 else math.sqrt(b)
    return b + (2 * s - 1) * (d - b)


def hard_light(b: float, s: float) -> float:
    return 2 * b * s if s <= 0.5 else 1 - (1 - b) * (1 - (2 * s - 1))


FORMULAS: dict[BlendMode, Callable[[float, float], float]] = {
    "overlay": lambda b, s: hard_light(s, b),
    "hard light": hard_light,
    "soft light": soft_light,
    "color dodge": lambda b, s: 0 if b == 0 else 1 if s == 1 else min(1, b / (1 - s)),
    "color burn": lambda b, s: 1 if b == 1 else 0 if s == 0 else 1 - min(1, (1 - b) / s),
    "exclusion": lambda b, s: b + s - 2 * b * s,
}


@pytest.mark.parametrize("mode", FORMULAS)
def test_modes_are_those_of_the_standard(mode: BlendMode) -> None:
    ends = torch.tensor([0, 0.25, 0.5, 1.0])
    below = torch.cat([BELOW.flatten(), ends.repeat(4)])
    above = torch.cat([ABOVE.flatten(), ends.repeat_interleave(4)])
    expected = [FORMULAS[mode](b, s) for b, s in zip(below.tolist(), above.tolist(), strict=True)]
    close(blend(below[:, None], above[:, None], mode)[:, 0], torch.tensor(expected))


@pytest.mark.parametrize(
    ("mode", "of_pillow"),
    [
        ("multiply", ImageChops.multiply),
        ("screen", ImageChops.screen),
        ("darken", ImageChops.darker),
        ("lighten", ImageChops.lighter),
        ("difference", ImageChops.difference),
        ("add", ImageChops.add),
        ("subtract", ImageChops.subtract),
    ],
)
def test_modes_are_those_of_pillow(
    mode: BlendMode, of_pillow: Callable[[Image.Image, Image.Image], Image.Image]
) -> None:
    pictures = [Image.fromarray((t[0] * 255).round().byte().numpy()) for t in (BELOW, ABOVE)]
    expected = torch.from_numpy(np.array(of_pillow(*pictures))) / 255
    close(blend(BELOW, ABOVE, mode)[0], expected, 1.01 / 255)


def brightness(colors: Tensor) -> Tensor:
    """As the standard weighs it for these modes: W3C Compositing and Blending 1, section 10.2."""
    return (colors * torch.tensor([0.3, 0.59, 0.11])).sum(-1, keepdim=True)


def test_modes_of_color_keep_what_they_should() -> None:
    close(brightness(blend(BELOW, ABOVE, "color")), brightness(BELOW))
    close(brightness(blend(BELOW, ABOVE, "hue")), brightness(BELOW))
    close(brightness(blend(BELOW, ABOVE, "luminosity")), brightness(ABOVE))
    grey = brightness(ABOVE).expand_as(ABOVE)
    close(blend(BELOW, grey, "saturation"), brightness(BELOW).expand_as(BELOW))
    with raises(InvalidValue, port="mode"):
        blend(BELOW, ABOVE, "magic")  # type: ignore[arg-type]


def test_nothing_changes_outside_of_a_layer() -> None:
    layer = torch.ones(1, 2, 3, 3)
    made = composite_layer(BELOW, layer, anchor="bottom right", x=1, y=1)
    inside = torch.zeros(6, 7, dtype=torch.bool)
    inside[3:5, 3:6] = True
    assert torch.equal(made[0][~inside], BELOW[0][~inside])
    assert (made[0][inside] == 1).all()


def test_a_layer_that_reaches_beyond_is_cut() -> None:
    made = composite_layer(BELOW, ABOVE, x=-3, y=4)
    assert torch.equal(made[:, 4:, :4], ABOVE[:, :2, 3:])
    assert torch.equal(composite_layer(BELOW, ABOVE, x=7), BELOW)


def test_layers_on_transparency_are_those_of_pillow() -> None:
    pictures = [torch.randint(0, 256, (1, 9, 9, 4), generator=GENERATOR) / 255 for _ in range(2)]
    pillow = [Image.fromarray((t[0] * 255).round().byte().numpy(), "RGBA") for t in pictures]
    expected = torch.from_numpy(np.array(Image.alpha_composite(*pillow))) / 255
    made = composite_layer(*pictures)[0]
    close(made[..., 3], expected[..., 3], 1.5 / 255)
    shown = expected[..., 3] > 0.1
    close(made[..., :3][shown], expected[..., :3][shown], 3 / 255)


def test_mask_and_opacity_say_how_much_shows() -> None:
    mask = torch.tensor([[[0.0, 1.0]]])
    made = composite_layer(BELOW[:, :1, :2], ABOVE[:, :1, :2], mask, opacity=0.25)
    assert torch.equal(made[0, 0, 0], BELOW[0, 0, 0])
    close(made[0, 0, 1], BELOW[0, 0, 1] * 0.75 + ABOVE[0, 0, 1] * 0.25)


def test_one_layer_is_for_all_and_grey_becomes_colours() -> None:
    made = composite_layer(BELOW[..., :1].repeat(3, 1, 1, 1), ABOVE)
    assert torch.equal(made, ABOVE.repeat(3, 1, 1, 1))
    assert len(composite_layer(BELOW, ABOVE.repeat(2, 1, 1, 1))) == 2
    with raises(InvalidValue, port="layer", given="3"):
        composite_layer(BELOW.repeat(2, 1, 1, 1), ABOVE.repeat(3, 1, 1, 1))


def test_another_size_is_scaled_and_cut() -> None:
    made = blend_images(BELOW, torch.ones(1, 3, 20, 3), None, "normal", 1)
    assert torch.equal(made, torch.ones_like(BELOW))


def test_what_is_flattened_shows_the_colour() -> None:
    picture = torch.tensor([[[[1.0, 0, 0, 0.5], [1, 0, 0, 0]]]])
    made = flatten(picture, (0.0, 0.0, 1.0, 1.0))
    close(made[0, 0], torch.tensor([[0.5, 0, 0.5], [0, 0, 1.0]]))


@pytest.mark.parametrize("space", ["rgb", "hsv", "lab"])
def test_channels_become_their_picture_again(space: str) -> None:
    parts = split_channels(BELOW, space)  # type: ignore[arg-type]
    assert [part.shape[-1] for part in parts] == [1, 1, 1]
    close(join_channels(parts, space), BELOW, 1e-4)  # type: ignore[arg-type]
    with raises(InvalidValue, port="second", given="1 of 7 x 2 pixels"):
        join_channels((parts[0], parts[1][:, :2], parts[2]), "rgb")


def test_pictures_of_all_kinds_become_a_batch() -> None:
    given = [BELOW[..., :1], torch.rand(2, 12, 14, 4), ABOVE]
    made = join_batch(given, "stretch")
    assert made.shape == (4, 6, 7, 4)
    close(made[0, ..., 2], BELOW[0, ..., 0])
    assert (made[[0, 3], ..., 3] == 1).all()
    with raises(InvalidValue, port="images"):
        join_batch([], "crop")


@pytest.mark.parametrize(
    ("index", "length", "every", "reverse", "expected"),
    [
        (0, 1, 1, False, [0]),
        (1, 0, 2, False, [1, 3]),
        (-2, 5, 1, False, [3, 4]),
        (0, 0, 1, True, [4, 3, 2, 1, 0]),
    ],
)
def test_some_of_a_batch(
    index: int, length: int, every: int, reverse: bool, expected: list[int]
) -> None:
    batch = torch.arange(5).view(5, 1, 1, 1)
    made = take_from_batch(batch, index, length, every, reverse=reverse)
    assert made.flatten().tolist() == expected
    with raises(InvalidValue, port="index", given="5"):
        take_from_batch(batch, 5, 1, 1, reverse=False)


def test_batches_that_do_not_fit_are_told_of_the_port_that_they_came_by() -> None:
    with raises(InvalidValue, port="other", given="3"):
        blend_images(BELOW.repeat(2, 1, 1, 1), ABOVE.repeat(3, 1, 1, 1), None, "normal", 1.0)


@pytest.mark.parametrize(
    "work",
    [
        lambda one, two, three: composite_layer(three, one, two),
        lambda one, two, three: composite_layer(one, three, two),
        lambda one, two, three: blend_images(three, one, two, "normal", 1.0),
    ],
)
def test_a_mask_that_is_neither_one_nor_one_for_each_is_told_by_its_own_port(
    work: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> None:
    with raises(InvalidValue, port="mask", given="2"):
        work(torch.ones(1, 4, 5, 3), torch.ones(2, 4, 5), torch.ones(3, 4, 5, 3))
