"""Images and videos of strangers: what they are, by their bytes, and small images of them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image, ImageDraw, ImageFont

from nodegraph.errors import InvalidFile
from nodegraph.media.images.pillow_files import (
    DAMAGED,
    TOO_LARGE,
    allow_pixels,
    exif_transpose,
    is_transposed,
)
from nodegraph.media.videos.video_files import MAX_PIXELS, is_video_header, open_video
from nodegraph.server.http.errors import TooLarge

FORMATS: Mapping[str, str] = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
}
"""Pillow's names of what is opened. It knows more formats, some of which start other programs."""
_BEGINNINGS = (b"\x89PNG", b"\xff\xd8", b"GIF8")
_TILE, _TILE_WORDS = (46, 49, 56), (200, 204, 212)
_LETTERS = 22
"""In a line of a tile."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What an image's header says.

    Attributes:
        width, height: Pixels, as it is shown upright.
    """

    media_type: str
    width: int
    height: int


def read_picture(file: BinaryIO, *, pixels: int) -> Picture:
    """What an image is; its bytes are checked as far as that needs no pixel.

    Raises:
        InvalidFile: It is none, or damaged.
        TooLarge: It has more pixels.
    """
    with _opened(file, pixels) as picture:
        kind, (width, height) = _media_type(picture), picture.size
        if is_transposed(picture):
            width, height = height, width
    with _opened(file, pixels) as picture:
        picture.verify()
    return Picture(kind, width, height)


def begins_like_picture(data: bytes) -> bool:
    """Whether a file is an image or a video, by its first 12 bytes; what is neither is drawn."""
    is_webp = (data[:4], data[8:12]) == (b"RIFF", b"WEBP")
    return is_webp or data.startswith(_BEGINNINGS) or is_video_header(data[:12])


def make_thumbnail(file: BinaryIO, size: int, *, pixels: int) -> bytes:
    """An image upright and within a square, as WebP; of an animation or a video the first.

    Args:
        size: Pixels of the square's side.
    Raises:
        InvalidFile: It is no image, or damaged.
        TooLarge: It has more pixels.
    """
    file.seek(0)
    if is_video_header(file.read(12)):
        return encode_thumbnail(_first_frame(file, pixels), size)
    with _opened(file, pixels) as picture:
        picture.draft("RGB", (size, size))  # a JPEG can be read smaller
        return encode_thumbnail(exif_transpose(_colors(picture)), size)


def encode_thumbnail(picture: Image.Image, size: int) -> bytes:
    """An image within a square, as WebP."""
    picture.thumbnail((size, size))
    made = BytesIO()
    picture.save(made, "WEBP", quality=80, method=2)
    return made.getvalue()


def plain_tile(size: int, text: str) -> bytes:
    """A square in place of what is too large to be shown, with some words in it, as WebP."""
    tile = Image.new("RGB", (size, size), _TILE)
    font = ImageFont.load_default(size / 14)
    lines = textwrap.wrap(text, _LETTERS)
    middle = (size / 2, size / 2)
    ImageDraw.Draw(tile).multiline_text(
        middle, "\n".join(lines), _TILE_WORDS, font, anchor="mm", align="center"
    )
    return encode_thumbnail(tile, size)


def _first_frame(file: BinaryIO, pixels: int) -> Image.Image:
    from nodegraph.media.videos.colors import read_planes

    file.seek(0)
    # One thread: this process has little room.
    with open_video(file, max_pixels=min(pixels, MAX_PIXELS), threads=1) as video:
        frame = read_planes(video.first_frame()).rgb()
    return Image.fromarray((frame * 255).round().astype("uint8"))


def _media_type(picture: Image.Image) -> str:
    # Several images in one JPEG file, as cameras write them.
    return FORMATS["JPEG" if picture.format == "MPO" else picture.format or ""]


def _colors(picture: Image.Image) -> Image.Image:
    """The image in 8 bits a channel, transparent where it is."""
    if picture.mode.startswith("I"):
        return picture.point(lambda value: value * (1 / 256)).convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


@contextmanager
def _opened(file: BinaryIO, pixels: int) -> Iterator[Image.Image]:
    file.seek(0)
    try:
        with allow_pixels(pixels), Image.open(file, formats=tuple(FORMATS)) as picture:
            width, height = picture.size
            if width * height > pixels:
                raise _too_large(f"{width} × {height}", pixels)
            yield picture
    except TOO_LARGE as error:
        raise _too_large("more than Pillow allows", pixels) from error
    except DAMAGED as error:
        raise InvalidFile(
            "this is not an intact image", expected=", ".join(FORMATS), hint="Save it again."
        ) from error


def _too_large(size: str, pixels: int) -> TooLarge:
    return TooLarge(
        "the image has too many pixels",
        given=size,
        expected=f"at most {pixels:,}",
        hint="Make it smaller.",
    )
