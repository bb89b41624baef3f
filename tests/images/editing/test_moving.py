"""Places and sizes against Pillow and numpy, and by what must hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from nodegraph.errors import InvalidValue
from nodegraph.media.images import memory_checks as room
from nodegraph.media.images.editing import transforms as moving
from nodegraph.media.images.editing.transforms import anchor_position, crop_box, rotated_size
from nodegraph.media.images.resizing import fitted_size, resize_image, scaled_size
from tests.messages import raises
from tests.properties import examples

PICTURE = torch.rand(2, 5, 8, 3, generator=torch.Generator().manual_seed(3))
BLACK = (0.0, 0.0, 0.0, 1.0)
CLEAR = (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("axis", ["horizontal", "vertical", "both"])
def test_two_flips_are_none(axis: moving.Axis) -> None:
    once = moving.flip(PICTURE, axis)
    assert not torch.equal(once, PICTURE)
    assert torch.equal(moving.flip(once, axis), PICTURE)


def test_four_right_angles_are_none() -> None:
    turned = PICTURE
    for _ in range(4):
        turned = moving.rotate(turned, 90, expand=True, color=BLACK)
    assert torch.equal(turned, PICTURE)
    once = moving.rotate(PICTURE, 90, expand=True, color=BLACK)
    assert torch.equal(once[:, 0, -1], PICTURE[:, 0, 0])  # clockwise
    assert torch.equal(moving.rotate(PICTURE, -270, expand=True, color=BLACK), once)


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(-720, 720))
@example(3, 17, 179.99999999999997)
@example(24, 19, 89.99999999999999)
def test_turned_pictures_are_as_large_as_those_of_pillow(
    width: int, height: int, angle: float
) -> None:
    size = Image.new("L", (width, height)).rotate(-angle, expand=True).size
    assert rotated_size((width, height), angle, expand=True) == size
    made = moving.rotate(torch.rand(1, height, width, 1), angle, expand=True, color=BLACK)
    assert (made.shape[2], made.shape[1]) == size


def test_corners_of_a_turned_picture_are_clear() -> None:
    made = moving.rotate(PICTURE, 45, expand=True, color=CLEAR)
    assert made.shape[-1] == 4
    assert made[0, 0, 0, 3] == 0
    assert made[0, made.shape[1] // 2, made.shape[2] // 2, 3] == 1


@pytest.mark.parametrize("border", ["edge", "reflect", "wrap"])
@pytest.mark.parametrize("around", [(1, 2, 3, 4), (9, 0, 0, 13)])
def test_borders_are_those_of_numpy(border: moving.Border, around: tuple[int, ...]) -> None:
    left, top, right, bottom = around
    made = moving.pad(PICTURE, left, top, right, bottom, border, BLACK)
    pads = ((0, 0), (top, bottom), (left, right), (0, 0))
    assert np.array_equal(made.numpy(), np.pad(PICTURE.numpy(), pads, mode=border))  # type: ignore[call-overload]


def test_what_is_padded_is_cropped_back() -> None:
    made = moving.pad(PICTURE, 3, 1, 2, 4, "color", (1.0, 0.5, 0.0, 1.0))
    assert made[0, 0, 0].tolist() == [1, 0.5, 0]
    assert torch.equal(moving.crop(made, (8, 5), "top left", 3, 1), PICTURE)
    assert torch.equal(moving.crop(made, (8, 5), "bottom right", 2, 4), PICTURE)


@pytest.mark.parametrize(
    ("size", "anchor", "x", "y", "box"),
    [
        ((4, 2), "center", 0, 0, (2, 1, 6, 3)),
        ((4, 2), "right", 1, 0, (3, 1, 7, 3)),
        ((0, 0), "top left", 3, 1, (3, 1, 8, 5)),
        ((0, 2), "bottom", 0, 0, (0, 3, 8, 5)),
        ((99, 99), "center", 0, 0, (0, 0, 8, 5)),
        ((4, 4), "top left", -2, -1, (0, 0, 2, 3)),
    ],
)
def test_a_crop_keeps_as_much_as_there_is(
    size: tuple[int, int], anchor: str, x: int, y: int, box: tuple[int, ...]
) -> None:
    assert crop_box((8, 5), size, anchor, x, y) == box  # type: ignore[arg-type]


def test_a_crop_beside_the_picture_is_refused() -> None:
    with raises(InvalidValue, port="x", given="8, 0 in an image of 8 x 5 pixels"):
        crop_box((8, 5), (2, 2), "top left", 8, 0)
    assert anchor_position((8, 5), (2, 3), "bottom right", 1, 1) == (5, 1)


def test_a_shift_leads_back() -> None:
    made = moving.shift(PICTURE, 3, -1)
    assert torch.equal(made[:, 0, 3], PICTURE[:, 1, 0])
    assert torch.equal(moving.shift(made, -3, 1), PICTURE)


def test_repeated_pictures_meet_their_like_where_they_are_mirrored() -> None:
    plain = moving.repeat(PICTURE, 3, 2, mirror=False)
    assert torch.equal(plain, PICTURE.repeat(1, 2, 3, 1))
    made = moving.repeat(PICTURE, 3, 2, mirror=True)
    assert torch.equal(made[:, :, 7], made[:, :, 8])
    assert torch.equal(made[:, 4], made[:, 5])


def test_corners_that_stay_change_nothing() -> None:
    made = moving.warp(PICTURE, moving.parse_corners("0,0 1,0 1,1 0,1"), BLACK)
    torch.testing.assert_close(made, PICTURE, rtol=0, atol=1e-5)
    turned = moving.warp(PICTURE, moving.parse_corners("1,0 0,0 0,1 1,1"), BLACK, "nearest")
    assert torch.equal(turned, moving.flip(PICTURE, "horizontal"))
    with raises(InvalidValue, port="corners"):
        moving.warp(PICTURE, moving.parse_corners("0,0 0.5,0 1,0 0,1"), BLACK)
    with raises(InvalidValue, port="corners", given="'0,0 1,0 1,1'"):
        moving.parse_corners("0,0 1,0 1,1")


@pytest.mark.parametrize(
    ("fit", "goal", "sizes"),
    [
        ("stretch", (30, 30), ((30, 30), (30, 30))),
        ("pad", (30, 30), ((30, 30), (30, 15))),
        ("inside", (30, 30), ((30, 15), (30, 15))),
        ("outside", (30, 30), ((60, 30), (60, 30))),
        ("inside", (30, 0), ((30, 15), (30, 15))),
    ],
)
def test_fits(fit: str, goal: tuple[int, int], sizes: tuple[tuple[int, int], ...]) -> None:
    assert fitted_size((100, 50), *goal, fit=fit) == sizes  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("by", "amount", "size"),
    [
        ("factor", 0.5, (50, 25)),
        ("longer side", 64, (64, 32)),
        ("shorter side", 64, (128, 64)),
        ("width", 64, (64, 32)),
        ("height", 64, (128, 64)),
        ("megapixels", 2, (2048, 1024)),
    ],
)
def test_proportions_are_kept(by: str, amount: float, size: tuple[int, int]) -> None:
    assert scaled_size((100, 50), by, amount) == size  # type: ignore[arg-type]


def test_sides_become_multiples() -> None:
    assert scaled_size((100, 50), "factor", 1, 64) == (128, 64)
    assert fitted_size((3, 3), 100, 20, multiple=32)[0] == (96, 32)
    assert fitted_size((3, 3), 16384, 9, multiple=1000)[0] == (16000, 1000)


def test_padding_puts_the_picture_into_the_middle() -> None:
    made = resize_image(torch.ones(1, 4, 8, 3), 8, 8, fit="pad", fill=CLEAR)
    assert made[0, :, 0, 3].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]


def test_what_has_no_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "total_memory", lambda: 1 << 20)
    with raises(InvalidValue, port="left"):
        moving.pad(PICTURE, 9000, 9000, 0, 0, "edge", BLACK)
    with raises(InvalidValue, port="columns"):
        moving.repeat(PICTURE, 256, 256, mirror=False)
