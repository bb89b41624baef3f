"""Finding the colour emoji font and drawing its glyphs."""

import hashlib
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FILE_NAME = "NotoColorEmoji.ttf"
STRIKE = 109
"""The one pixel size at which the bitmap font has glyphs."""
_CANVAS = 160
_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path.home() / ".local/share/fonts",
    Path.home() / ".fonts",
)


def find_font(configured: str = "") -> Path | None:
    """The font file: the configured one, else the first in the usual folders, else None."""
    if configured:
        return Path(configured)
    for folder in _FOLDERS:
        for path in sorted(folder.rglob(FILE_NAME)) if folder.is_dir() else ():
            return path
    return None


def require_font(configured: str = "") -> Path:
    """As `find_font`.

    Raises:
        FileNotFoundError: the font is not installed; says how to get it.
    """
    path = find_font(configured)
    if path is None or not path.is_file():
        raise FileNotFoundError(
            f"{configured or FILE_NAME} not found. Install it (Debian and Ubuntu: "
            "apt install fonts-noto-color-emoji) or set data.font in the config."
        )
    return path


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def glyph(font: Path, code_point: int) -> Image.Image:
    """One glyph, cut to its ink and centred on a transparent square; mode RGBA, about 128 px.

    Raises:
        ValueError: the font draws nothing for this code point.
    """
    face = ImageFont.truetype(str(font), STRIKE)
    canvas = Image.new("RGBA", (_CANVAS, _CANVAS), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((8, 8), chr(code_point), font=face, embedded_color=True)
    box = canvas.getchannel("A").getbbox()
    if box is None:
        raise ValueError(f"{font.name} has no glyph for U+{code_point:X}")
    ink = canvas.crop(box)
    side = max(ink.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    return square
