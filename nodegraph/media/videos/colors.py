"""Colors of videos: between RGB and what codecs keep, brightness and two color differences.

Imports no torch.

Source: ITU-T H.273, 8.1 to 8.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nodegraph.media.videos.video_files import Orientation, read_orientation

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.plane import VideoPlane
    from numpy.typing import NDArray

BT709, BT601 = 1, 6
"""H.273's numbers of the matrices of high and of standard definition."""
FULL = 2
"""FFmpeg's number of the full range."""
_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""Of red and blue in the brightness, by the number of the matrix."""
_TALLEST_SD = 576
"""Lines of what is taken for standard definition where a file doesn't say, as players do."""


def _has_alpha(frame: VideoFrame) -> bool:
    """Whether some of a frame isn't opaque."""
    form = frame.format
    if not any(part.is_alpha for part in form.components):
        return False
    pixels = frame.to_ndarray(format="rgba")
    return bool((pixels[..., 3] < np.uint8(255)).any())


@dataclass(frozen=True, slots=True)
class FramePlanes:
    """A decoded frame in as few bytes as it came.

    Attributes:
        planes: uint8 or uint16: RGB, shape (height, width, 3); or Y, shape (height, width), and Cb
            and Cr, which may be half as wide and high.
        bits: Of a number.
        matrix: The number of the matrix of Y, Cb and Cr; None for RGB.
        is_full: Whether numbers use the full range.
        orientation: How it is shown.
        has_alpha: Whether it says how opaque it is, which is left out here.
    """

    planes: tuple[NDArray[Any], ...]
    bits: int
    matrix: int | None
    is_full: bool
    orientation: Orientation
    has_alpha: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as it is shown, in pixels."""
        height, width = self.planes[0].shape[:2]
        return (height, width) if self.orientation.is_transposed else (width, height)

    def rgb(self) -> NDArray[np.float32]:
        """float32 in 0..1, shape (height, width, 3), upright."""
        if self.matrix is None:
            pixels = self.planes[0].astype(np.float32) / np.float32(2**self.bits - 1)
        else:
            pixels = _rgb_of(self.planes, *_to_rgb(self.matrix, self.is_full, self.bits))
        return np.ascontiguousarray(self.orientation.apply(pixels))


def read_planes(frame: VideoFrame) -> FramePlanes:
    """What a frame holds; of high dynamic range, values as they are."""
    form = frame.format
    bits = max(part.bits for part in form.components)
    orientation, has_alpha = read_orientation(frame), _has_alpha(frame)
    if form.is_rgb or form.has_palette or len(form.components) < 3:
        pixels = frame.to_ndarray(format="rgb48le" if bits > 8 else "rgb24")
        bits = 16 if bits > 8 else 8
        return FramePlanes((pixels,), bits, None, True, orientation, has_alpha)
    matrix = frame.colorspace
    if matrix not in _WEIGHTS:
        matrix = BT709 if frame.height > _TALLEST_SD else BT601
    is_full = frame.color_range == FULL or form.name.startswith("yuvj")
    if not _is_planar(form.name):
        # One matrix and range on both sides, so that nothing but the form changes.
        same: dict[str, Any] = {
            "src_colorspace": 1, "dst_colorspace": 1, "src_color_range": 1, "dst_color_range": 1,
        }  # fmt: skip
        bits = 16 if bits > 8 else 8
        frame = frame.reformat(format="yuv444p16le" if bits > 8 else "yuv444p", **same)
    planes = tuple(_plane(plane, bits) for plane in frame.planes[:3])
    return FramePlanes(planes, bits, matrix, is_full, orientation, has_alpha)


def _is_planar(form: str) -> bool:
    """Whether Y, Cb and Cr lie apart, each a number of its own; differences at most halved."""
    return re.fullmatch(r"yuv(j|a)?(420|422|440|444)p(\d+le)?", form) is not None


def _plane(plane: VideoPlane, bits: int) -> NDArray[Any]:
    kind = np.dtype("<u2" if bits > 8 else "u1")
    lines = np.frombuffer(memoryview(plane), kind).reshape(-1, plane.line_size // kind.itemsize)
    samples: NDArray[Any] = lines[: plane.height, : plane.width].copy()
    return samples


def _rgb_of(
    planes: tuple[NDArray[Any], ...], by: NDArray[np.float32], plus: NDArray[np.float32]
) -> NDArray[np.float32]:
    height, width = planes[0].shape
    luma, blue, red = (
        _upsample_chroma(plane.astype(np.float32), height, width) for plane in planes
    )
    rgb = np.empty((height, width, 3), np.float32)
    for at in range(3):
        np.add(luma * by[0, at], blue * by[1, at] + (red * by[2, at] + plus[at]), out=rgb[..., at])
    return rgb.clip(0, 1, out=rgb)


def _upsample_chroma(plane: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Differences of all pixels, of half as many; `rgb_to_yuv420` says where these lie."""
    if plane.shape[1] < width:
        after = np.concatenate((plane[:, 1:], plane[:, -1:]), axis=1)
        both: Any = (plane, (plane + after) / 2)
        plane = np.stack(both, axis=2).reshape(len(plane), -1)[:, :width]
    if plane.shape[0] < height:
        before = np.concatenate((plane[:1], plane[:-1]))
        after = np.concatenate((plane[1:], plane[-1:]))
        both = (plane * 0.75 + before * 0.25, plane * 0.75 + after * 0.25)
        plane = np.stack(both, axis=1).reshape(-1, plane.shape[1])[:height]
    return plane


