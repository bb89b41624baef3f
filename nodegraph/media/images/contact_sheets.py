"""Contact sheets: several images in a grid, with captions and axis labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidValue, at_port
from nodegraph.media.images.colors import color_levels
from nodegraph.media.images.memory_checks import check_memory, sheet_bytes

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont
    from torch import Tensor

    FontChoice = Callable[[str, float], FreeTypeFont]
    """The font of a text, by its size in pixels."""

MAX_PIXELS = 2**28
MAX_CAPTION = 500
"""Letters of a caption that are looked at; more never fit."""
SheetFormat = Literal["png", "webp", "jpeg"]
PAPER, INK = "#ffffff", "#1f2328"
_INSTALLED = (
    # Linux
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "FreeSans.ttf", "NotoSansCJK-Regular.ttc"),
    *("wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf"),
    # macOS
    *("Arial Unicode.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc"),
    # Windows
    *("segoeui.ttf", "msyh.ttc", "meiryo.ttc", "malgun.ttf", "Nirmala.ttf", "seguiemj.ttf"),
)
"""Files of fonts that machines have, those with most scripts first."""
_NO_LETTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class AxisLabels:
    """What is written beside a sheet, each in one line that is cut short where it doesn't fit.

    Attributes:
        columns, rows: Above the columns and before the rows; fewer than there are is fine.
        column_title, row_title: What they are of.
    """

    columns: Sequence[str] = ()
    rows: Sequence[str] = ()
    column_title: str = ""
    row_title: str = ""

    def without_line_breaks(self) -> AxisLabels:
        """The same, each without line breaks."""
        [over, row_title] = _lines((self.column_title, self.row_title))
        return AxisLabels(_lines(self.columns), _lines(self.rows), over, row_title)

    def check(self, pictures: int) -> None:
        """Refuse images that would stand where there is no label.

        Raises:
            InvalidValue: Both sides have labels, and there are more images than pairs of them.
        """
        across, down = len(self.columns), len(self.rows)
        if across and down and pictures > across * down:
            raise InvalidValue(
                "there are more images than combinations of column and row labels",
                port="images",
                given=str(pictures),
                expected=f"at most {across} x {down}",
            )


def contact_sheet(
    images: Sequence[Tensor],
    *,
    columns: int = 0,
    gap: int = 4,
    captions: Sequence[str] = (),
    labels: AxisLabels | None = None,
    paper: str = PAPER,
    ink: str = INK,
) -> Tensor:
    """Arrange images in rows, each centered in a cell of the largest image's size.

    Args:
        images: Each (batch, height, width, channels); every item of a batch is an image.
        columns: Images per row. 0 uses the number of column labels, or makes the sheet about
            square if there are none.
        gap: Pixels between cells.
        captions: Texts under the images, in their order; fewer than images is fine.
        labels: Texts next to the rows and above the columns.
        paper, ink: Colors of the background and of the texts.
    Returns:
        float32 in 0..1, shape (1, height, width, 3).
    Raises:
        InvalidValue: There are no images, or more than the labels allow; the sheet is too large
            or needs more memory than available; or a color is invalid.
    """
    import numpy as np
    import torch

    from nodegraph.media.images.images import to_pil

    count = sum(map(len, images))
    if not count:
        raise InvalidValue("there are no images to combine", port="images")
    labels = (labels or AxisLabels()).without_line_breaks()
    labels.check(count)
    sizes = [image.shape[1:3] for image in images if len(image)]
    cell = max(width for _, width in sizes), max(height for height, _ in sizes)
    layout = _Layout.of(count, cell, columns, gap, labels, has_captions=any(_lines(captions)))
    with at_port("images"):
        pictures = [to_pil(item) for image in images for item in image]
    sheet = _draw(pictures, layout, cell, gap, _lines(captions), labels, paper, ink)
    values = np.asarray(sheet).astype(np.float32)
    values /= np.float32(255)
    return torch.from_numpy(values)[None]


def labeled_sheet(
    rows: Sequence[Sequence[Picture | None]],
    labels: AxisLabels,
    *,
    gap: int = 4,
    installed: Sequence[str] = _INSTALLED,
) -> Picture:
    """Arrange images in rows and columns with labels, without torch.

    Args:
        rows: Images, none where a cell is empty. There is at least one image.
        installed: Files of fonts for labels with letters that the included font lacks.
    Raises:
        InvalidValue: The sheet is too large, or needs more memory than available.
    """
    columns = max(map(len, rows))
    labels = labels.without_line_breaks()
    pictures = [each for row in rows for each in (*row, *[None] * (columns - len(row)))]
    there = [each for each in pictures if each is not None]
    cell = max(each.width for each in there), max(each.height for each in there)
    # Labels of wide, low images are as large as those of square ones.
    line = _line_height(max(cell))
    if any(labels.rows):
        cell = cell[0], max(cell[1], line)
    font = partial(_covering_font, installed=tuple(installed))
    layout = _Layout.of(
        len(pictures), cell, columns, gap, labels, has_captions=False, line=line, font=font
    )
    return _draw(pictures, layout, cell, gap, (), labels, PAPER, INK, font)


def _draw(
    pictures: Sequence[Picture | None],
    layout: _Layout,
    cell: tuple[int, int],
    gap: int,
    captions: Sequence[str],
    labels: AxisLabels,
    paper: str,
    ink: str,
    font: FontChoice | None = None,
) -> Picture:
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", layout.whole, _rgb(paper, "background"))
    choose = font or _included_font
    write = partial(_write, line=layout.line, ink=_rgb(ink, "text_color"), choose=choose)
    draw = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        left, top = layout.cell_corner(index)
        if picture is not None:
            corner = left + (cell[0] - picture.width) // 2, top + (cell[1] - picture.height) // 2
            # Transparent images show the paper.
            mask = picture if picture.mode == "RGBA" else None
            sheet.paste(picture.convert("RGB"), corner, mask)
        if index < len(captions) and captions[index]:
            write(draw, captions[index], (left, top + cell[1]), cell[0])
    for column, text in enumerate(labels.columns[: layout.columns]):
        corner = layout.cell_corner(column)[0], layout.head - layout.line - gap
        write(draw, text, corner, cell[0])
    for row, text in enumerate(labels.rows[: layout.rows]):
        top = layout.cell_corner(row * layout.columns)[1] + (cell[1] - layout.line) // 2
        write(draw, text, (layout.side - layout.room - gap, top), layout.room)
    write(draw, labels.column_title, (layout.side, 0), layout.size[0])
    if labels.row_title:
        upright = Image.new("RGB", (layout.size[1], layout.line), _rgb(paper, "background"))
        write(ImageDraw.Draw(upright), labels.row_title, (0, 0), layout.size[1])
        sheet.paste(upright.transpose(Image.Transpose.ROTATE_90), (0, layout.head))
    return sheet


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where what is on a sheet stands, in pixels.

    Attributes:
        size: Of the images with their captions, all together.
        pitch: From one cell to the next.
        head, side: Above and left of the images, for labels and titles.
        room: Of the side, for the labels of rows.
        line: Height of a text.
    """

    columns: int
    rows: int
    size: tuple[int, int]
    pitch: tuple[int, int]
    head: int
    side: int
    room: int
    line: int

    @classmethod
    def of(
        cls,
        pictures: int,
        cell: tuple[int, int],
        columns: int,
        gap: int,
        labels: AxisLabels,
        *,
        has_captions: bool,
        line: int = 0,
        font: FontChoice | None = None,
    ) -> _Layout:
        line = line or _line_height(cell[1])
        below = line if has_captions else 0
        columns = sheet_columns(pictures, columns or len(labels.columns))
        size = sheet_size(pictures, (cell[0], cell[1] + below), columns=columns, gap=gap)
        choose = font or _included_font
        room = _label_width(labels.rows, line, cell[0], choose) if any(labels.rows) else 0
        return cls(
            columns,
            math.ceil(pictures / columns),
            size,
            (cell[0] + gap, cell[1] + below + gap),
            (line if labels.column_title else 0) + (line + gap if any(labels.columns) else 0),
            (line if labels.row_title else 0) + (room + gap if room else 0),
            room,
            line,
        )

    @property
    def whole(self) -> tuple[int, int]:
        """Of the sheet."""
        return self.size[0] + self.side, self.size[1] + self.head

    def cell_corner(self, index: int) -> tuple[int, int]:
        """Left and top of a cell."""
        row, column = divmod(index, self.columns)
        return self.side + column * self.pitch[0], self.head + row * self.pitch[1]


