"""Contact sheets with the prompt under each picture."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from training.pixels import Pixels

_LINE = 11
"""Height in pixels of a line of words."""
_LETTER = 5.3
"""Mean width in pixels of a letter of Pillow's default font at its usual size."""
_LINES = 3
_GAP = 4
_MARK = (220, 30, 30)


@dataclass(frozen=True)
class Tile:
    """A picture, (height, width, 3), the words under it, and whether it is marked by a frame."""

    picture: Pixels
    words: str
    marked: bool = False


def captioned_sheet(tiles: Sequence[Tile], columns: int) -> Image.Image:
    """Rows of pictures of one size, each with up to three lines of words under it."""
    height, width = tiles[0].picture.shape[:2]
    across, down = width + _GAP, height + _LINES * _LINE + _GAP
    rows = -(-len(tiles) // columns)
    page = Image.new("RGB", (columns * across + _GAP, rows * down + _GAP), (255, 255, 255))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=10)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left, top = _GAP + column * across, _GAP + row * down
        page.paste(Image.fromarray(tile.picture), (left, top))
        if tile.marked:
            box = (left - 2, top - 2, left + width + 1, top + height + 1)
            pen.rectangle(box, outline=_MARK, width=2)
        for line, words in enumerate(_lines(tile.words, int(width / _LETTER))):
            place = (left, top + height + line * _LINE)
            pen.text(place, words, fill=_MARK if tile.marked else (0, 0, 0), font=font)
    return page


def _lines(words: str, letters: int) -> list[str]:
    """At most three lines; what does not fit is cut."""
    lines = textwrap.wrap(words or "(empty)", max(4, letters)) or [""]
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], lines[_LINES - 1][:-1] + "…"]
    return lines
