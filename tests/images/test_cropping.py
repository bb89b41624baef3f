"""Parts cut out and put back: what isn't masked keeps its bits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue
from nodegraph.media.images.inpainting import Fill, crop_to_mask, pad_for_outpaint, stitch
from nodegraph.media.images.masks import EmptyMask
from nodegraph.media.images.regions import fit_box
from tests.messages import raises
from tests.properties import examples


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """A box in an image of 19 by 14: also at its border, and all of it."""
    x, y = draw(st.integers(0, 18)), draw(st.integers(0, 13))
    return x, y, draw(st.integers(1, 19 - x)), draw(st.integers(1, 14 - y))


@settings(max_examples=examples(40))
@given(
    box=boxes(),
    margin=st.integers(0, 20),
    size=st.sampled_from([(0, 0), (16, 16), (24, 0), (0, 32), (40, 16)]),
    batch=st.sampled_from([1, 3]),
    feather=st.sampled_from([0, 2.5]),
    masks=st.sampled_from([1, 3]),
)
def test_outside_the_mask_nothing_changes_bit_for_bit(
    box: tuple[int, int, int, int],
    margin: int,
    size: tuple[int, int],
    batch: int,
    feather: float,
    masks: int,
) -> None:
    x, y, width, height = box
    image = torch.rand(batch, 14, 19, 3)
    mask = torch.zeros(masks, 14, 19)
    mask[:, y : y + height, x : x + width] = 1

    part, own, region = crop_to_mask(image, mask, margin=margin, size=size, multiple=8)
    found = stitch(image, torch.rand_like(part), region, feather)

    assert part.shape[1] % 8 == part.shape[2] % 8 == 0
    assert own.shape == part.shape[:3]
    assert all(got == asked for got, asked in zip(part.shape[2:0:-1], size, strict=True) if asked)
    outside = (mask == 0).expand(len(found), -1, -1)
    assert torch.equal(found[outside], image.expand(len(found), -1, -1, -1)[outside])
    assert not torch.equal(found, image.expand_as(found))


@settings(max_examples=examples(20))
@given(box=boxes(), margin=st.integers(0, 8))
def test_what_is_put_back_as_it_was_changes_nothing(
    box: tuple[int, int, int, int], margin: int
) -> None:
    x, y, width, height = box
    image, mask = torch.rand(2, 14, 19, 4), torch.zeros(1, 14, 19)
    mask[:, y : y + height, x : x + width] = 1
    part, _, region = crop_to_mask(image, mask, margin=margin, multiple=1)
    assert torch.equal(stitch(image, part, region), image)


def test_a_batch_is_put_back_as_its_items_are() -> None:
    image, mask = torch.rand(3, 20, 30, 3), torch.zeros(1, 20, 30)
    mask[:, 5:12, 8:20] = 1
    part, _, region = crop_to_mask(image, mask, margin=4, size=(32, 32))
    redone = torch.rand_like(part)
    together = stitch(image, redone, region, 3)
    for n in range(3):
        single, _, alone = crop_to_mask(image[n : n + 1], mask, margin=4, size=(32, 32))
        assert torch.equal(single[0], part[n])
        assert torch.equal(stitch(image[n : n + 1], redone[n : n + 1], alone, 3)[0], together[n])


def test_one_picture_becomes_as_many_as_there_are_parts() -> None:
    image, mask = torch.rand(1, 16, 16, 1), torch.zeros(1, 16, 16)
    mask[:, 4:8, 4:8] = 1
    _, _, region = crop_to_mask(image, mask, margin=0)
    found = stitch(image, torch.rand(3, 8, 8, 3), region)
    assert found.shape == (3, 16, 16, 3)
    assert torch.equal(found[:, 0], image[:, 0].expand(3, -1, 3))


def test_an_empty_mask_is_told_or_changes_nothing() -> None:
    image, mask = torch.rand(1, 16, 16, 3), torch.zeros(1, 16, 16)
    with raises(EmptyMask, port="mask"):
        crop_to_mask(image, mask, margin=4)
    part, own, region = crop_to_mask(image, mask, margin=4, whole_if_empty=True)
    assert torch.equal(part, image)
    assert own.max() == 0
    assert torch.equal(stitch(image, torch.zeros_like(part), region, 4), image)


def test_a_part_is_refused_by_another_picture() -> None:
    image, mask = torch.rand(1, 16, 16, 3), torch.ones(1, 16, 16)
    part, _, region = crop_to_mask(image, mask, margin=0)
    with raises(InvalidValue, port="image", given="16 x 8 pixels"):
        stitch(torch.rand(1, 8, 16, 3), part, region)


@settings(max_examples=examples(50))
@given(
    box=boxes(),
    target=st.tuples(st.sampled_from([0, 8, 64]), st.sampled_from([0, 8, 48])),
    multiple=st.sampled_from([1, 8]),
)
def test_a_box_is_only_ever_widened_and_lies_in_the_picture_if_it_fits(
    box: tuple[int, int, int, int], target: tuple[int, int], multiple: int
) -> None:
    (x, y, width, height), size = fit_box(box, target, multiple, (19, 14))
    assert x <= box[0]
    assert y <= box[1]
    assert x + width >= box[0] + box[2]
    assert y + height >= box[1] + box[3]
    assert width > 19 or (x >= 0 and x + width <= 19)
    assert height > 14 or (y >= 0 and y + height <= 14)
    # Its proportions are those of the size, but for a pixel.
    assert abs(width * size[1] - height * size[0]) <= max(size)


@pytest.mark.parametrize("fill", ["edge", "mirror", "color", "noise"])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_old_part_keeps_its_bits_when_room_is_made(fill: Fill, batch: int) -> None:
    image = torch.rand(batch, 5, 7, 3)
    wide, mask = pad_for_outpaint(image, (8, 0, 16, 24), fill=fill)
    assert wide.shape == (batch, 29, 31, 3)
    assert torch.equal(wide[:, :5, 8:15], image)
    assert mask.shape == (1, 29, 31)
    assert mask[0, :5, 8:15].max() == 0
    assert mask.sum() == 29 * 31 - 35


def test_edges_are_drawn_out_and_mirrored_as_numpy_pads() -> None:
    import numpy as np

    image = torch.rand(1, 4, 5, 3)
    for fill, mode in (("edge", "edge"), ("mirror", "reflect")):
        wide, _ = pad_for_outpaint(image, (8, 3, 2, 9), fill=fill)  # type: ignore[arg-type]
        expected = np.pad(image[0].numpy(), ((3, 9), (8, 2), (0, 0)), mode=mode)  # type: ignore[call-overload]
        np.testing.assert_array_equal(wide[0].numpy(), expected)


def test_the_mask_fades_into_the_old_part_alone() -> None:
    _, mask = pad_for_outpaint(torch.rand(1, 6, 8, 3), (0, 0, 8, 0), feather=3)
    assert mask[0, 0].tolist() == [0, 0, 0, 0, 0, 0.25, 0.5, 0.75, *[1] * 8]


def test_the_mask_of_new_room_may_fade_out_by_its_square() -> None:
    image = torch.zeros(1, 12, 12, 3)
    even = pad_for_outpaint(image, (4, 0, 0, 0), feather=6)[1]
    assert torch.equal(
        pad_for_outpaint(image, (4, 0, 0, 0), feather=6, fade="quadratic")[1], even.square()
    )
