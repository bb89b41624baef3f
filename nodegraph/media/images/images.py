"""Image and animation files: decode to tensors, encode, read metadata."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError, features

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.files import make_folder, write_file
from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidFile, InvalidValue, NumericalError, OutputError
from nodegraph.media.images.extended_xmp import xmp_segments
from nodegraph.media.images.input_files import guess_file_kind, image_format, translate_os_errors
from nodegraph.media.images.memory_checks import check_memory
from nodegraph.media.images.pillow_files import (
    DAMAGED,
    TOO_LARGE,
    allow_pixels,
    encode_png_16_bit,
    frame_pixels,
    is_transposed,
    load_trailing_exif,
    open_header,
    picture_pixels,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

AnimationFormat = Literal["webp", "gif", "png"]
ANIMATION_SUFFIXES: Mapping[AnimationFormat, str] = {"webp": ".webp", "gif": ".gif", "png": ".png"}


GIF_FASTEST = 50
"""Images a second: players show an image of 1/100 s, the least of a GIF, far longer."""


def encode_animation(
    frames: Tensor,
    rate: float,
    metadata: Mapping[str, str] | None = None,
    quality: int = 80,
    *,
    format: AnimationFormat = "webp",
    loop: bool = True,
) -> bytes:
    """Images that follow each other, as the bytes of a file.

    Args:
        frames: float32 in 0..1, shape (frames, height, width, channels).
        rate: Frames a second.
        metadata: See `encode_image_file`; a GIF has it in its comment.
        quality: 1 to 100, of WebP; 100 is lossless.
        format: ``gif`` has 256 colors a frame, ``png`` (APNG) all of them.
        loop: Begin anew again and again.
    Raises:
        InvalidValue, NumericalError: See `to_pil`.
    """
    first, *others = [to_pil(frame) for frame in frames]
    buffer = BytesIO()
    options: dict[str, Any] = {"save_all": True, "append_images": others}
    options["duration"] = _durations(len(frames), rate, format)
    if format == "gif":
        options |= {"format": "GIF"}
        options |= {"comment": json.dumps(dict(metadata)).encode()} if metadata else {}
        # Without a number, a GIF is shown once.
        options |= {"loop": 0} if loop else {}
    else:
        options |= pillow_save_options(format, dict(metadata or {}), quality)
        options["loop"] = 0 if loop else 1
    if format == "webp":
        options |= {"method": 3, "lossless": quality == 100}
    first.save(buffer, **options)
    return buffer.getvalue()


def _durations(count: int, rate: float, format: AnimationFormat) -> list[int]:
    """Milliseconds for which each image is shown: each begins as near to its time as it can.

    Rounded alike, thirty a second would be 33.3 in a GIF, which counts in hundredths of a second.
    """
    step, least = (10, 1000 // GIF_FASTEST) if format == "gif" else (1, 1)
    begins = [round(at * 1000 / rate / step) * step for at in range(count + 1)]
    return [max(least, after - before) for before, after in pairwise(begins)]


ImageFormat = Literal["png", "jpeg", "webp", "avif", "tiff"]
IMAGE_SUFFIXES: Mapping[ImageFormat, str] = {
    "png": ".png", "jpeg": ".jpg", "webp": ".webp", "avif": ".avif", "tiff": ".tiff",
}  # fmt: skip
READABLE = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "QOI", "TGA")
"""Formats that are opened. Pillow knows more, but some of those start other programs."""

OPAQUE_HINT = (
    "Use FlattenImage to put images on a color; PNG, WebP, AVIF and GIF keep transparency."
)
_LARGER = "Make it smaller, or raise the setting `max_image_pixels`."
USER_COMMENT, DESCRIPTION, EXIF_IFD = 0x9286, 0x010E, 0x8769
"""Tags of EXIF that hold texts."""
PARAMETERS = "parameters"
"""Name of the text with the settings in A1111's form."""
_TAGS = {0x010D: "manifest", 0x010F: "workflow", 0x0131: "nodegraph"}
"""Names of texts by EXIF tags: of the document's name, the maker and the software."""
ASCII = b"ASCII\0\0\0"
"""Beginning of a user comment in ASCII."""


