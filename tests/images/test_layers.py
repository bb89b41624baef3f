"""Flatten layers: against the standard pixel by pixel, exact placements, scaling, rotation."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nodegraph.core.digests import digest_value
from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import parse_color
from nodegraph.media.images.editing.compositing import BlendMode
from nodegraph.media.images.layer_compositing import (
    build_picture,
    flatten_layers,
    layers_from_batch,
    rasterize,
)
from nodegraph.media.images.layers import (
    MAX_DEPTH,
    CanvasBox,
    Layer,
    LayerGroup,
    Layers,
    append_item,
    build_box,
    layer_rectangle,
    translate_layers,
)
from tests.images.layer_reference import flattened_box
from tests.messages import raises

MODES = get_args(BlendMode)


def picture(width: int, height: int, seed: int = 0) -> Tensor:
    """Random pixels, some of them transparent, some opaque."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (height, width, 4), generator=generator) / 255
    image[..., 3] = (image[..., 3] * 2 - 0.5).clamp(0, 1)
    return image


def layer(image: Tensor, x: int = 0, y: int = 0, **more: object) -> Layer:
    values = {"width": image.shape[1], "height": image.shape[0], **more}
    return Layer(image, x, y, **values)  # type: ignore[arg-type]


def plain(color: str, width: int, height: int) -> Tensor:
    return torch.tensor(parse_color(color)).expand(height, width, 4).contiguous()


def flat(*items: Layer | LayerGroup, box: CanvasBox | None = None) -> Tensor:
    return flatten_layers(Layers(items), box)[0]


def premultiplied(image: Tensor) -> Tensor:
    """Colors of transparent pixels do not count."""
    return torch.cat([image[..., :3] * image[..., 3:], image[..., 3:]], dim=-1)


def close(found: Tensor, expected: Tensor, tolerance: float = 2e-5) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


LAYER = st.builds(
    lambda width, height, seed, x, y, opacity, mode, visible: layer(
        picture(width, height, seed), x, y, opacity=opacity, mode=mode, visible=visible
    ),
    *(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10_000)),
    *(st.integers(-4, 4), st.integers(-4, 4)),
    *(st.floats(0, 1), st.sampled_from(MODES), st.sampled_from([True, True, True, False])),
)
ITEMS = st.recursive(
    st.lists(LAYER, max_size=3),
    lambda inner: st.lists(
        LAYER
        | st.builds(
            lambda items, opacity, mode: LayerGroup(tuple(items), opacity, mode),
            *(inner, st.floats(0, 1), st.sampled_from(MODES)),
        ),
        max_size=3,
    ),
    max_leaves=4,
)
BOX = st.builds(build_box, *(st.integers(-6, 6),) * 2, *(st.integers(1, 6),) * 2)


@settings(max_examples=60, deadline=None)
@given(ITEMS, BOX)
def test_any_layers_are_flattened_as_the_standard_says(
    items: list[Layer | LayerGroup], box: CanvasBox
) -> None:
    image, coverage = flatten_layers(Layers(tuple(items)), box)
    expected = torch.tensor(flattened_box(items, box), dtype=torch.float64).float()
    close(premultiplied(image[0]), premultiplied(expected))
    assert torch.equal(coverage, image[..., 3])


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_is_that_of_the_standard_with_alpha_on_both_sides(mode: BlendMode) -> None:
    items = [layer(picture(8, 7, 1)), layer(picture(8, 7, 2), opacity=0.8, mode=mode)]
    expected = torch.tensor(flattened_box(items, build_box(0, 0, 8, 7)), dtype=torch.float64)
    close(premultiplied(flat(*items)[0]), premultiplied(expected.float()))


@pytest.mark.parametrize("at", [(0, 0), (-37, 12), (100_000, -99_999)])
def test_an_image_in_its_place_keeps_its_bits(at: tuple[int, int]) -> None:
    image = picture(9, 5)
    for placed in (layer(image, *at), layer(image, *at, rotation=-360.0)):
        found = flat(placed)[0]
        assert torch.equal(found[..., 3], image[..., 3])
        assert torch.equal(found[image[..., 3] > 0], image[image[..., 3] > 0])


def test_a_turn_by_right_angles_moves_pixels_and_changes_none() -> None:
    image = picture(8, 4).clamp(min=1 / 255)
    turned = flat(layer(image, 3, 7, rotation=90.0))[0]
    assert torch.equal(turned, torch.rot90(image, -1, (0, 1)))
    assert torch.equal(flat(layer(image, rotation=-180.0))[0], image.flip(0, 1))
    assert layer(image, 3, 7, rotation=270.0).extent == (5, 5, 9, 13)


