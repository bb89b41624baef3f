"""The images in a value, for Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.images import to_pil
from nodegraph.media.images.pillow_conversion import Pictures, has_pictures
from tests.messages import raises

RED = torch.tensor([1.0, 0.0, 0.0]).expand(2, 4, 6, 3)
MASK = torch.full((1, 4, 6), 0.5)


def test_a_batch_holds_a_picture_for_each() -> None:
    found = Pictures("decode", RED)
    assert len(found) == 2
    assert found.at(-1).getpixel((0, 0)) == (255, 0, 0)
    assert [picture.size for picture in found] == [(6, 4), (6, 4)]


def test_masks_are_grey_and_lists_are_gone_through() -> None:
    found = Pictures("parts", [RED, [MASK]])
    assert [picture.mode for picture in found] == ["RGB", "RGB", "L"]
    assert found.at(2).getpixel((0, 0)) == 128


def test_a_file_is_opened(tmp_path: Path) -> None:
    to_pil(RED[0]).save(tmp_path / "red.png")
    assert Pictures("save", [tmp_path / "red.png"]).at(0).getpixel((5, 3)) == (255, 0, 0)


def test_files_of_a_result_have_so_many_pixels_as_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_pil(RED[0]).save(tmp_path / "red.png")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 4)
    assert Pictures("save", [tmp_path / "red.png"], max_pixels=24).at(0).size == (6, 4)
    with raises(InvalidFile, given="6 x 4 pixels"):
        Pictures("save", [tmp_path / "red.png"], max_pixels=23).at(0)


def test_a_number_that_none_has_is_told_with_those_that_there_are() -> None:
    with raises(InvalidValue, given="2"):
        Pictures("decode", RED).at(2)


@pytest.mark.parametrize("value", [3, "text", [], torch.zeros(4), torch.zeros((1, 8, 4, 5)), None])
def test_what_has_no_picture_is_told_so(value: Any) -> None:
    assert not has_pictures(value)
    with raises(InvalidValue):
        Pictures("size", value)
