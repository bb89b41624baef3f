"""Text and labeled boxes drawn on images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.colors import Color, paint
from nodegraph.media.images.editing.fills import draw_shape
from nodegraph.media.images.editing.pixel_formats import map_images, with_channels
from nodegraph.media.images.editing.transforms import Anchor, anchor_position
from nodegraph.media.images.input_files import missing_file_error

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from torch import Tensor

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""

_DARK = 0.5
"""Brightness up to which letters on a color are white."""


def draw_boxes(
    image: Tensor,
    boxes: Sequence[Box],
    labels: Sequence[str],
    color: Color,
    *,
    line: float,
    size: float,
) -> Tensor:
    """Images with boxes on them, and a label at the upper left corner of each.

    Args:
        labels: For the boxes in their order; those that are left over have none.
        line: Pixels of the boxes' lines; 0 fills them.
        size: Height of the labels' letters in pixels.
    Returns:
        Gray becomes colors where the color isn't gray.
    """
    if image.shape[-1] == 1 and len(set(color[:3])) > 1:
        image = with_channels(image, 3)
    drawn = image.clone()
    for box in boxes:
        _drawn_within(drawn, box, color, line)
    ink = 1.0 if sum(color[:3]) / 3 <= _DARK else 0.0
    style = TextStyle(size, (ink, ink, ink, 1.0), background=(*color[:3], 1.0), margin=2)
    for box, label in zip(boxes, labels, strict=False):
        corner = max(0, floor(box[0])), max(0, floor(box[1]))
        if label.strip() and corner[0] < image.shape[2] and corner[1] < image.shape[1]:
            x, y = corner
            drawn = draw_text(drawn, label, style, anchor="top left", x=x, y=y, wrap=False)
    return drawn


def _drawn_within(image: Tensor, box: Box, color: Color, line: float) -> None:
    """Draw on the part alone that the box lies in: of a large image the rest is left."""
    height, width = image.shape[1:3]
    x, y, wide, high = box
    left, top = max(0, floor(x - line)), max(0, floor(y - line))
    right, bottom = min(width, ceil(x + wide + line)), min(height, ceil(y + high + line))
    if left < right and top < bottom:
        part = image[:, top:bottom, left:right]
        moved = (x - left, y - top, wide, high)
        image[:, top:bottom, left:right] = draw_shape(part, "rectangle", moved, color, line, 0.0)


Align = Literal["left", "center", "right"]
_LONGEST = 20_000
"""Letters of a text; more never fit."""


@dataclass(frozen=True)
class TextStyle:
    """How words look.

    Attributes:
        font: A TrueType or OpenType file; None for Pillow's own.
        size: Height of letters, in pixels.
        color, outline, background: Of letters, of the line around them and of the box behind.
        outline_width, margin: Pixels; the margin is that of the box.
        line_spacing: Height of lines, as a share of the letters' size.
    """

    size: float = 32
    color: Color = (1.0, 1.0, 1.0, 1.0)
    font: Path | None = None
    outline: Color = (0.0, 0.0, 0.0, 1.0)
    outline_width: int = 0
    background: Color | None = None
    margin: int = 0
    align: Align = "left"
    line_spacing: float = 1.2


def load_font(path: Path | None, size: float, *, names: bool = True) -> FreeTypeFont:
    """A font at a size.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, or no font.
    """
    from PIL import ImageFont

    if path is None:
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font
    if not path.is_file():
        raise missing_file_error(path, names=names)
    try:
        with path.open("rb") as file:
            return ImageFont.truetype(file, size)
    except OSError as error:
        raise InvalidFile(
            f"{path} is not a readable font", expected="a .ttf or .otf file"
        ) from error


def draw_text(
    image: Tensor,
    text: str,
    style: TextStyle,
    *,
    anchor: Anchor = "bottom",
    x: int = 0,
    y: int = 0,
    wrap: bool = True,
    names: bool = True,
) -> Tensor:
    """Images with words on them; letters are smooth, pixels beside them keep their bits.

    Args:
        anchor, x, y: Where the text lies, see `placed`.
        wrap: Break lines that are longer than the image.
        names: See `load_font`.
    Returns:
        Gray becomes colors where those of the text aren't gray; alpha becomes as opaque as the
        text is.
    Raises:
        InvalidFile, InvalidValue: The font can't be read, or the text is too long.
    """
    if len(text) > _LONGEST:
        raise InvalidValue(
            "the text is too long to draw",
            port="text",
            given=f"{len(text):,} letters",
            expected=f"at most {_LONGEST:,}",
        )
    if not text.strip():
        return map_images(image, lambda item: item)
    size = (image.shape[2], image.shape[1])
    font = load_font(style.font, style.size, names=names)
    room = size[0] - 2 * (style.margin + style.outline_width + abs(x))
    lines = _wrapped(text, font, room) if wrap else text
    layers = _layers(lines, font, style, size, anchor, x, y)
    used = [color for color, share in layers if share.any()]
    if image.shape[-1] == 1 and any(len(set(color[:3])) > 1 for color in used):
        image = with_channels(image, 3)

    def work(item: Tensor) -> Tensor:
        for color, share in layers:
            goal = paint((*color[:3], 1.0), item.shape[-1])
            item = item * (1 - share * color[3]) + goal * (share * color[3])
        return item

    return map_images(image, work)


def _wrapped(text: str, font: FreeTypeFont, width: int) -> str:
    """Lines broken between words; a word that is longer than a line stands alone."""
    done: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and font.getlength(longer) > width:
                done.append(line)
                line = word
            else:
                line = longer
        done.append(line)
    return "\n".join(done)


def _layers(
    text: str,
    font: FreeTypeFont,
    style: TextStyle,
    size: tuple[int, int],
    anchor: Anchor,
    x: int,
    y: int,
) -> list[tuple[Color, Tensor]]:
    """Colors and how much each covers, from below: box, outline, letters; (height, width, 1)."""
    from PIL import Image, ImageDraw

    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    spacing = (style.line_spacing - 1) * style.size
    options = {"font": font, "align": style.align, "spacing": spacing}
    box = measure.multiline_textbbox(
        (0, 0),
        text,
        stroke_width=style.outline_width,
        **options,  # type: ignore[arg-type]
    )
    width = round(box[2] - box[0]) + 2 * style.margin
    height = round(box[3] - box[1]) + 2 * style.margin
    left, top = anchor_position(size, (width, height), anchor, x, y)
    origin = (left + style.margin - box[0], top + style.margin - box[1])
    layers: list[tuple[Color, Tensor]] = []
    if style.background is not None:
        sheet = Image.new("L", size)
        ImageDraw.Draw(sheet).rectangle((left, top, left + width - 1, top + height - 1), 255)
        layers.append((style.background, _share(sheet)))
    for color, stroke in ((style.outline, style.outline_width), (style.color, 0)):
        if color is style.color or stroke:
            sheet = Image.new("L", size)
            ImageDraw.Draw(sheet).multiline_text(
                origin,
                text,
                255,
                stroke_width=stroke,
                **options,  # type: ignore[arg-type]
            )
            layers.append((color, _share(sheet)))
    return layers


def _share(sheet: object) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.array(sheet, dtype=np.float32) / np.float32(255))[..., None]
