"""Pictures in rows, with a label over each column and before each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue
from nodegraph.images.room import check_room, sheet_bytes
from nodegraph.images.sheets import INK, MAX_CAPTION, MAX_PIXELS, PAPER

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont
    from torch import Tensor

_SIDE = 6
"""Pixels around a label."""


def labelled_grid(
    images: Sequence[Tensor],
    columns: Sequence[str],
    rows: Sequence[str],
    *,
    column_title: str = "",
    row_title: str = "",
    gap: int = 4,
) -> Tensor:
    """Pictures row by row, on white, each in the middle of a cell as large as the largest.

    Args:
        images: Each (batch, height, width, channels); a batch counts as that many pictures.
        columns, rows: Labels; those that don't fit are cut short.
        column_title, row_title: What the labels are of.
        gap: Pixels between cells.
    Returns:
        float32 in 0..1, shape (1, height, width, 3).
    Raises:
        InvalidValue: There are not as many pictures as cells, or the grid gets too large.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageDraw, ImageFont

    from nodegraph.images.images import to_pil

    pictures = [to_pil(item).convert("RGB") for image in images for item in image]
    across, down = len(columns), len(rows)
    if not pictures or len(pictures) != across * down:
        raise InvalidValue(
            "there are not as many pictures as pairs of a column and a row",
            port="images",
            given=str(len(pictures)),
            expected=f"{across} x {down}",
        )
    cell = max(item.width for item in pictures), max(item.height for item in pictures)
    letters = min(24, max(12, cell[1] // 10))
    font = ImageFont.load_default(letters)
    line = letters + 2 * _SIDE
    labels = [_cut(text, font, cell[0]) for text in columns]
    # Labels of rows get as much room as they need, within a picture's width.
    names = [_cut(text, font, cell[0]) for text in rows]
    left = round(max(map(font.getlength, names), default=0)) + 2 * _SIDE
    title = _cut(row_title, font, cell[1] * down)
    left += line if title else 0
    top = line * (2 if column_title else 1)
    width = left + across * (cell[0] + gap) - gap
    height = top + down * (cell[1] + gap) - gap
    _check_size(width, height)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for at, picture in enumerate(pictures):
        x = left + at % across * (cell[0] + gap) + (cell[0] - picture.width) // 2
        y = top + at // across * (cell[1] + gap) + (cell[1] - picture.height) // 2
        sheet.paste(picture, (x, y))
    if column_title:
        _middle(draw, _cut(column_title, font, width - left), ((left + width) / 2, line / 2), font)
    for at, text in enumerate(labels):
        _middle(draw, text, (left + at * (cell[0] + gap) + cell[0] / 2, top - line / 2), font)
    for at, text in enumerate(names):
        middle = top + at * (cell[1] + gap) + cell[1] / 2
        draw.text((left - _SIDE, middle), text, fill=INK, font=font, anchor="rm")
    if title:
        upright = Image.new("RGB", (height - top, line), PAPER)
        _middle(ImageDraw.Draw(upright), title, (upright.width / 2, line / 2), font)
        sheet.paste(upright.transpose(Image.Transpose.ROTATE_90), (0, top))
    values = np.asarray(sheet).astype(np.float32)
    values /= np.float32(255)
    return torch.from_numpy(values)[None]


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InvalidValue(
            "the pictures together are too large",
            port="images",
            given=f"{width} x {height} pixels",
            expected=f"at most {MAX_PIXELS:,} pixels",
            hint="Put fewer together, or make them smaller before.",
        )
    check_room(width, height, 1, sheet_bytes(width, height), port="images")


def _cut(text: str, font: FreeTypeFont | ImageFont, width: float) -> str:
    """A text in one line, cut short where it doesn't fit."""
    text = " ".join(text[:MAX_CAPTION].split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _middle(
    draw: ImageDraw, text: str, place: tuple[float, float], font: FreeTypeFont | ImageFont
) -> None:
    draw.text(place, text, fill=INK, font=font, anchor="mm")
