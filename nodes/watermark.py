"""Invisible watermarks of images."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Context, Image, Range, node
from nodegraph.errors import at_port

from ._image_facts import check_watermark_room


class DetectedWatermark(NamedTuple):
    """What the watermark of an image says, if it has one."""

    detected: bool
    payload: int
    strength: float
    scale: float


@node(
    category="image/filter",
    facts={"image": {name: f"image.{name}" for name in ("width", "height", "batch", "channels")}},
    validate=check_watermark_room,
    tags=("invisible watermark", "provenance", "dwtDct", "steganography", "mark as AI", "C2PA"),
)
def WatermarkImage(
    ctx: Context,
    image: Image,
    payload: Annotated[int, Range(0, 4_294_967_295)] = 0,
    strength: Annotated[float, Range(0.25, 4, step=0.25), Advanced()] = 1.0,
) -> Image:
    """Add an invisible watermark that carries a number.

    ReadWatermark reads it, also after JPEG, resizing and cropping, but not after rotation. The
    pattern is public: anyone can read, copy or remove it. It shows where an image comes from and
    proves nothing.

    Args:
        image: The images, at least 256 pixels on each side. Transparency stays.
        payload: The number, 32 bits, for example of a project or a user.
        strength: Factor of the amplitude. Less is harder to see, more is easier to read.
    """
    import torch

    from nodegraph.provenance.watermark import embed_watermark

    marked = []
    for at, item in enumerate(image):
        with at_port("image"):
            values = embed_watermark(item.numpy(force=True), payload, strength=strength)
        marked.append(torch.from_numpy(values))
        ctx.progress(at + 1, len(image))
    return torch.stack(marked)


@node(
    category="image/compare",
    tags=("invisible watermark", "detect watermark", "provenance", "decode"),
)
def ReadWatermark(ctx: Context, image: Image) -> DetectedWatermark:
    """Read the invisible watermark of an image.

    Of a batch, the first image with a watermark counts. A checksum prevents wrong readings.

    Args:
        image: The image; it may be compressed, resized or cropped.
    """
    from nodegraph.provenance.watermark import WatermarkReading, read_watermark

    best = WatermarkReading(None, 0.0)
    for at, item in enumerate(image):
        reading = read_watermark(item.numpy(force=True))
        ctx.progress(at + 1, len(image))
        if reading.payload is not None:
            ctx.log(f"watermark {reading.payload:08x}, at {reading.scale:.3g} of its size")
            return DetectedWatermark(True, reading.payload, reading.strength, reading.scale)
        if reading.strength > best.strength:
            best = reading
    ctx.log("no watermark")
    return DetectedWatermark(False, 0, best.strength, 1.0)
