"""Pictures measured and compared."""

from __future__ import annotations

from math import log10
from typing import Annotated, NamedTuple

from nodegraph import Context, Image, InvalidValue, Range, node


class PictureDifference(NamedTuple):
    """Where pictures differ, and how much."""

    image: Image
    rms: float


@node(
    category="image/compare",
    facts={
        "image": {name: f"image.{name}" for name in ("width", "height", "batch")},
    },
    tags=("compare", "subtract", "psnr"),
)
def ImageDifference(
    ctx: Context,
    image: Image,
    other: Image,
    gain: Annotated[float, Range(0, 1000, step=0.5)] = 4.0,
) -> PictureDifference:
    """Show where two pictures differ: black where they don't.

    Gives the root of the mean squared difference of their values, too, 0 to 1.

    Args:
        image: Any.
        other: As large, and as many.
        gain: What the differences are multiplied by, so that small ones show.
    """
    if image.shape != other.shape:
        raise InvalidValue(
            "the pictures aren't alike in size, number or channels",
            port="other",
            given=" x ".join(map(str, other.shape)),
            expected=" x ".join(map(str, image.shape)),
        )
    apart = (image - other).abs()
    rms = float(apart.square().mean().sqrt())
    ctx.log(f"root mean square of the difference: {rms:.4g}, {_psnr(rms)}")
    return PictureDifference((apart * gain).clamp(0, 1), rms)


def _psnr(rms: float) -> str:
    return f"PSNR {-20 * log10(rms):.1f} dB" if rms else "no difference at all"
