"""What an opened picture holds, as numbers: upright, in sRGB, as deep as the file is."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nodegraph.errors import InvalidValue
from nodegraph.media.images.picture_files import (
    DAMAGED,
    exif_transpose,
    exif_transpose_method,
    load_trailing_exif,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BITS = 258
"""TIFF's tag of the bits of each channel."""
_SAME = 2
"""Levels of 255 by which profiles of sRGB differ: their primaries and curves are rounded."""


def picture_pixels(
    opened: Image.Image, path: Path
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours (height, width, 3) and alpha (height, width), both in 0..1.

    Pictures with a colour profile are brought to sRGB by it, those for print as well.

    Raises:
        InvalidValue: It holds numbers of another range.
    """
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
    return np.asarray(image.convert(mode)).astype(np.float32) / np.float32(255)


def _gray_16_bit(image: Image.Image) -> NDArray[np.float32] | None:
    """Gray values in 0..1 of pictures with more than 8 bits, which Pillow would cut off."""
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
    if np.mean((values < 0) | (values > white)) > 0.5:
        raise InvalidValue(
            f"the picture's numbers aren't brightness from 0 to {white}",
            port="path",
            given=f"numbers from {values.min():g} to {values.max():g}",
            expected=f"numbers from 0 to {white}, or a file of 8 or 16 bits",
            hint="Scale them to that range in the program that wrote the file.",
        )
    return (values / np.float32(white)).clip(0, 1)


def _rgb_16_bit(opened: Image.Image, path: Path) -> NDArray[np.float32] | None:
    """Colours of 16 bits, of which Pillow reads the upper 8; None where there are none.

    Where there is another profile than sRGB, colours go before depth: it is applied in 8 bits.
    """
    import av

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
    """Whether colours of a profile are the same in sRGB; True of one that can't be used.

    Its name doesn't count: "Display P3 Gamut with sRGB Transfer" has sRGB's in it.
    """
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
    """A picture brought to sRGB by its colour profile; as it is if it has none that can be used."""
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
