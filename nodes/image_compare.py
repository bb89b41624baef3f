"""Pictures measured and compared."""

from __future__ import annotations

from math import isinf
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, Image, Range, node

from ._image_compare_facts import check_pair, histogram_size, palette_size


class PictureDifference(NamedTuple):
    """Where pictures differ, and how much."""

    image: Image
    rms: float


@node(
    category="image/compare",
    facts={
        "image": {name: f"image.{name}" for name in ("width", "height", "batch")},
    },
    validate=check_pair,
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
        other: As large; one for all, or as many.
        gain: What the differences are multiplied by, so that small ones show.
    """
    from nodegraph.media.images.editing.metrics import check_same_shape, differences, psnr

    check_same_shape(image, other)
    apart, rms = differences(image, other, gain)
    psnr_text = "no difference at all" if isinf(psnr(rms)) else f"PSNR {psnr(rms):.1f} dB"
    ctx.log(f"root mean square of the difference: {rms:.4g}, {psnr_text}")
    return PictureDifference(apart, rms)


class ImageLikeness(NamedTuple):
    """How alike pictures are."""

    psnr: float
    ssim: float
    ms_ssim: float
    gmsd: float
    mae: float
    text: str


@node(
    category="image/compare",
    validate=check_pair,
    tags=("psnr", "ssim", "similarity", "quality", "metrics", "perceptual", "mse"),
)
def CompareImages(ctx: Context, image: Image, other: Image) -> ImageLikeness:
    """Measure how alike two pictures are: PSNR, SSIM, MS-SSIM, GMSD.

    PSNR is in decibels, 100 for equal pictures; SSIM and MS-SSIM are 1 for those; GMSD is 0, and
    goes by edges, as eyes do. Of a batch it is the mean.

    Args:
        image: Any.
        other: As large; one for all, or as many.
    """
    from nodegraph.media.images.editing.metrics import compare

    likeness = compare(image, other)
    psnr = min(likeness.psnr, 100.0)
    text = (
        f"PSNR {psnr:.2f} dB, SSIM {likeness.ssim:.4f}, MS-SSIM {likeness.ms_ssim:.4f}, "
        f"GMSD {likeness.gmsd:.4f}, mean difference {likeness.mae:.4f}"
    )
    ctx.log(text)
    return ImageLikeness(psnr, likeness.ssim, likeness.ms_ssim, likeness.gmsd, likeness.mae, text)


@node(
    category="image/compare",
    facts={"image": {name: f"image.{name}" for name in ("width", "height", "batch")}},
    tags=(
        "slider",
        "before after",
        "wipe",
        "split screen",
        "comparison",
        "ImageCompare",
        "compare slider",
        "image comparer",
        "A/B",
    ),
)
def SplitView(
    image: Image,
    other: Image,
    position: Annotated[float, Range(0, 1, step=0.05)] = 0.5,
    direction: Literal["horizontal", "vertical"] = "horizontal",
    line: Annotated[int, Range(0, 100), Advanced()] = 2,
) -> Image:
    """Show the one part of a picture and the other part of another, as a slider does.

    Args:
        image: To the left, or above.
        other: To the right, or below; scaled to the same size.
        position: Where the one ends and the other begins.
        direction: Beside each other, or above each other.
        line: Pixels of the white line between them.
    """
    from nodegraph.media.images.editing.metrics import split_view

    return split_view(image, other, position, direction, line)


@node(
    category="image/compare",
    infer=histogram_size,
    tags=("levels", "distribution", "exposure", "tones"),
)
def ImageHistogram(
    image: Image,
    height: Annotated[int, Range(16, 4096)] = 128,
    logarithmic: bool = False,
) -> Image:
    """Draw how often each value is, from black at the left to white at the right.

    Args:
        image: Each of a batch gets its own.
        height: Of the drawing, in pixels; it is 256 wide.
        logarithmic: Let rare values show.
    """
    from nodegraph.media.images.editing.histograms import draw_histogram

    return draw_histogram(image, height, logarithmic=logarithmic)


class ImageFigures(NamedTuple):
    """Figures of pictures."""

    mean: float
    deviation: float
    minimum: float
    maximum: float
    text: str


@node(category="image/compare", tags=("mean", "brightness", "minimum", "maximum", "info", "debug"))
def ImageStatistics(ctx: Context, image: Image) -> ImageFigures:
    """Tell how bright pictures are, and each channel's smallest, largest and mean value.

    Args:
        image: All of a batch together; the numbers are those of brightness.
    """
    from nodegraph.media.images.editing.histograms import brightness_statistics, describe_statistics

    text = describe_statistics(image)
    ctx.log(text)
    return ImageFigures(*brightness_statistics(image), text)


class ImageMeasures(NamedTuple):
    """How large pictures are, and how many."""

    width: int
    height: int
    batch: int
    channels: int


@node(
    category="image/compare",
    tags=("GetImageSize", "resolution", "dimensions", "count", "info", "image info"),
)
def ImageSize(image: Image) -> ImageMeasures:
    """Tell the width, height and number of pictures.

    Args:
        image: Any.
    """
    batch, height, width, channels = image.shape
    return ImageMeasures(width, height, batch, channels)


class FoundColors(NamedTuple):
    """Colours of a picture, as texts and as a picture."""

    colors: list[str]
    image: Image


@node(
    category="image/compare",
    infer=palette_size,
    tags=("palette", "color picker", "swatches", "eyedropper", "hex"),
)
def DominantColors(
    image: Image,
    count: Annotated[int, Range(1, 64)] = 5,
    width: Annotated[int, Range(1, 16384), Advanced()] = 256,
    height: Annotated[int, Range(1, 16384), Advanced()] = 64,
) -> FoundColors:
    """Find the colours that a picture is mostly of.

    Args:
        image: Of a batch the first; what is transparent doesn't count.
        count: How many, the most frequent first.
        width, height: Of the picture of them, each as wide as its share.
    """
    from nodegraph.media.images.editing.histograms import color_strip
    from nodegraph.media.images.editing.quantization import color_names, dominant_colors

    palette = dominant_colors(image[:1], count)
    return FoundColors(color_names(palette), color_strip(palette, width, height))
