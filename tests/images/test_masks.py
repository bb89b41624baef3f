"""Masks by what they should be: against scikit-image and Pillow, and by properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw
from skimage import measure, morphology
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.mask_morphology import (
    distance_transform,
    fade_borders,
    feather_mask,
    fill_holes,
    filter_components,
    grow_mask,
    label_components,
)
from nodegraph.media.images.masks import (
    combine_masks,
    composite,
    gradient_mask,
    mask_box,
    mask_from_channel,
    mask_from_color,
    mask_from_file,
    shape_mask,
    with_alpha,
)
from nodegraph.media.images.regions import parse_boxes, parse_points
from tests.messages import raises
from tests.properties import examples


def random_mask(seed: int, batch: int = 1, height: int = 13, width: int = 17) -> Tensor:
    return torch.rand(batch, height, width, generator=torch.Generator().manual_seed(seed))


def hard(seed: int, share: float = 0.3, **shape: int) -> Tensor:
    return (random_mask(seed, **shape) < share).float()


seeds = st.integers(0, 10_000)
few = settings(max_examples=examples(15))
_WINDOWS: dict[str, Any] = {
    "square": lambda pixels: np.ones((2 * pixels + 1,) * 2),
    "round": morphology.disk,
    "diamond": morphology.diamond,
}


@few
@given(seed=seeds, pixels=st.integers(1, 9), corners=st.sampled_from(sorted(_WINDOWS)))
def test_growing_is_scikit_images_dilation_and_shrinking_its_erosion(
    seed: int, pixels: int, corners: Any
) -> None:
    mask = random_mask(seed)
    window = _WINDOWS[corners](pixels)
    given: Any = mask[0].numpy()

    grown: Any = grow_mask(mask, pixels, corners)[0].numpy()
    shrunk: Any = grow_mask(mask, -pixels, corners)[0].numpy()

    np.testing.assert_array_equal(grown, morphology.dilation(given, window, mode="min"))
    np.testing.assert_allclose(shrunk, morphology.erosion(given, window, mode="max"), atol=1e-7)


@few
@given(seed=seeds, pixels=st.integers(0, 5))
def test_grown_then_shrunk_a_mask_holds_what_it_held(seed: int, pixels: int) -> None:
    mask = hard(seed, batch=3)
    assert (grow_mask(grow_mask(mask, pixels), -pixels) >= mask).all()
    assert (grow_mask(grow_mask(mask, -pixels), pixels) <= mask).all()


@few
@given(seed=seeds, diagonal=st.booleans(), share=st.floats(0, 1))
def test_parts_are_those_of_scikit_image(seed: int, diagonal: bool, share: float) -> None:
    inside = hard(seed, share)[0].numpy() > 0
    expected = measure.label(inside, connectivity=2 if diagonal else 1)
    np.testing.assert_array_equal(label_components(inside, diagonal=diagonal), expected)


@few
@given(seed=seeds, share=st.floats(0.3, 0.9))
def test_holes_are_filled_as_scipy_fills_them(seed: int, share: float) -> None:
    from scipy.ndimage import binary_fill_holes

    mask = hard(seed, share, batch=2)
    for filled, item in zip(fill_holes(mask), mask, strict=True):
        np.testing.assert_array_equal(filled.numpy() > 0, binary_fill_holes(item.numpy() > 0))


def test_small_holes_alone_are_filled_where_it_is_said() -> None:
    mask = torch.ones(1, 9, 9)
    mask[0, 1, 1] = mask[0, 4:7, 4:7] = 0
    assert fill_holes(mask, 1)[0, 1, 1] == 1
    assert fill_holes(mask, 1)[0, 5, 5] == 0
    assert fill_holes(mask).all()


def test_no_ring_is_left_of_a_hole_with_soft_edges() -> None:
    ring = combine_masks(shape_mask((40, 40), (4, 4, 32, 32), "ellipse"),
                         shape_mask((40, 40), (12, 12, 16, 16), "ellipse"), "subtract")  # fmt: skip
    assert torch.equal(fill_holes(ring), shape_mask((40, 40), (4, 4, 32, 32), "ellipse"))


@few
@given(seed=seeds, least=st.integers(0, 8))
def test_small_parts_are_dropped_as_scikit_image_drops_them(seed: int, least: int) -> None:
    mask = hard(seed)
    labels = measure.label(mask[0].numpy(), connectivity=2)
    sizes = np.bincount(labels.ravel())
    expected = (labels > 0) & (sizes >= least)[labels]
    np.testing.assert_array_equal(filter_components(mask, least)[0].numpy() > 0, expected)


def test_only_the_largest_part_stays() -> None:
    mask = torch.zeros(1, 4, 8)
    mask[0, 0, 0], mask[0, 2:, 3:6], mask[0, 0, 7] = 0.5, 0.25, 1
    kept = filter_components(mask, 0, 1)
    assert kept.sum() == mask[0, 2:, 3:6].sum()


@few
@given(seed=seeds, most=st.floats(1, 12), share=st.floats(0, 0.2))
def test_distances_are_exact(seed: int, most: float, share: float) -> None:
    from scipy.ndimage import distance_transform_edt

    inside = hard(seed, share)[0] > 0
    # Where nothing is inside, all is as far as can be.
    exact = distance_transform_edt(~inside.numpy()) if inside.any() else np.full((13, 17), 99.0)
    found = distance_transform(inside[None], most)[0].numpy()
    np.testing.assert_allclose(found, np.minimum(exact, most), rtol=1e-6)


@few
@given(seed=seeds, radius=st.floats(0.5, 6), linear=st.booleans())
def test_a_feather_inwards_stays_inside_and_one_outwards_keeps_all(
    seed: int, radius: float, linear: bool
) -> None:
    mask = hard(seed, 0.7)
    method = "linear" if linear else "gaussian"
    assert (feather_mask(mask, radius, method, "inward") <= mask).all()  # type: ignore[arg-type]
    assert (feather_mask(mask, radius, method, "outward") >= mask).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["gaussian", "linear"])
@pytest.mark.parametrize("side", ["both", "inward", "outward"])
def test_what_is_masked_everywhere_or_nowhere_stays_so(method: Any, side: Any) -> None:
    for value in (0.0, 1.0):
        mask = torch.full((2, 6, 7), value)
        assert torch.allclose(feather_mask(mask, 3, method, side), mask, atol=1e-6)
        assert torch.equal(grow_mask(mask, 3), mask)
        assert torch.equal(grow_mask(mask, -3), mask)


def test_a_linear_feather_fades_evenly() -> None:
    mask = torch.zeros(1, 1, 8)
    mask[..., :4] = 1
    assert feather_mask(mask, 2, "linear", "both")[0, 0].tolist() == [
        1, 1, 0.875, 0.625, 0.375, 0.125, 0, 0,
    ]  # fmt: skip


@few
@given(seed=seeds)
def test_combinations_are_those_of_sets(seed: int) -> None:
    first, second = hard(seed, 0.5), hard(seed + 1, 0.5)
    a, b = first > 0, second > 0
    for how, expected in {
        "union": a | b, "intersect": a & b, "subtract": a & ~b, "xor": a ^ b, "multiply": a & b,
        "add": a | b,
    }.items():  # fmt: skip
        assert torch.equal(combine_masks(first, second, how) > 0, expected), how  # type: ignore[arg-type]


def test_a_mask_is_placed_on_another_one_and_what_is_beside_it_stays() -> None:
    first, second = torch.full((1, 4, 5), 0.75), torch.full((2, 3, 3), 0.5)
    found = combine_masks(first, second, "multiply", (3, -1))
    expected = torch.full((4, 5), 0.75)
    expected[:2, 3:] = 0.375
    assert torch.equal(found, expected.expand(2, -1, -1))
    assert torch.equal(combine_masks(first, second[:1], "add", (9, 9)), first)


def test_a_mask_falls_evenly_towards_the_borders() -> None:
    faded = fade_borders(torch.ones(2, 3, 8), left=4, top=0, right=2, bottom=0)
    assert torch.equal(faded[1, 2], torch.tensor([0.25, 0.5, 0.75, 1, 1, 1, 1, 0.5]))
    assert fade_borders(torch.ones(1, 3, 3), 0, 99, 0, 0)[0, :, 0].tolist() == pytest.approx(
        [1 / 3, 2 / 3, 1]
    )


def test_one_mask_is_for_all_of_a_batch_and_other_numbers_are_refused() -> None:
    assert combine_masks(hard(0, batch=3), hard(1), "union").shape == (3, 13, 17)
    with raises(InvalidValue, port="second", given="2"):
        combine_masks(hard(0, batch=3), hard(1, batch=2), "union")


@few
@given(seed=seeds)
def test_batches_equal_singles(seed: int) -> None:
    mask, soft = hard(seed, 0.6, batch=3), random_mask(seed, batch=3)
    for change in (
        lambda mask: grow_mask(mask, 2),
        lambda mask: feather_mask(mask, 5.5),
        lambda mask: feather_mask(mask, 3, "linear", "inward"),
        fill_holes,
        lambda mask: filter_components(mask, 3, 2),
    ):
        for masks in (mask, soft):
            singles = torch.cat([change(item[None]) for item in masks])
            assert torch.equal(change(masks), singles)


def test_outside_a_mask_a_picture_keeps_its_bits_though_nothing_is_over_it() -> None:
    base, overlay = torch.rand(3, 6, 8, 3), torch.rand(1, 6, 8, 3)
    mask = torch.zeros(1, 6, 8)
    mask[:, 2:4, 2:5] = 1
    overlay[:, 0] = float("nan")

    found = composite(base, overlay, mask)

    assert torch.equal(found[:, 2:4, 2:5], overlay[:, 2:4, 2:5].expand(3, -1, -1, -1))
    kept = mask[0] == 0
    assert torch.equal(found[:, kept], base[:, kept])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_composite_takes_one_three_and_four_channels(channels: int) -> None:
    base, overlay = torch.rand(1, 5, 7, channels), torch.rand(2, 5, 7, 3)
    found = composite(base, overlay, torch.ones(1, 5, 7))
    assert found.shape == (2, 5, 7, max(3, channels))
    assert torch.equal(found[..., :3], overlay)
    if channels == 4:
        assert torch.equal(found[..., 3], base[..., 3].expand(2, -1, -1))


@pytest.mark.parametrize("kind", ["rectangle", "ellipse"])
def test_shapes_are_those_that_pillow_draws(kind: Any) -> None:
    drawn = Pillow.new("L", (160, 120))
    draw = ImageDraw.Draw(drawn)
    (draw.rectangle if kind == "rectangle" else draw.ellipse)((32, 24, 128 - 1, 72 - 1), fill=255)
    small = np.asarray(drawn.resize((40, 30), Pillow.Resampling.BOX)) / 255

    found = shape_mask((40, 30), (8, 6, 24, 12), kind)

    assert found.shape == (1, 30, 40)
    assert np.abs(found[0].numpy() - small).max() < (0.01 if kind == "rectangle" else 0.3)
    assert abs(float(found.sum()) - small.sum()) < 2


def test_a_shape_may_be_turned_and_reach_out_of_the_picture() -> None:
    turned = shape_mask((20, 20), (4, 8, 12, 4), "rectangle", 90)
    assert torch.allclose(turned, shape_mask((20, 20), (8, 4, 4, 12)))
    assert shape_mask((10, 10), (-5, -5, 10, 10)).sum() == 25


def test_a_gradient_rises_from_start_to_end() -> None:
    row = gradient_mask((4, 2), "linear", 0, 0, 1)[0, 0]
    assert row.tolist() == [0.125, 0.375, 0.625, 0.875]
    back = gradient_mask((4, 2), "linear", 0, 1, 0)
    assert torch.allclose(back[0, 0], row.flip(0))
    radial = gradient_mask((9, 9), "radial", 0, 0, 1)[0]
    assert radial.argmax() == 40
    assert radial[0, 0] == 0


def test_channels_are_those_of_pillow() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    picture, image = Pillow.fromarray(levels), torch.from_numpy(levels)[None] / 255
    gray = np.asarray(picture.convert("L")) / 255
    hsv = np.asarray(picture.convert("HSV")) / 255
    assert np.abs(mask_from_channel(image, "luminance")[0].numpy() - gray).max() < 0.006
    assert np.abs(mask_from_channel(image, "saturation")[0].numpy() - hsv[..., 1]).max() < 0.006
    assert np.abs(mask_from_channel(image, "value")[0].numpy() - hsv[..., 2]).max() < 0.006
    assert torch.equal(mask_from_channel(image, "green"), image[..., 1])
    assert mask_from_channel(image, "alpha").min() == 1
    assert mask_from_channel(with_alpha(image, torch.full((1, 9, 11), 0.5), transparent=False),
                             "alpha").unique().tolist() == [0.5]  # fmt: skip


def test_a_colour_is_taken_with_what_is_near_it() -> None:
    image = torch.tensor([[1, 0.5, 0], [0.9, 0.5, 0], [0.8, 0.5, 0], [0.6, 0.5, 0]])[None, None]
    orange = "#ff8000"
    assert mask_from_color(image, orange, 0.1, 0)[0, 0].tolist() == [1, 1, 0, 0]
    soft = mask_from_color(image, orange, 0.1, 0.2)[0, 0]
    assert torch.allclose(soft, torch.tensor([1, 1, 0.5, 0]), atol=1e-4)
    with raises(InvalidValue, port="color"):
        mask_from_color(image, "orangish", 0, 0)


def test_a_file_s_mask_is_its_transparency_if_it_has_some() -> None:
    white, some = torch.ones(1, 2, 2, 3), torch.tensor([[[0.0, 1], [0, 0]]])
    assert torch.equal(mask_from_file(white, some, "auto"), some)
    assert mask_from_file(white, torch.zeros(1, 2, 2), "auto").allclose(torch.ones(1, 2, 2))
    assert torch.equal(mask_from_file(white, some, "red"), torch.ones(1, 2, 2))


def test_the_box_of_a_batch_holds_all_of_its_masks() -> None:
    mask = torch.zeros(2, 6, 8)
    mask[0, 1, 2] = mask[1, 4, 6] = 0.1
    assert mask_box(mask) == (2, 1, 5, 4)
    with raises(InvalidValue, port="mask"):
        mask_box(mask[:0])


@pytest.mark.parametrize("text", ["[[1, 2, 3, 4]]", "1 2 3 4", "1, 2, 3, 4;", "[1, 2, 3, 4.0]"])
def test_boxes_are_read_as_people_write_them(text: str) -> None:
    assert parse_boxes(text) == [(1, 2, 3, 4)]


@pytest.mark.parametrize(
    "text", ["", "1 2 3", "[[1, 2, 3]]", "{}", "[[1, 2, 3, null]]", "[true, 1, 1, 1]", "nan " * 4,
             "1 2 0 4", "[" * 2000, "[[1, 2, 3, 1" + "0" * 400 + "]]"],
)  # fmt: skip
def test_what_is_no_boxes_is_told(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_boxes(text)


def test_no_points_are_an_empty_text() -> None:
    assert parse_points(" ") == []
    assert parse_points("[[1, 2], [3, 4]]") == [(1, 2), (3, 4)]
