"""Every declared conversion exists and does what its name says."""

from __future__ import annotations

from nodegraph.core.types import CONVERSIONS, CONVERT, convert


def test_every_conversion_of_a_type_is_there() -> None:
    assert set(CONVERSIONS.values()) <= set(CONVERT)


def test_a_mask_becomes_a_grey_image_without_a_copy() -> None:
    import torch

    mask = torch.rand(2, 4, 5)
    image = convert(mask, ("mask_to_image",))
    assert image.shape == (2, 4, 5, 3)
    assert torch.equal(image[..., 2], mask)
    assert image.data_ptr() == mask.data_ptr()


def test_conversions_apply_in_turn() -> None:
    assert convert(1, ("int_to_float", "one_to_list", "one_to_list")) == [[1.0]]
    assert convert(1, ()) == 1