@lru_cache(maxsize=32)
def _to_rgb(
    matrix: int, is_full: bool, bits: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What Y, Cb and Cr are multiplied by, from the right, and what is added then."""
    red, blue = _WEIGHTS[matrix]
    green = 1 - red - blue
    from_differences = np.array(
        [
            [1, 1, 1],
            [0, -2 * blue * (1 - blue) / green, 2 * (1 - blue)],
            [2 * (1 - red), -2 * red * (1 - red) / green, 0],
        ]
    )
    scale, low = _range(is_full, bits)
    by = from_differences / scale[:, None]
    plus = -np.array([low, 2 ** (bits - 1), 2 ** (bits - 1)]) @ by
    return by.astype(np.float32), plus.astype(np.float32)


def _range(is_full: bool, bits: int) -> tuple[NDArray[np.float64], float]:
    """From the least to the most of Y, Cb and Cr, and black."""
    if is_full:
        return np.full(3, 2.0**bits - 1), 0
    return np.array([219.0, 224.0, 224.0]) * 2 ** (bits - 8), 16 * 2 ** (bits - 8)


def rgb_to_yuv420(rgb: NDArray[np.float32]) -> tuple[NDArray[np.uint8], ...]:
    """An image as 4:2:0 of BT.709 in the limited range, as players expect it.

    Args:
        rgb: In 0..1, shape (height, width, 3).
    Returns:
        Y, shape (height, width), Cb and Cr, each half as high and wide, rounded up; a difference
        lies between two lines, at the left one of two pixels.
    """
    by, plus = _to_rgb(BT709, False, 8)
    back = np.linalg.inv(by.astype(np.float64)).astype(np.float32)
    levels: Any = (rgb - plus) @ back
    planes = (
        levels[..., 0],
        _downsample_chroma(levels[..., 1]),
        _downsample_chroma(levels[..., 2]),
    )
    return tuple(_rounded(plane) for plane in planes)


def _downsample_chroma(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    wide = np.pad(plane, ((0, len(plane) % 2), (1, 1)), mode="edge")
    across: Any = wide[:, :-2:2] + 2 * wide[:, 1:-1:2] + wide[:, 2::2]
    halved: NDArray[np.float32] = (across[::2] + across[1::2]) / np.float32(8)
    return halved


def _rounded(plane: NDArray[np.float32]) -> NDArray[np.uint8]:
    return plane.round().clip(0, 255).astype(np.uint8)
