"""Measure and compare images."""

from __future__ import annotations

from math import isinf
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, Image, Range, node

from ._image_compare_facts import check_pair, histogram_size, palette_size


class PictureDifference(NamedTuple):
    """Where images differ, and by how much."""

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
    """Show the difference of two images: black where they are equal.

    The node also returns the root mean square of the difference of their values, 0 to 1.

    Args:
        image: The first image.
        other: An image of the same size: one for all, or as many.
        gain: Factor for the differences, to make small ones visible.
    """
    from nodegraph.media.images.editing.metrics import check_same_shape, differences, psnr

    check_same_shape(image, other)
    apart, rms = differences(image, other, gain)
    psnr_text = "no difference" if isinf(psnr(rms)) else f"PSNR {psnr(rms):.1f} dB"
    ctx.log(f"root mean square of the difference: {rms:.4g}, {psnr_text}")
    return PictureDifference(apart, rms)


class ImageLikeness(NamedTuple):
    """Similarity of images."""

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
    """Measure the similarity of two images: PSNR, SSIM, MS-SSIM, GMSD.

    PSNR is in decibels, and 100 for equal images. SSIM and MS-SSIM are 1 for equal images. GMSD is
    0 for equal images and compares edges, close to human perception. For a batch, the values are
    means.

    Args:
        image: The first image.
        other: An image of the same size: one for all, or as many.
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
    """Show one part of an image and the other part of another, like a before/after slider.

    Args:
        image: The left or upper image.
        other: The right or lower image. It is scaled to the same size.
        position: Position of the split, 0 to 1.
        direction: Side by side, or one above the other.
        line: Width of the white dividing line in pixels.
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
    """Draw a histogram of the values, from black on the left to white on the right.

    Args:
        image: The images. Each image of a batch gets a histogram.
        height: Height of the histogram in pixels. Its width is 256.
        logarithmic: Use a logarithmic scale, so that rare values are visible.
    """
    from nodegraph.media.images.editing.histograms import draw_histogram

    return draw_histogram(image, height, logarithmic=logarithmic)


class ImageFigures(NamedTuple):
    """Statistics of images."""

    mean: float
    deviation: float
    minimum: float
    maximum: float
    text: str


@node(category="image/compare", tags=("mean", "brightness", "minimum", "maximum", "info", "debug"))
def ImageStatistics(ctx: Context, image: Image) -> ImageFigures:
    """Measure the brightness of images, and the minimum, maximum and mean of each channel.

    Args:
        image: The images. A batch is measured as a whole. The number outputs refer to brightness.
    """
    from nodegraph.media.images.editing.histograms import brightness_statistics, describe_statistics

    text = describe_statistics(image)
    ctx.log(text)
    return ImageFigures(*brightness_statistics(image), text)


class ImageMeasures(NamedTuple):
    """Size and number of images."""

    width: int
    height: int
    batch: int
    channels: int


@node(
    category="image/compare",
    tags=("GetImageSize", "resolution", "dimensions", "count", "info", "image info"),
)
def ImageSize(image: Image) -> ImageMeasures:
    """Get the width, height, batch size and number of channels of images.

    Args:
        image: The images.
    """
    batch, height, width, channels = image.shape
    return ImageMeasures(width, height, batch, channels)


class FoundColors(NamedTuple):
    """Colors of an image, as text and as an image."""

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
    """Find the dominant colors of an image.

    Args:
        image: The image. Of a batch the first is used. Transparent areas are ignored.
        count: Number of colors, the most frequent first.
        width, height: Size of the palette image. Each color is as wide as its share.
    """
    from nodegraph.media.images.editing.histograms import color_strip
    from nodegraph.media.images.editing.quantization import color_names, dominant_colors

    palette = dominant_colors(image[:1], count)
    return FoundColors(color_names(palette), color_strip(palette, width, height))
