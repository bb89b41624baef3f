"""Words, shapes and images of nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images import memory_checks as room
from nodegraph.media.images.colors import parse_color
from nodegraph.media.images.editing import fills
from nodegraph.media.images.editing.annotations import TextStyle, draw_text
from tests.messages import raises

GREY = torch.full((2, 40, 90, 3), 0.5)
WHITE, RED, BLUE = parse_color("white"), parse_color("red"), parse_color("blue")


def inked(image: Tensor, ground: Tensor = GREY) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what was drawn on."""
    rows, columns = torch.nonzero((image[0] != ground[0]).any(-1), as_tuple=True)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.mark.parametrize(
    ("anchor", "left", "top"),
    [("top left", True, True), ("bottom right", False, False), ("top right", False, True)],
)
def test_words_lie_where_they_belong(anchor: str, left: bool, top: bool) -> None:
    made = draw_text(GREY, "Hi", TextStyle(size=12), anchor=anchor, x=5, y=4)  # type: ignore[arg-type]
    box = inked(made)
    # Letters may be narrower than their box by part of a pixel.
    assert abs(box[0] - 5 if left else box[2] - 84) <= 1
    assert abs(box[1] - 4 if top else box[3] - 35) <= 1
    assert torch.equal(made[0], made[1])


def test_box_outline_and_letters_lie_above_each_other() -> None:
    style = TextStyle(size=20, color=WHITE, outline=RED, outline_width=2, background=BLUE, margin=6)
    made = draw_text(GREY, "I", style, anchor="center")
    found = {tuple(pixel) for pixel in made[0].reshape(-1, 3).tolist()}
    assert {(1, 1, 1), (1, 0, 0), (0, 0, 1), (0.5, 0.5, 0.5)} <= found


def test_long_lines_are_broken_between_words() -> None:
    style = TextStyle(size=10)
    whole = inked(draw_text(GREY, "one two three four five six", style, anchor="top", wrap=True))
    assert whole[0] >= 0
    assert whole[2] < 90
    assert whole[3] - whole[1] > 14


def test_words_on_grey_and_on_transparency() -> None:
    grey, clear = torch.zeros(1, 20, 40, 1), torch.zeros(1, 20, 40, 4)
    style = TextStyle(size=14)
    assert draw_text(grey, "x", style).shape[-1] == 1
    assert draw_text(grey, "x", TextStyle(size=14, color=RED)).shape[-1] == 3
    made = draw_text(clear, "x", style)
    assert float(made[..., 3].max()) > 0.9
    assert torch.equal(draw_text(GREY, " \n", style), GREY)


def test_a_color_that_is_not_opaque_lets_the_picture_through() -> None:
    style = TextStyle(size=30, color=(1.0, 1.0, 1.0, 0.5))
    assert float(draw_text(GREY, "I", style, anchor="center").max()) == pytest.approx(0.75)


def test_what_is_no_font_is_told(tmp_path: Path) -> None:
    for name, content in (("missing.ttf", None), ("words.ttf", "no font")):
        path = tmp_path / name
        if content:
            path.write_text(content)
        with pytest.raises(InvalidFile):
            draw_text(GREY, "x", TextStyle(font=path))
    with raises(InvalidValue, port="text", given="30,000 letters"):
        draw_text(GREY, "x" * 30_000, TextStyle())


@pytest.mark.parametrize("kind", ["rectangle", "ellipse"])
def test_shapes_fill_their_box_and_leave_the_rest(kind: fills.ShapeKind) -> None:
    made = fills.draw_shape(GREY, kind, (10, 5, 30, 20), RED, 0, 0)
    assert inked(made) == (10, 5, 39, 24)
    assert made[0, 15, 25].tolist() == [1, 0, 0]
    hollow = fills.draw_shape(GREY, kind, (10, 5, 30, 20), RED, 2, 0)
    assert hollow[0, 15, 25].tolist() == [0.5, 0.5, 0.5]
    assert torch.equal(fills.draw_shape(GREY, kind, (10, 5, -3, 20), RED, 0, 0), GREY)


def test_a_line_goes_from_corner_to_corner() -> None:
    made = fills.draw_shape(GREY, "line", (80, 5, -60, 30), BLUE, 1, 0)
    assert made[0, 20, 50, 2] > made[0, 20, 50, 0]
    assert torch.equal(made[:, :, :19], GREY[:, :, :19])


def test_gradients_lead_from_color_to_color() -> None:
    across = fills.draw_gradient(9, 2, (RED, BLUE), "linear", 0)
    assert across.shape == (1, 2, 9, 3)
    assert across[0, 0, 4].tolist() == pytest.approx([0.5, 0, 0.5])
    down = fills.draw_gradient(2, 9, (RED, BLUE), "linear", 90)
    torch.testing.assert_close(down[0, :, 0], across[0, 0])
    for kind in ("radial", "diamond"):
        made = fills.draw_gradient(9, 9, (RED, BLUE), kind, 0)  # type: ignore[arg-type]
        assert made[0, 4, 4].tolist() == pytest.approx([1, 0, 0])
        assert made[0, 0, 0, 2] > 0.8
    clear = fills.draw_gradient(5, 5, (RED, (0.0, 0.0, 0.0, 0.0)), "angular", 0)
    assert clear.shape[-1] == 4


@pytest.mark.parametrize("kind", ["checker", "stripes", "grid", "dots"])
def test_patterns_repeat(kind: fills.PatternKind) -> None:
    made = fills.draw_pattern(24, 16, kind, 4, WHITE, BLUE)
    assert torch.equal(made[:, :8, :8], made[:, 8:, 8:16])
    assert {tuple(pixel) for pixel in made.reshape(-1, 3).tolist()} == {(1, 1, 1), (0, 0, 1)}


@pytest.mark.parametrize("kind", ["uniform", "gaussian", "clouds"])
@pytest.mark.parametrize("size", [(1, 1), (17, 9)])
def test_noise_goes_by_seed_and_place(kind: fills.NoiseKind, size: tuple[int, int]) -> None:
    made = fills.draw_noise(*size, kind, 8, 3, 2, in_color=True)
    other = fills.draw_noise(*size, kind, 8, 4, 1, in_color=True)
    assert made.shape == (2, size[1], size[0], 3)
    assert torch.equal(made[1:], other)
    grey = fills.draw_noise(*size, kind, 8, 3, 1, in_color=False)
    assert torch.equal(grey[..., 0], grey[..., 2])
    assert 0 <= float(made.min()) <= float(made.max()) <= 1


def test_one_color_is_as_many_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fills.solid(3, 2, RED, 4).shape == (4, 2, 3, 3)
    assert fills.solid(3, 2, (0.0, 0.0, 0.0, 0.0), 1).shape[-1] == 4
    monkeypatch.setattr(room, "total_memory", lambda: 1 << 20)
    with raises(InvalidValue, port="width", given="4096 x 4096 pixels: about 1.1 GB"):
        fills.solid(4096, 4096, RED, 1)