def _lines(texts: Sequence[str]) -> list[str]:
    return [" ".join(text[:MAX_CAPTION].split()) for text in texts]


def _rgb(color: str, port: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 * value) for value in color_levels(color, port))
    return red, green, blue


def _label_width(labels: Sequence[str], line: int, cell: int, choose: FontChoice) -> int:
    """Pixels for the texts before rows: what the longest takes, and no more than a cell."""
    longest = max(choose(text, line * 0.7).getlength(text) for text in labels)
    return min(cell, math.ceil(longest) + line // 2)


@lru_cache(maxsize=32)
def _font(file: str, size: float) -> FreeTypeFont | None:
    """A font of the machine, or the included one for an empty name; None if there is none."""
    from PIL import ImageFont

    try:
        font = ImageFont.truetype(file, size) if file else ImageFont.load_default(size)
    except OSError:
        return None
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _included_font(text: str, size: float) -> FreeTypeFont:
    """The included font, so that an image is the same on all machines."""
    font = _font("", size)
    assert font is not None
    return font


def _covering_font(text: str, size: float, installed: Sequence[str]) -> FreeTypeFont:
    """The first font with all letters of a text, else that which lacks the fewest."""
    letters = {letter for letter in text if not letter.isspace()}
    best, fewest = _included_font(text, size), len(letters) + 1
    for file in chain([""], installed):
        font = _font(file, size)
        if font is None:
            continue
        missing = sum(_lacks(file, size, letter) for letter in letters)
        if missing < fewest:
            best, fewest = font, missing
        if not missing:
            break
    return best


@lru_cache(maxsize=10_000)
def _lacks(file: str, size: float, letter: str) -> bool:
    """Whether a font shows a letter as it shows one that no font has."""
    font = _font(file, size)
    if font is None:
        return True
    shown, box = font.getmask(letter), font.getmask(_NO_LETTER)
    return shown.size == box.size and bytes(shown) == bytes(box)


def sheet_columns(pictures: int, columns: int) -> int:
    """How many columns there are of so many images, where 0 makes the sheet about square."""
    return min(columns or math.ceil(math.sqrt(pictures)), pictures)


def sheet_size(pictures: int, cell: tuple[int, int], *, columns: int, gap: int) -> tuple[int, int]:
    """Width and height of a sheet, in pixels.

    Args:
        pictures: At least 1.
        cell: Width and height of each, with its caption.
    Raises:
        InvalidValue: It is too large, or takes more memory than there is.
    """
    columns = sheet_columns(pictures, columns)
    rows = math.ceil(pictures / columns)
    width, height = columns * (cell[0] + gap) - gap, rows * (cell[1] + gap) - gap
    if width * height > MAX_PIXELS:
        raise InvalidValue(
            "the images together are too large",
            port="images",
            given=f"{width} x {height} pixels",
            expected=f"at most {MAX_PIXELS:,} pixels",
            hint="Combine fewer images, or put a ResizeImage before this node.",
        )
    check_memory(width, height, 1, sheet_bytes(width, height), port="images")
    return width, height


def _line_height(cell: int) -> int:
    """Pixels for a caption under cells of some height."""
    return min(28, max(14, cell // 12))


def _write(
    draw: ImageDraw,
    text: str,
    corner: tuple[int, int],
    width: int,
    *,
    line: int,
    ink: tuple[int, int, int],
    choose: FontChoice,
) -> None:
    """Write one line in the middle of a strip, cut short where it doesn't fit."""
    font = choose(text, line * 0.7)
    if draw.textlength(text, font=font) > width:
        while text and draw.textlength(f"{text}…", font=font) > width:
            text = text[:-1]
        text = f"{text}…"
    left = corner[0] + (width - draw.textlength(text, font=font)) / 2
    draw.text((left, corner[1] + line / 2), text, fill=ink, font=font, anchor="lm")