def test_opaque_pixels_keep_their_bits_on_a_color() -> None:
    image = picture(30, 30, 3)
    found, coverage = flatten_layers(Layers((layer(image),)), None, parse_color("orange"))
    opaque = image[..., 3] == 1
    assert 10 < opaque.sum() < 800
    assert torch.equal(found[0][opaque], image[opaque][:, :3])
    paper = torch.tensor(parse_color("orange")[:3])
    alpha = image[..., 3:]
    close(found[0], image[..., :3] * alpha + paper * (1 - alpha))
    assert torch.equal(coverage[0], image[..., 3])


def test_blend_modes_do_not_see_the_color_behind() -> None:
    half = layer(plain("#ff000080", 2, 2), mode="multiply")
    found, _ = flatten_layers(Layers((half,)), None, parse_color("blue"))
    close(found[0, 0, 0], torch.tensor([128 / 255, 0, 127 / 255]))


def test_a_group_blends_with_what_is_below_it_as_one_image() -> None:
    below, above = layer(plain("#808080", 2, 2)), layer(plain("white", 2, 2), mode="multiply")
    black = layer(plain("black", 2, 2))
    assert flat(below, black, above)[0, 0, 0, 0] == 0
    # Inside the group there is nothing to multiply with.
    assert flat(below, black, LayerGroup((above,)))[0, 0, 0, 0] == 1
    half = flat(black, LayerGroup((above, below), opacity=0.5))[0, 0, 0]
    close(half[:3], torch.full((3,), 64 / 255), 1e-3)


def test_a_box_beside_all_layers_is_empty() -> None:
    image, coverage = flatten_layers(Layers((layer(picture(3, 3)),)), build_box(3, 0, 4, 2))
    assert image.shape == (1, 2, 4, 4)
    assert not image.any()
    assert not coverage.any()
    white, coverage = flatten_layers(None, build_box(3, 0, 4, 2), parse_color("white"))
    assert (white == 1).all()
    assert not coverage.any()


@pytest.mark.parametrize("rotation", [0.0, 90.0, 17.0, 45.0, 200.0])
@pytest.mark.parametrize("size", [(40, 30), (13, 71), (5, 3)])
def test_a_scaled_and_rotated_layer_keeps_its_color_and_its_area(
    rotation: float, size: tuple[int, int]
) -> None:
    placed = Layer(plain("#40a0ff", 20, 10), 3, -2, *size, rotation=rotation)
    image, coverage = flatten_layers(Layers((placed,)))
    shown = coverage > 0
    expected = torch.tensor(parse_color("#40a0ff")[:3])
    close(image[shown][:, :3], expected.expand(int(shown.sum()), 3), 1e-4)
    assert float(coverage.sum()) == pytest.approx(size[0] * size[1], rel=0.02)


def test_a_box_that_is_sampled_smaller_shows_fractions_at_edges() -> None:
    box = build_box(0, 0, 10, 10, 5, 5)
    coverage = flatten_layers(Layers((layer(plain("red", 5, 3), 1, 2),)), box)[1][0]
    across, down = torch.tensor([0.5, 1, 1, 0, 0]), torch.tensor([0, 1, 0.5, 0, 0])
    close(coverage, down[:, None] * across[None, :])


def test_transparent_pixels_lend_no_color_to_their_neighbors() -> None:
    image = plain("#00000000", 8, 8).clone()
    image[2:6, 2:6] = 1
    for rotation in (0.0, 31.0):
        found, coverage = flatten_layers(Layers((Layer(image, 0, 0, 50, 44, rotation),)))
        assert float(coverage.max()) > 0.99
        close(
            found[coverage > 0.01][:, :3], torch.ones(1, 3).expand(int((coverage > 0.01).sum()), 3)
        )


@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_fine_patterns_become_gray_where_they_get_smaller(rotation: float) -> None:
    at = torch.arange(128)
    checks = ((at[:, None] + at[None, :]) % 2)[..., None].expand(128, 128, 3).float()
    image = torch.cat([checks, torch.ones(128, 128, 1)], dim=-1)
    found = flat(Layer(image, 0, 0, 16, 16, rotation=rotation))[0]
    middle = found.shape[0] // 2
    close(
        found[middle - 3 : middle + 3, middle - 3 : middle + 3, :3],
        torch.full((6, 6, 3), 0.5),
        0.02,
    )


