"""What functions return for an Image or a Mask in another library's form: taken, or told of."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from nodegraph.core.annotations import is_of_type
from nodegraph.core.types import named_type
from nodegraph.media.images.pillow_conversion import PictureType, conversion_hint, to_image_tensor

PIXELS = np.arange(5 * 6 * 4, dtype=np.uint8).reshape(5, 6, 4)
RGB, RGBA, GRAY = PIXELS[..., :3], PIXELS, PIXELS[..., 0]
LEVELS = torch.from_numpy(PIXELS.astype(np.float32) / 255)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (PIL.Image.fromarray(RGB), "Image", LEVELS[None, ..., :3]),
        (PIL.Image.fromarray(RGBA), "Image", LEVELS[None]),
        (PIL.Image.fromarray(GRAY), "Image", LEVELS[None, ..., :1].expand(-1, -1, -1, 3)),
        (PIL.Image.fromarray(GRAY), "Mask", LEVELS[None, ..., 0]),
        (RGB, "Image", LEVELS[None, ..., :3]),
        (RGBA[::-1], "Image", LEVELS[None].flip(1)),
        (np.stack([RGB, RGB]), "Image", torch.stack([LEVELS[..., :3]] * 2)),
        (GRAY, "Mask", LEVELS[None, ..., 0]),
        (GRAY > 50, "Mask", torch.from_numpy(GRAY > 50).float()[None]),
        (np.stack([GRAY, GRAY]), "Mask", torch.stack([LEVELS[..., 0]] * 2)),
        (LEVELS[..., :3].numpy(), "Image", LEVELS[None, ..., :3]),
        (LEVELS[None].numpy(), "Image", LEVELS[None]),
        (np.full((5, 6, 3), 0.25), "Image", torch.full((1, 5, 6, 3), 0.25)),
        (np.full((5, 6, 3), 0.25, ">f4"), "Image", torch.full((1, 5, 6, 3), 0.25)),
        (np.full((5, 6), 1, np.float16), "Mask", torch.ones(1, 5, 6)),
    ],
)
def test_what_can_mean_one_thing_only_is_taken(
    value: Any, kind: PictureType, expected: torch.Tensor
) -> None:
    found = to_image_tensor(value, kind)
    assert found is not None
    assert is_of_type(found, named_type(kind))
    assert torch.equal(found, expected)


DOUBTFUL: list[tuple[Any, PictureType]] = [
    (np.full((5, 6, 3), 255.0), "Image"),
    (np.full((5, 6, 3), 1.001, np.float32), "Image"),
    (np.full((5, 6, 3), -0.001, np.float32), "Image"),
    (np.linspace(-1, 1, 90).reshape(5, 6, 3), "Image"),
    (np.full((5, 6, 3), np.nan, np.float32), "Image"),
    (np.full((5, 6), np.inf), "Mask"),
    (np.zeros((3, 6, 3), np.float32), "Image"),
    (np.zeros((3, 5, 6), np.float32), "Image"),
    (np.zeros((3, 5, 6), np.uint8), "Image"),
    (np.zeros((2, 3, 5, 6), np.uint8), "Image"),
    (np.zeros((5, 6), np.uint8), "Image"),
    (np.zeros((3, 6, 3), np.uint8), "Image"),
    (np.zeros((5, 6, 3), np.uint16), "Image"),
    (np.zeros((5, 6, 1)), "Mask"),
    (np.zeros((5, 6, 1), np.uint8), "Mask"),
    (np.zeros((1, 5, 6, 3), np.float32), "Mask"),
    (torch.zeros(1, 3, 5, 6), "Image"),
    (torch.zeros(3, 5, 6), "Image"),
    (torch.zeros(5, 6, 3), "Image"),
    (torch.zeros(1, 5, 6, 3, dtype=torch.uint8), "Image"),
    (torch.full((1, 5, 6, 3), 255, dtype=torch.int64), "Image"),
    (torch.zeros(1, 1, 5, 6), "Mask"),
    (torch.zeros(1, 5, 6, 1), "Mask"),
    (torch.zeros(5, 6, dtype=torch.bool), "Mask"),
]


@pytest.mark.parametrize(("value", "kind"), DOUBTFUL)
def test_what_is_doubtful_is_told_what_to_write_and_that_is_right(
    value: Any, kind: PictureType
) -> None:
    assert to_image_tensor(value, kind) is None
    assert not is_of_type(value, named_type(kind))
    written = re.findall(r"`(.*?)`", conversion_hint(value, kind))
    found = eval(written[0], {"torch": torch, "value": value})
    assert is_of_type(found, named_type(kind))
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_range_that_only_its_author_knows_is_asked_about() -> None:
    assert "if its 255 is on a scale of 0 to 255" in conversion_hint(
        np.full((5, 6, 3), 255.0), "Image"
    )
    assert "Mode F" in conversion_hint(PIL.Image.new("F", (2, 2)), "Image")
    assert "getchannel" in conversion_hint(PIL.Image.fromarray(RGBA), "Mask")
    several = "Declare `-> list[Image]` for several."
    assert (
        conversion_hint([PIL.Image.fromarray(RGB)], "Image")
        == conversion_hint([RGB, RGB], "Image")
        == several
    )


@pytest.mark.parametrize("value", ["a.png", None, [], np.array(["a"]), np.zeros((2, 3, 4, 5, 6))])
def test_of_what_is_no_picture_nothing_is_said(value: Any) -> None:
    assert to_image_tensor(value, "Image") is None
    assert conversion_hint(value, "Image") == ""
