"""Image files through Pillow: header, EXIF orientation, pixel limit, sRGB, 16-bit PNG.

Pillow has one pixel limit for the whole process and cuts colors to 8 bits; both are worked
around here. Source: PNG Specification, third edition, W3C 2023.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BITS = 258
"""TIFF's tag of the bits of each channel."""
_SAME = 2
"""Levels of 255 by which profiles of sRGB differ: their primaries and curves are rounded."""


def picture_pixels(
    opened: Image.Image, path: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colors (height, width, 3) and alpha (height, width), both in 0..1.

    Images with a color profile are brought to sRGB by it, those for print as well.

    Raises:
        InvalidValue: It holds numbers of another range.
    """
    import numpy as np

    deep = _rgb_16_bit(opened, path)
    if deep is None:
        # A copy in every case: the opened file's frame would be closed under us.
        return _pixels(convert_to_srgb(exif_transpose(opened)))
    load_trailing_exif(opened, path)
    turn = exif_transpose_method(opened)
    planes = [Image.fromarray(plane) for plane in np.moveaxis(deep, -1, 0)]
    turned = [np.asarray(plane.transpose(turn) if turn is not None else plane) for plane in planes]
    pixels = np.stack(turned, axis=-1)
    alpha = pixels[..., 3] if len(turned) == 4 else np.ones(pixels.shape[:2], np.float32)
    return np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(alpha)


def frame_pixels(opened: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The same of the frame that an animation stands at, in 8 bits."""
    return _pixels(convert_to_srgb(exif_transpose(opened)))


def _pixels(image: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    import numpy as np

    deep = _gray_16_bit(image)
    if deep is not None:
        clear = image.info.get("transparency")  # one level, which no pixel has where there is none
        alpha = np.asarray(image) != (clear if isinstance(clear, int) else -1)
        return np.repeat(deep[..., None], 3, axis=-1), alpha.astype(np.float32)
    if image.has_transparency_data:
        levels = _levels(image, "RGBA")
        return np.ascontiguousarray(levels[..., :3]), levels[..., 3]
    levels = _levels(image, "RGB")
    return levels, np.ones(levels.shape[:2], dtype=np.float32)


def _levels(image: Image.Image, mode: str) -> NDArray[np.float32]:
    import numpy as np

    return np.asarray(image.convert(mode)).astype(np.float32) / np.float32(255)


def _gray_16_bit(image: Image.Image) -> NDArray[np.float32] | None:
    """Gray values in 0..1 of images with more than 8 bits, which Pillow would cut off."""
    import numpy as np

    if image.mode == "F":
        return _unit(np.nan_to_num(np.asarray(image, dtype=np.float32)))
    if image.mode.startswith("I"):
        return _unit(np.asarray(image).astype(np.float32), 65535)
    return None


def _unit(values: NDArray[np.float32], white: int = 1) -> NDArray[np.float32]:
    """Values as shares of white; what is a little brighter or darker than 0..1 is cut off.

    Raises:
        InvalidValue: Most of them lie outside, so they are meant otherwise.
    """
    import numpy as np

    if np.mean((values < 0) | (values > white)) > 0.5:
        raise InvalidValue(
            f"the image's numbers are not brightness from 0 to {white}",
            port="path",
            given=f"numbers from {values.min():g} to {values.max():g}",
            expected=f"numbers from 0 to {white}, or a file of 8 or 16 bits",
            hint="Scale them to that range in the program that wrote the file.",
        )
    return (values / np.float32(white)).clip(0, 1)


def _rgb_16_bit(opened: Image.Image, path: Path) -> NDArray[np.float32] | None:
    """Colors of 16 bits, of which Pillow reads the upper 8; None where there are none.

    Where there is another profile than sRGB, colors go before depth: it is applied in 8 bits.
    """
    import av
    import numpy as np

    if not _has_deep_colors(opened, path) or not _is_srgb(opened):
        return None
    form = {"PNG": "png_pipe", "TIFF": "tiff_pipe"}[str(opened.format)]
    try:
        with path.open("rb") as file, av.open(file, "r", format=form) as container:
            frame = next(iter(container.decode(video=0)))
            if frame.format.name.startswith("ya16"):  # which PyAV makes no array of
                frame = frame.reformat(format="rgba64le")
            pixels = frame.to_ndarray()
    except (av.FFmpegError, StopIteration, ValueError):
        return None  # Pillow may be able to
    is_whole = pixels.dtype == np.uint16 and pixels.shape[:2] == opened.size[::-1]
    return pixels.astype(np.float32) / np.float32(65535) if is_whole else None


def _has_deep_colors(opened: Image.Image, path: Path) -> bool:
    if getattr(opened, "n_frames", 1) > 1 or opened.mode not in ("RGB", "RGBA"):
        return False
    if opened.format == "PNG":
        with path.open("rb") as file:
            header = file.read(26)
        return len(header) == 26 and header[24] == 16 and header[25] in (2, 4, 6)
    if opened.format == "TIFF":
        bits = getattr(opened, "tag_v2", {}).get(_BITS, ())
        return bits in ((16, 16, 16), (16, 16, 16, 16))
    return False


def _is_srgb(image: Image.Image) -> bool:
    """Whether it has no profile that can be used, or one that means what sRGB does."""
    profile = image.info.get("icc_profile")
    if not profile:
        return True
    is_gray = image.mode in ("1", "L", "LA", "La", "I;16")
    return image.mode != "CMYK" and _is_srgb_profile(bytes(profile), is_gray=is_gray)


@lru_cache(maxsize=4)
def _is_srgb_profile(profile: bytes, *, is_gray: bool) -> bool:
    """Whether colors of a profile are the same in sRGB; True of one that can't be used.

    Its name doesn't count: "Display P3 Gamut with sRGB Transfer" has sRGB's in it.
    """
    import numpy as np

    levels = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    probe = Image.fromarray(levels[None] if is_gray else grid)
    original = np.asarray(probe.convert("RGB"), dtype=np.int16)
    probe.info["icc_profile"] = profile
    try:
        converted = np.asarray(_converted(probe), dtype=np.int16)
    except (*DAMAGED, ImportError):
        return True
    return bool(np.abs(converted - original).max() <= _SAME)


def convert_to_srgb(image: Image.Image) -> Image.Image:
    """An image brought to sRGB by its color profile; as it is if it has none that can be used."""
    if _is_srgb(image) and image.mode != "LAB":
        return image
    if image.mode in ("P", "PA", "LA", "La", "RGBa"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode not in ("RGB", "RGBA", "L", "CMYK", "LAB"):
        return image
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    try:
        converted = _converted(image.convert("RGB") if alpha is not None else image)
    except (*DAMAGED, ImportError):
        return image
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _converted(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    target = ImageCms.createProfile("sRGB")
    content = image.info.get("icc_profile")
    source = (
        ImageCms.ImageCmsProfile(BytesIO(content)) if content else ImageCms.createProfile("LAB")
    )
    try:
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except ImageCms.PyCMSError as error:
        raise ValueError(str(error)) from error
    assert converted is not None
    return converted


def encode_png_16_bit(
    pixels: NDArray[np.float32], metadata: Mapping[str, str], exif: bytes = b""
) -> bytes:
    """An image as the bytes of a file.

    Args:
        pixels: Shape (height, width, 1, 3 or 4); values outside 0..1 are clipped.
        metadata: Texts by name.
        exif: EXIF data, if there are any.
    """
    import numpy as np

    levels = (pixels.clip(0, 1) * 65535).round().astype(">u2")
    height, width, channels = levels.shape
    rows = np.frombuffer(levels.tobytes(), np.uint8).reshape(height, -1)
    # Each row as what it differs from the one above: filter 2.
    differences = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    filtered = np.concatenate([np.full((height, 1), 2, np.uint8), differences], axis=1)
    kind = {1: 0, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    texts = PngImagePlugin.PngInfo()
    for name, text in metadata.items():
        texts.add_text(name, text)
    chunks = [_chunk(bytes(part[0]), bytes(part[1])) for part in texts.chunks]
    if exif:
        chunks.append(_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    content = _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6))
    start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    return start + b"".join(chunks) + content + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""What Pillow raises on images of more pixels than its limit."""
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
"""EXIF tag, and its values for images that lie on their side."""
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
"""More pixels than an image can have."""
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
    """A copy of an image, turned as its EXIF data says.

    Unlike `ImageOps.exif_transpose` it takes images whose EXIF data can't be read.
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
    """Have Pillow open and read images of so many pixels meanwhile.

    Whoever opens them checks that they aren't more. Where Pillow's own limit is higher, or was
    taken away, it stays so; it is back once nobody needs another.
    """
    _LIMIT.raise_to(most)
    try:
        yield
    finally:
        _LIMIT.release(most)


def open_header(path: Path, formats: Iterable[str]) -> Image.Image:
    """As `Image.open`, for an image of any size: whoever reads its pixels looks at that first.

    Args:
        formats: Names of Pillow's.
    Raises:
        UnidentifiedImageError: It is no image of these formats.
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