def read_image(
    path: Path,
    *,
    frame: int = 0,
    alpha: bool = False,
    max_pixels: int = MAX_IMAGE_PIXELS,
    names: bool = True,
) -> tuple[Tensor, Tensor]:
    """Read the image in a file, upright and in sRGB, and its transparency.

    Args:
        frame: Index of the frame or page, from 0; a negative one counts from the end.
        alpha: Whether the image has a fourth channel, also if the file is opaque.
        names: Whether an error may name files like one that is missing.
    Returns:
        Image, float32 in 0..1, shape (1, height, width, 3 or 4); mask, float32 in 0..1, shape
        (1, height, width): 1 where the image is transparent, 0 where it is opaque.
    Raises:
        InvalidFile: It is missing, damaged, not an image, or has more than `max_pixels`.
        InvalidValue: It has no such frame, its numbers are not brightness, or it needs more
            memory than available.
    """
    import torch

    if frame:
        images, masks, _ = read_frames(path, frame, 1, max_pixels=max_pixels, names=names)
        return (torch.cat([images, 1 - masks[..., None]], -1) if alpha else images), masks
    with open_image(path, max_pixels, names) as opened:
        width, height = opened.size
        check_memory(width, height, 1, 16 * width * height, port="path")
        try:
            colors, opacity = picture_pixels(opened, path)
        except DAMAGED as error:
            raise _damaged(path, error) from error
    pixels = np.concatenate([colors, opacity[..., None]], -1) if alpha else colors
    return torch.from_numpy(pixels)[None], torch.from_numpy(1 - opacity)[None]


