"""What there is to know of picture files before they are decoded. Imports no torch."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    RuntimeError,
)
"""What Pillow raises on damaged files, by experience."""
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF tag, and its values for pictures that lie on their side."""


def is_turned(picture: Image.Image) -> bool:
    """Whether it lies on its side, as its EXIF data says: width and height are exchanged then."""
    return orientation(picture) in _TURNED


def orientation(picture: Image.Image) -> int:
    """How it lies, as its EXIF data says: 1 upright, to 8; see EXIF 2.32, tag 274."""
    return int(picture.getexif().get(_ORIENTATION, 1))
