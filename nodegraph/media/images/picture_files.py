"""What there is to know of picture files before they are decoded. Imports no torch."""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image, PngImagePlugin, UnidentifiedImageError

TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""What Pillow raises on pictures of more pixels than its limit."""
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
    *TOO_LARGE,
)
"""What Pillow raises on damaged files, by experience, and on those it finds too large."""
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF tag, and its values for pictures that lie on their side."""
_WAYS = {way: way for way in range(1, 9)}
"""Values of that tag; as in Pillow, a number that equals one counts as it."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


_ENDLESS = 2**62
"""More pixels than a picture can have."""
_NOTES = frozenset((b"tEXt", b"zTXt", b"iTXt", b"eXIf"))


def is_transposed(picture: Image.Image) -> bool:
    """Whether it lies on its side, as its EXIF data says: width and height are exchanged then."""
    return orientation(picture) in _TURNED


def orientation(picture: Image.Image) -> int:
    """How it lies, as its EXIF data says: 1 upright, to 8; see EXIF 2.32, tag 274.

    Data that can't be read say nothing: the pixels are whole all the same.
    """
    try:
        # PNG's own `getexif` would read all pixels, in search of EXIF data behind them.
        return _WAYS.get(Image.Image.getexif(picture).get(_ORIENTATION, 1), 1)
    except DAMAGED:
        return 1


def exif_transpose(picture: Image.Image) -> Image.Image:
    """A copy of a picture, turned as its EXIF data says.

    Unlike `ImageOps.exif_transpose` it takes pictures whose EXIF data can't be read.
    """
    picture.load()  # with EXIF data behind the pixels
    turn = exif_transpose_method(picture)
    return picture.copy() if turn is None else picture.transpose(turn)


def exif_transpose_method(picture: Image.Image) -> Image.Transpose | None:
    """What brings it upright; None where it is."""
    return _TURNS.get(orientation(picture))


class _Raised(int):
    """A limit that was set here; told from one of the same number that a script set meanwhile."""


class _Limit:
    """Pillow's limit of pixels, which is one for all threads, raised while somebody needs it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._wanted: list[float] = []
        self._own: int | None = None

    def raise_to(self, most: float) -> None:
        with self._lock:
            self._wanted.append(most)
            self._set()

    def release(self, most: float) -> None:
        with self._lock:
            self._wanted.remove(most)
            self._set()

    def _set(self) -> None:
        if not isinstance(Image.MAX_IMAGE_PIXELS, _Raised):
            self._own = Image.MAX_IMAGE_PIXELS
        most = max(self._wanted, default=0)
        if self._own is None or most <= self._own:
            Image.MAX_IMAGE_PIXELS = self._own
        else:
            Image.MAX_IMAGE_PIXELS = _Raised(min(most, _ENDLESS))


_LIMIT = _Limit()


@contextmanager
def allow_pixels(most: float) -> Iterator[None]:
    """Have Pillow open and read pictures of so many pixels meanwhile.

    Whoever opens them checks that they aren't more. Where Pillow's own limit is higher, or was
    taken away, it stays so; it is back once nobody needs another.
    """
    _LIMIT.raise_to(most)
    try:
        yield
    finally:
        _LIMIT.release(most)


def open_header(path: Path, formats: Iterable[str]) -> Image.Image:
    """As `Image.open`, for a picture of any size: whoever reads its pixels looks at that first.

    Args:
        formats: Names of Pillow's.
    Raises:
        UnidentifiedImageError: It is no picture of these formats.
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        start = file.read(16)
    Image.init()
    try:
        return _opened(path, start, formats)
    except TOO_LARGE:
        # For WebP and GIF Pillow asks its limit as it opens them. It is taken away for these alone,
        # as it is other threads' as well.
        with allow_pixels(math.inf):
            return _opened(path, start, formats)


def _opened(path: Path, start: bytes, formats: Iterable[str]) -> Image.Image:
    for name in formats:
        opened: Any
        opened, accepts = Image.OPEN.get(name, (None, None))
        try:
            # A text says that this Pillow can't read such files.
            is_its_own = opened is not None and (accepts is None or accepts(start))
            if is_its_own and not isinstance(is_its_own, str):
                picture: Image.Image = opened(str(path), str(path))
                return picture
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    raise UnidentifiedImageError(f"cannot identify image file {str(path)!r}")


def read_png_metadata(path: Path) -> PngImagePlugin.PngStream:
    """The texts and the EXIF data of a PNG, also those behind its pixels, which aren't read.

    Of one that is cut short what stands before its end.

    Raises:
        One of `DAMAGED`: They are damaged or too long.
    """
    with path.open("rb") as file:
        file.seek(8)
        chunks = PngImagePlugin.PngStream(file)
        while True:
            try:
                kind, offset, length = chunks.read()
            except (struct.error, SyntaxError):
                return chunks
            if kind in _NOTES:
                chunks.crc(kind, chunks.call(kind, offset, length))
            elif kind == b"IEND":
                return chunks
            else:
                file.seek(length + 4, os.SEEK_CUR)


def load_trailing_exif(opened: Image.Image, path: Path) -> None:
    """Have EXIF data known that stand behind the pixels of a PNG, of which none is read."""
    if isinstance(opened, PngImagePlugin.PngImageFile) and "exif" not in opened.info:
        opened.info |= read_png_metadata(path).im_info
