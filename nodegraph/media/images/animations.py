"""Pictures that follow each other, as one file that any browser moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.media.images.images import pillow_save_options, to_pil

if TYPE_CHECKING:
    from torch import Tensor


AnimationFormat = Literal["webp", "gif", "png"]
ANIMATION_SUFFIXES: Mapping[AnimationFormat, str] = {"webp": ".webp", "gif": ".gif", "png": ".png"}


def encode_animation(
    frames: Tensor,
    rate: float,
    metadata: Mapping[str, str] | None = None,
    quality: int = 80,
    *,
    format: AnimationFormat = "webp",
    loop: bool = True,
) -> bytes:
    """Pictures that follow each other, as the bytes of a file.

    Args:
        frames: float32 in 0..1, shape (frames, height, width, channels).
        rate: Frames a second.
        metadata: See `encode_image_file`; a GIF has it in its comment.
        quality: 1 to 100, of WebP; 100 is lossless.
        format: ``gif`` has 256 colours a frame, ``png`` (APNG) all of them.
        loop: Begin anew again and again.
    Raises:
        InvalidValue, NumericalError: See `to_pil`.
    """
    first, *others = [to_pil(frame) for frame in frames]
    buffer = BytesIO()
    options: dict[str, Any] = {"save_all": True, "append_images": others}
    options["duration"] = _durations(len(frames), rate, format)
    if format == "gif":
        options |= {"format": "GIF", "comment": json.dumps(dict(metadata or {})).encode()}
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
    """Milliseconds for which each picture is shown: each begins as near to its time as it can.

    Rounded alike, thirty a second would be 33.3 in a GIF, which counts in hundredths of a second.
    """
    step, least = (10, 20) if format == "gif" else (1, 1)
    begins = [round(at * 1000 / rate / step) * step for at in range(count + 1)]
    return [max(least, after - before) for before, after in pairwise(begins)]