def read_image_bytes(
    data: bytes,
    folder: Path,
    what: str,
    *,
    alpha: bool = False,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> tuple[Tensor, Tensor]:
    """Read the image in the bytes of a file; see `read_image`.

    Args:
        folder: For a temporary file.
        what: What errors call the image.
        alpha: Whether the image has a fourth channel.
    Raises:
        InvalidFile, InvalidValue: As of `read_image`.
    """
    make_folder(folder)
    path = folder / f"image-{os.urandom(8).hex()}"
    try:
        path.write_bytes(data)
        return read_image(path, alpha=alpha, max_pixels=max_pixels, names=False)
    except InvalidFile as error:
        problem = error.problem
        message = problem.message.replace(str(path), what)
        raise InvalidFile(message, given=problem.given, expected=problem.expected) from None
    finally:
        path.unlink(missing_ok=True)


def read_frames(
    path: Path,
    start: int = 0,
    count: int = 0,
    *,
    every: int = 1,
    max_pixels: int = MAX_IMAGE_PIXELS,
    names: bool = True,
) -> tuple[Tensor, Tensor, float]:
    """The images of an animation or of a file of several pages.

    Args:
        start: The first one, counted from 0; below 0 from the end.
        count: How many at the most; 0 for all from there.
        every: 2 takes every other one.
    Returns:
        As `read_image`, with so many in place of 1; and how many follow each other in a second,
        0 where the file doesn't say.
    Raises:
        InvalidFile: See `read_image`; or they aren't of one size.
        InvalidValue: There is no such frame, or they take more memory than there is.
    """
    import torch

    pictures: list[tuple[Tensor, Tensor]] = []
    seconds = 0.0
    with open_image(path, max_pixels, names) as opened:
        try:
            total = getattr(opened, "n_frames", 1)
            wanted = _frame_indices(total, start, count, every)
            width, height = opened.size
            needed = 16 * width * height * len(wanted)
            check_memory(width, height, len(wanted), needed, port="path")
            for number in wanted:
                opened.seek(number)
                check_pixels(opened, path, max_pixels)
                opened.load()
                # What has but one is as deep as LoadImage reads it.
                pixels = picture_pixels(opened, path) if total == 1 else frame_pixels(opened)
                colors, alpha = pixels
                pictures.append((torch.from_numpy(colors), torch.from_numpy(1 - alpha)))
                seconds += float(opened.info.get("duration", 0)) / 1000
        except DAMAGED as error:
            raise _damaged(path, error) from error
    sizes = sorted({tuple(colors.shape[1::-1]) for colors, _ in pictures})
    if len(sizes) > 1:
        raise InvalidFile(
            f"the pages of {path} differ in size",
            given=", ".join(f"{width} x {height}" for width, height in sizes[:3]),
            hint="LoadImage reads a single page.",
        )
    images, masks = zip(*pictures, strict=True)
    return torch.stack(images), torch.stack(masks), len(wanted) / seconds if seconds else 0.0


def _frame_indices(total: int, start: int, count: int, every: int) -> list[int]:
    if not -total <= start < total:
        raise NoSuchFrame(
            "the file has no such frame",
            port="frame",
            given=str(start),
            expected=f"{-total} to {total - 1}",
        )
    indices = list(range(start % total, total, every))
    return indices[:count] if count else indices


class NoSuchFrame(InvalidValue):
    """A frame beyond those of an animation."""


def picture_size(
    path: Path, *, max_pixels: int | None = MAX_IMAGE_PIXELS, names: bool = True
) -> tuple[int, int]:
    """Width and height in pixels of the upright image in a file; no pixel is read.

    Args:
        max_pixels: None for one of any size.
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, no image, or has more than `max_pixels`.
    """
    with open_image(path, max_pixels, names) as opened:
        width, height = opened.size
        try:
            load_trailing_exif(opened, path)
            lies_on_its_side = is_transposed(opened)
        except DAMAGED as error:
            raise _damaged(path, error) from error
    return (height, width) if lies_on_its_side else (width, height)


def check_folder_memory(files: Sequence[Path], *, max_pixels: int, names: bool = True) -> None:
    """Refuse images that take more memory together than there is, before one is decoded.

    Args:
        max_pixels: Of each.
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: One is damaged, or no image.
        InvalidValue: They are too large together.
    """
    sizes = [picture_size(file, max_pixels=max_pixels, names=names) for file in files]
    pixels = sum(width * height for width, height in sizes)
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    # Three channels and the mask, as float32.
    check_memory(width, height, len(sizes), 16 * pixels, port="path")


def to_pil(image: Tensor) -> Image.Image:
    """Convert one image to Pillow: values are clipped to 0..1 and rounded to 8 bits.

    Args:
        image: float, shape (height, width, channels) or (1, height, width, channels); 1, 3 or 4
            channels.
    Raises:
        InvalidValue: Another shape.
        NumericalError: NaN or infinity.
    """
    pixels = _values(image)
    levels = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)


def floor_to_8_bits(image: Tensor) -> Tensor:
    """An image on levels of 8 bits, each value brought to the one below it, clipped to 0..1.

    Some tools cut where others round: ComfyUI's SaveImage writes int(255 · value).

    Args:
        image: float, any shape.
    """
    # the scale first, in float32: a level that is given as level / 255 may lie a hair below it, and
    # is then cut to the one below, as there
    return (image.clamp(0, 1) * 255.0).floor() / 255.0


def is_transparent(image: Tensor) -> bool:
    """Whether some of an image, or of a batch, isn't opaque once it has 8 bits.

    Args:
        image: float in 0..1, shape (..., channels).
    """
    return image.shape[-1] == 4 and bool((image[..., 3] < 1 - 0.5 / 255).any())


def _values(image: Tensor) -> NDArray[np.float32]:
    """One image as numbers, shape (height, width, channels).

    Raises:
        InvalidValue, NumericalError: See `to_pil`.
    """
    pixels = image.detach().to("cpu").float().numpy()
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4) or 0 in pixels.shape:
        raise InvalidValue(
            "this is not a single image",
            given=f"shape {tuple(image.shape)}",
            expected="(height, width, 1, 3 or 4 channels)",
        )
    if not np.isfinite(pixels).all():
        raise NumericalError("the image has NaN or infinity")
    return pixels