@pytest.mark.parametrize("rotation", [0.0, 25.0, 90.0])
def test_a_part_of_the_canvas_is_a_part_of_its_image(rotation: float) -> None:
    items = (
        Layer(picture(40, 30, 5), 4, 6, 61, 47, rotation=rotation),
        Layer(picture(50, 50, 6), 10, 0, 23, 31, rotation=rotation, mode="screen"),
    )
    whole = flat(*items, box=build_box(0, 0, 70, 60))
    part = flat(*items, box=build_box(20, 10, 25, 30))
    close(premultiplied(part), premultiplied(whole[:, 10:40, 20:45]), 1e-4)


def test_a_smooth_picture_is_where_it_should_be() -> None:
    """A ramp is linear in its place, so each sample tells where it was taken from."""
    ramp = ((torch.arange(64) + 0.5) / 64)[None, :, None].expand(64, 64, 3)
    image = torch.cat([ramp, torch.ones(64, 64, 1)], dim=-1)
    box = build_box(0, 0, 100, 100, 150, 150)
    found = flat(Layer(image, 18, 18, 64, 64, rotation=30.0), box=box)[0]
    turn = math.radians(30)
    for x, y in ((75, 75), (60, 80), (90, 50)):
        right, down = (x + 0.5) / 1.5 - 50, (y + 0.5) / 1.5 - 50
        across = right * math.cos(turn) + down * math.sin(turn)
        assert float(found[y, x, 0]) == pytest.approx(0.5 + across / 64, abs=2e-3)


def test_rasterized_layers_look_as_before() -> None:
    placed = Layer(picture(12, 9, 7), -20, 5, 31, 18, rotation=33.0)
    x, y, image = rasterize(placed)
    close(premultiplied(flat(layer(image, x, y), box=build_box(-30, -10, 50, 50))),
          premultiplied(flat(placed, box=build_box(-30, -10, 50, 50))), 1e-6)  # fmt: skip
    own = layer(picture(3, 2), 5, 6)
    assert rasterize(own)[2] is own.image


def test_the_picture_of_a_layer_has_alpha_times_its_mask() -> None:
    gray = torch.full((2, 4, 6, 1), 0.25)
    mask = torch.rand(1, 4, 6)
    found = build_picture(gray, mask)
    assert torch.equal(found[..., 3], mask[0])
    assert (found[..., :3] == 0.25).all()
    image = picture(6, 4)
    assert torch.equal(build_picture(image[None]), image)
    assert build_picture(image[None], torch.ones(3, 1, 1)).shape == (4, 6, 4)
    with raises(InvalidValue, port="mask"):
        build_picture(image[None], torch.ones(4, 6))


def test_a_batch_becomes_layers_from_the_bottom() -> None:
    batch = torch.stack([picture(5, 4, seed) for seed in range(3)])
    layers = layers_from_batch(batch, name="part")
    assert [item.name for item in layers.items] == ["part 1", "part 2", "part 3"]
    assert torch.equal(layers.items[0].image, batch[0])  # type: ignore[union-attr]
    box = build_box(7, 8, 10, 8)
    assert layers_from_batch(batch, box).extent == (7, 8, 17, 16)


def test_equal_layers_have_equal_digests_and_others_have_not() -> None:
    first = Layers((layer(picture(4, 3)), LayerGroup((layer(picture(4, 3, 1)),))))
    again = Layers((layer(picture(4, 3)), LayerGroup((layer(picture(4, 3, 1)),))))
    assert digest_value(first) == digest_value(again)
    others = [
        Layers(first.items[:1]),
        Layers((layer(picture(4, 3, 9)), *first.items[1:])),
        Layers((replace(first.items[0], opacity=0.5), *first.items[1:])),
        translate_layers(first, 1, 0),
    ]
    assert len({digest_value(each) for each in [first, *others]}) == 5


def test_boxes_and_positions_out_of_range_are_refused() -> None:
    for sides in ((0, 5), (5, 0), (20_000, 5)):
        with raises(InvalidValue, port="width"):
            build_box(0, 0, *sides)
    with raises(InvalidValue, port="sampled_width"):
        build_box(0, 0, 8, 8, 20_000, 8)
    with raises(InvalidValue, port="y"):
        layer_rectangle((8, 8), None, 0, 2_000_000, 0, 0)
    with raises(InvalidValue, port="layers"):
        flatten_layers(None)
    far = Layers((layer(picture(2, 2)), layer(picture(2, 2), 30_000)))
    with raises(InvalidValue, port="layers"):
        flatten_layers(far)


def test_groups_nest_only_so_deep() -> None:
    layers = Layers((layer(picture(1, 1)),))
    for _ in range(MAX_DEPTH):
        layers = append_item(None, LayerGroup(layers.items))
    with raises(InvalidValue, port="group"):
        append_item(None, LayerGroup(layers.items))
