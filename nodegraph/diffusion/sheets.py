"""Several pictures side by side in one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.diffusion.images import to_pil
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from torch import Tensor

MAX_PIXELS = 2**28
MAX_CAPTION = 500
"""Letters of a caption that are looked at; more never fit."""
PAPER, INK = "#ffffff", "#1f2328"


def contact_sheet(
    images: Sequence[Tensor], *, columns: int = 0, gap: int = 4, captions: Sequence[str] = ()
) -> Tensor:
    """Pictures in rows, on white, each in the middle of a cell as large as the largest.

    Args:
        images: Each (batch, height, width, channels); a batch counts as that many pictures.
        columns: Pictures in a row; 0 makes the sheet about square.
        gap: Pixels between cells.
        captions: Texts under the pictures, in their order; fewer than pictures is fine.
    Returns:
        float32 in 0..1, shape (1, height, width, 3).
    Raises:
        InvalidValue: There is no picture, or the sheet gets too large.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

    captions = [" ".join(caption[:MAX_CAPTION].split()) for caption in captions]
    pictures = [to_pil(item).convert("RGB") for image in images for item in image]
    if not pictures:
        raise InvalidValue("there are no pictures to put together", port="images")
    columns = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    rows = math.ceil(len(pictures) / columns)
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    line = _line_height(height) if any(captions) else 0
    size = (columns * (width + gap) - gap, rows * (height + line + gap) - gap)
    if size[0] * size[1] > MAX_PIXELS:
        raise InvalidValue(
            "the pictures together are too large",
            port="images",
            given=f"{size[0]} x {size[1]} pixels",
            expected=f"at most {MAX_PIXELS:,} pixels",
        )
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        left = index % columns * (width + gap)
        top = index // columns * (height + line + gap)
        inset = ((width - picture.width) // 2, (height - picture.height) // 2)
        sheet.paste(picture, (left + inset[0], top + inset[1]))
        if index < len(captions) and captions[index]:
            _write(draw, captions[index], (left, top + height), width, line)
    return torch.from_numpy(np.asarray(sheet).astype(np.float32) / np.float32(255))[None]


def _line_height(cell: int) -> int:
    """Pixels for a caption under cells of some height."""
    return min(28, max(14, cell // 12))


def _write(draw: ImageDraw, text: str, place: tuple[int, int], width: int, line: int) -> None:
    """Write one line in the middle of a strip, cut short where it doesn't fit."""
    from PIL import ImageFont

    font = ImageFont.load_default(line * 0.7)
    if draw.textlength(text, font=font) > width:
        while text and draw.textlength(f"{text}…", font=font) > width:
            text = text[:-1]
        text = f"{text}…"
    left = place[0] + (width - draw.textlength(text, font=font)) / 2
    draw.text((left, place[1] + line / 2), text, fill=INK, font=font, anchor="lm")