def encode_image_file(
    image: Tensor,
    format: ImageFormat = "png",
    metadata: Mapping[str, str] | None = None,
    quality: int = 95,
    *,
    bits: int = 8,
) -> bytes:
    """Encode an image as the bytes of a file; the same image gives the same bytes.

    Args:
        image: See `to_pil`.
        format: ``png`` and ``tiff`` are lossless; JPEG drops transparency.
        metadata: Texts by name, such as ``workflow``. In PNG each becomes a separate text chunk.
            In other formats all are stored as JSON: in the EXIF user comment, in TIFF in the
            description. JPEG has texts that are too long for EXIF in XMP. PNG repeats short ones in
            EXIF, which other programs keep as they convert the image.
        quality: 1 to 100, for JPEG, WebP and AVIF.
        bits: Per channel, 8 or 16; only PNG supports 16.
    Raises:
        InvalidValue: Unknown format, quality out of range, or 16 bits in another format than PNG.
    """
    if bits == 16:
        if format != "png":
            raise InvalidValue(
                "only PNG supports 16 bits", port="bits", given=format, expected="png"
            )
        return encode_png_16_bit(_values(image), metadata or {}, png_exif(metadata or {}))
    if format not in IMAGE_SUFFIXES:
        raise InvalidValue(
            f"there is no image format {format!r}", expected=", ".join(IMAGE_SUFFIXES)
        )
    if not 1 <= quality <= 100:
        raise InvalidValue("quality is out of range", given=str(quality), expected="1 to 100")
    if format == "avif" and not features.check("avif"):
        raise InvalidValue("this Pillow cannot write AVIF", port="format", given=format)
    picture = to_pil(image)
    if format == "jpeg" and picture.mode == "RGBA":
        picture = picture.convert("RGB")
    buffer = BytesIO()
    try:
        picture.save(buffer, **pillow_save_options(format, dict(metadata or {}), quality))
    except ValueError as error:
        raise InvalidValue(f"the image cannot be written as {format}: {error}") from error
    return buffer.getvalue()


def encode_pil(image: Image.Image, format: ImageFormat = "png") -> bytes:
    """A Pillow image as the bytes of a file, without metadata."""
    buffer = BytesIO()
    image.save(buffer, **pillow_save_options(format, {}, 95))
    return buffer.getvalue()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file completely or not at all; the error names the reason.

    Raises:
        OutputError: No space, no permission, no folder; names the path and the free space.
    """
    try:
        write_file(path, data)
    except OutputError as error:
        cause = error.__cause__
        full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "Free disk space, or use another folder." if full else error.problem.hint
        raise OutputError(
            error.problem.message,
            given=f"{format_size(len(data))} to write, {_free_space(path)}",
            hint=hint,
        ) from cause


def _free_space(path: Path) -> str:
    existing = next((folder for folder in path.absolute().parents if folder.is_dir()), None)
    if existing is None:
        return "free space unknown"
    return f"{format_size(shutil.disk_usage(existing).free)} free"


def pillow_save_options(
    format: ImageFormat, metadata: dict[str, str], quality: int
) -> dict[str, Any]:
    """What Pillow is told as it saves an image, its texts included."""
    if format == "png":
        texts = PngImagePlugin.PngInfo()
        for name, text in metadata.items():
            texts.add_text(name, text)
        saved: dict[str, Any] = {"format": "PNG", "pnginfo": texts, "compress_level": 6}
        copied = png_exif(metadata)
        return {**saved, "exif": copied} if copied else saved
    if format == "tiff":
        tags = {DESCRIPTION: json.dumps(metadata)} if metadata else {}
        return {"format": "TIFF", "compression": "tiff_adobe_deflate", "tiffinfo": tags}
    options: dict[str, Any] = {"format": format.upper(), "quality": quality}
    if not metadata:
        return options
    exif = _exif(metadata)
    if format == "jpeg" and len(exif.tobytes()) > _LARGEST_EXIF:
        short = {name: metadata[name] for name in _SHORT if name in metadata}
        return {**options, "exif": _exif(short), "extra": xmp_segments(metadata)}
    return {**options, "exif": exif}


_LARGEST_EXIF = 65_000
"""Bytes of EXIF data in a JPEG: a segment has 65,533."""
_SHORT = (PARAMETERS, "nodegraph")
"""Texts that stay in the EXIF data of a JPEG whose others are too long for it."""


def png_exif(metadata: Mapping[str, str]) -> bytes:
    """The texts of a PNG as EXIF data, too; empty if there are none or they are long.

    Programs that convert a PNG drop its text chunks, and many keep EXIF data. Longer data than a
    JPEG can hold would make them fail.
    """
    own = {name: text for name, text in metadata.items() if name in _COPIED}
    exif = _exif(own).tobytes() if own else b""
    return exif if len(exif) <= _LARGEST_EXIF else b""


_COPIED = frozenset({PARAMETERS, "workflow", "manifest", "nodegraph", "nodegraph_workflow"})
"""Texts of a PNG that its EXIF data repeats: those of a client are its own matter."""


def _exif(metadata: Mapping[str, str]) -> Image.Exif:
    """The texts as EXIF: in the user comment, or for A1111's form as it and ComfyUI write them."""
    exif = Image.Exif()
    infotext = metadata.get(PARAMETERS)
    if infotext is None:
        exif[DESCRIPTION] = "Made with nodegraph; the workflow is in the user comment."
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = ASCII + json.dumps(metadata).encode()
        return exif
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = b"UNICODE\0" + infotext.encode("utf-16-be", "replace")
    for tag, name in _TAGS.items():
        if name in metadata:
            exif[tag] = f"{name}:{metadata[name]}"
    return exif


