"""Images and videos of strangers: what they are, by their bytes, and small images of them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.contact_sheets import AxisLabels, SheetFormat, labeled_sheet
from nodegraph.media.images.pillow_files import (
    DAMAGED,
    TOO_LARGE,
    allow_pixels,
    exif_transpose,
    is_transposed,
)
from nodegraph.media.videos.video_files import (
    MAX_PIXELS,
    OpenVideo,
    is_video_header,
    open_video,
)
from nodegraph.server.http.errors import TooLarge

if TYPE_CHECKING:
    from av import VideoFrame

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
_LARGEST_SIDES: Mapping[SheetFormat, int] = {"png": 65_000, "webp": 16_383, "jpeg": 65_000}
"""Pixels, of which labels take some."""
_SAVED: Mapping[SheetFormat, Mapping[str, Any]] = {
    "png": {"compress_level": 4},
    "webp": {"quality": 90, "method": 4},
    "jpeg": {"quality": 92, "subsampling": 0},
}


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


def make_thumbnail(file: BinaryIO, size: int, *, pixels: int, is_lossless: bool = False) -> bytes:
    """An image upright and within a square, as WebP; of an animation or a video the first.

    Args:
        size: Pixels of the square's side.
        is_lossless: Whether no more than its size is lost.
    Raises:
        InvalidFile: It is no image, or damaged.
        TooLarge: It has more pixels.
    """
    file.seek(0)
    if is_video_header(file.read(12)):
        return encode_thumbnail(video_frame(file, index=0, pixels=pixels), size, is_lossless)
    with _opened(file, pixels) as picture:
        picture.draft("RGB", (size, size))  # a JPEG can be read smaller
        return encode_thumbnail(exif_transpose(_colors(picture)), size, is_lossless)


def encode_thumbnail(picture: Image.Image, size: int, is_lossless: bool = False) -> bytes:
    """An image within a square, as WebP."""
    picture.thumbnail((size, size))
    made = BytesIO()
    if is_lossless:
        picture.save(made, "WEBP", lossless=True, quality=0, method=0)
    else:
        picture.save(made, "WEBP", quality=80, method=2)
    return made.getvalue()


Channel = Literal["rgba", "rgb", "a"]


def convert_picture(
    file: BinaryIO,
    *,
    format: SheetFormat,
    quality: int,
    side: int | None = None,
    channel: Channel = "rgba",
    keeps_alpha: bool = False,
    pixels: int,
) -> bytes:
    """An image in another format, upright; of an animation the first.

    Args:
        quality: Of JPEG and WebP, 0 to 100. Transparent pixels are on white in a JPEG.
        side: Of the square that it is made to fit into, in pixels; None keeps its size.
        channel: ``rgba`` for all, ``rgb`` without transparency, ``a`` for the transparency alone.
        keeps_alpha: Whether an image with transparency becomes WebP where JPEG was asked for.
    Raises:
        InvalidFile: It is no image, or damaged.
        TooLarge: It has more pixels.
    """
    with _opened(file, pixels) as picture:
        shown = exif_transpose(_colors(picture))
        if channel == "a":
            alpha = shown.getchannel("A") if shown.mode == "RGBA" else None
            shown = Image.new("RGBA", shown.size, (0, 0, 0, 255))
            if alpha is not None:
                shown.putalpha(alpha)
        elif channel == "rgb":
            shown = shown.convert("RGB")
        if side is not None:
            shown.thumbnail((side, side))
        has_alpha = shown.mode == "RGBA"
        chosen: SheetFormat = "webp" if format == "jpeg" and has_alpha and keeps_alpha else format
        if chosen == "jpeg" and has_alpha:
            ground = Image.new("RGB", shown.size, "white")
            ground.paste(shown, mask=shown)
            shown = ground
        made = BytesIO()
        options = _SAVED[chosen] if chosen == "png" else {**_SAVED[chosen], "quality": quality}
        shown.save(made, chosen.upper(), **options)
        return made.getvalue()


def is_transparent(file: BinaryIO, *, pixels: int) -> bool:
    """Whether some pixel of an image is not opaque.

    Raises:
        InvalidFile, TooLarge: See `convert_picture`.
    """
    with _opened(file, pixels) as picture:
        shown = _colors(picture)
        return shown.mode == "RGBA" and shown.getchannel("A").getextrema()[0] != 255


def encode_png(picture: Image.Image) -> bytes:
    """An image as PNG."""
    made = BytesIO()
    picture.save(made, "PNG", compress_level=4)
    return made.getvalue()


def replace_alpha(file: BinaryIO, mask: BinaryIO, *, pixels: int) -> bytes:
    """An image with the transparency of another one, as PNG; texts in its metadata stay.

    Raises:
        InvalidFile, TooLarge: See `convert_picture`.
    """
    with _opened(mask, pixels) as opened:
        alpha = _colors(opened).convert("RGBA").getchannel("A")
    with _opened(file, pixels) as opened:
        picture = _colors(opened).convert("RGBA")
        texts = PngInfo()
        for name, text in getattr(opened, "text", {}).items():
            texts.add_text(name, text)
    picture.putalpha(alpha.resize(picture.size))
    made = BytesIO()
    picture.save(made, "PNG", compress_level=4, pnginfo=texts)
    return made.getvalue()


def labeled_grid(
    rows: Sequence[Sequence[bytes | None]], labels: AxisLabels, format: SheetFormat, pixels: int
) -> bytes:
    """One image of several in rows and columns, with labels.

    Args:
        rows: Images of `make_thumbnail`; None for an empty cell.
        pixels: That it may have.
    Raises:
        InvalidValue: There is no image, or it has more pixels than allowed, or than the format can
            hold.
    """
    if not any(any(row) for row in rows):
        raise InvalidValue("the grid has no image", expected="at least one digest")
    cells = [
        [None if each is None else Image.open(BytesIO(each), formats=("WEBP",)) for each in row]
        for row in rows
    ]
    sizes = [each.size for row in cells for each in row if each is not None]
    width = max(map(len, cells)) * max(size[0] for size in sizes)
    height = len(cells) * max(size[1] for size in sizes)
    most = _LARGEST_SIDES[format]
    if width * height > pixels or max(width, height) > most - 1_000:
        raise InvalidValue(
            "the grid is too large",
            given=f"{width} x {height} pixels",
            expected=f"at most {pixels:,} pixels, and {most - 1_000:,} on a side as {format}",
            hint="Use a smaller `cell`, or fewer images.",
        )
    sheet = labeled_sheet(cells, labels)
    made = BytesIO()
    sheet.save(made, format.upper(), **_SAVED[format])
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


def video_frame(
    file: BinaryIO, *, index: int | None = None, time: float | None = None, pixels: int
) -> Image.Image:
    """A frame of a video, upright.

    Args:
        index: Its number, from 0.
        time: Seconds from the beginning, instead of a number: the frame that is shown then.
    Raises:
        InvalidFile: It is no video, damaged, or shorter.
        TooLarge: It has more pixels.
    """
    from nodegraph.media.videos.colors import read_planes

    file.seek(0)
    if not is_video_header(file.read(12)):
        raise InvalidFile("this is not a video", expected="a video, such as MP4 or WebM")
    file.seek(0)
    # One thread: this process has little room.
    with open_video(file, max_pixels=min(pixels, MAX_PIXELS), threads=1) as video:
        frame = video.first_frame() if index == 0 else _frame_at(video, index, time)
        values = read_planes(frame).rgb()
    return Image.fromarray((values * 255).round().astype("uint8"))


def _frame_at(video: OpenVideo, index: int | None, time: float | None) -> VideoFrame:
    shown, number, seconds = None, 0, 0.0
    for number, frame in enumerate(video.frames()):
        seconds = float(video.time_of(frame.pts) if frame.pts is not None else number / video.rate)
        if time is not None and shown is not None and seconds > time:
            return shown
        shown = frame
        if index == number:
            return frame
    if shown is None or index is not None:
        raise InvalidFile("the video has fewer frames", given=str(index), expected=f"0 to {number}")
    end = seconds + 1 / float(video.rate)
    if time is not None and time > end:
        raise InvalidFile("the video is shorter", given=f"{time:g} s", expected=f"0 to {end:.2f} s")
    return shown


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
