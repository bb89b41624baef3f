"""Pictures that follow each other, as one WebP that any browser moves."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

from nodegraph.images.images import picture_options, to_pil

if TYPE_CHECKING:
    from torch import Tensor


def encode_animation(
    frames: Tensor, rate: float, metadata: Mapping[str, str] | None = None, quality: int = 80
) -> bytes:
    """An animation that begins anew again and again, as the bytes of a WebP.

    Args:
        frames: float32 in 0..1, shape (frames, height, width, 3).
        rate: Frames a second.
        metadata: See `encode_image_file`.
        quality: 1 to 100.
    Raises:
        InvalidValue, NumericalError: See `to_pil`.
    """
    first, *others = [to_pil(frame) for frame in frames]
    buffer = BytesIO()
    first.save(
        buffer,
        **picture_options("webp", dict(metadata or {}), quality),
        save_all=True,
        append_images=others,
        duration=round(1000 / rate),
        loop=0,
        method=3,
    )
    return buffer.getvalue()