@contextmanager
def open_image(path: Path, max_pixels: int | None, names: bool = True) -> Iterator[Image.Image]:
    """Open a file and check what it claims to be; no pixel is read yet, and of None never."""
    with allow_pixels(max_pixels or 0), _header(path, names) as opened:
        if max_pixels is not None:
            check_pixels(opened, path, max_pixels)
        yield opened


def check_pixels(opened: Image.Image, path: Path, max_pixels: int) -> None:
    """Check what an image claims to be before its pixels are read.

    Raises:
        InvalidFile: It has more pixels.
    """
    width, height = opened.size
    if width * height > max_pixels:
        raise InvalidFile(
            f"{path} is refused: the image is too large",
            given=f"{width} x {height} pixels",
            expected=f"at most {max_pixels:,} pixels",
            hint=_LARGER,
        )


def _header(path: Path, names: bool) -> Image.Image:
    if _is_special(path):
        raise InvalidFile(f"cannot read {path}: it is not a file but a device or a pipe")
    with translate_os_errors(path, names=names):
        path.open("rb").close()
    try:
        return open_header(path, READABLE)
    except UnidentifiedImageError as error:
        kind = image_format(path)
        if kind in READABLE:
            raise InvalidFile(
                f"{path} is damaged or truncated, or {kind} of an unsupported form",
                hint="Copy or download it again, or save it as PNG.",
            ) from error
        raise InvalidFile(
            f"{path} is not a readable image: it looks like {guess_file_kind(path)}",
            expected=", ".join(READABLE),
        ) from error
    except DAMAGED as error:
        if isinstance(error, TOO_LARGE):
            raise _damaged(path, error) from error
        # Pillow says of some no more than that they made no decoder.
        reason = getattr(error, "strerror", None) or "it cannot be decoded"
        raise _damaged(path, reason) from error


def _is_special(path: Path) -> bool:
    """Whether it is a device or a pipe, which may never end; opening one may wait for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False  # what is wrong with it shows as it is opened
    return not (S_ISREG(mode) or S_ISDIR(mode))


def _damaged(path: Path, error: Exception | str) -> InvalidFile:
    if isinstance(error, TOO_LARGE):  # a part of it, such as a later image of an animation
        return InvalidFile(f"{path} is refused: {error}", hint=_LARGER)
    return InvalidFile(
        f"{path} is damaged or truncated: {error}", hint="Copy or download it again."
    )
