"""Adjust tones and colors of images. Alpha does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from nodegraph import Advanced, Context, File, Image, Range, node

from ._credentials import warn_if_changed
from ._facts import image_state
from ._image_adjust_facts import adjusted_facts, check_adjustment, check_cube
from ._image_facts import SAME, check_colors, color_facts

_Channel = Literal["all", "red", "green", "blue"]


@node(
    category="image/adjust",
    facts=SAME,
    tags=("lighten", "darken", "brightness", "contrast"),
)
def BrightnessContrast(
    image: Image,
    brightness: Annotated[float, Range(0, 5, step=0.05)] = 1.0,
    contrast: Annotated[float, Range(0, 5, step=0.05)] = 1.0,
) -> Image:
    """Change the brightness and contrast of images.

    Args:
        image: Images of any size.
        brightness: Factor for the values. 1 has no effect.
        contrast: Factor for the distance from middle gray. 0 gives plain gray, 1 has no effect.
    """
    from nodegraph.media.images.editing.adjustments import adjust_brightness_contrast

    return adjust_brightness_contrast(image, brightness, contrast)


@node(category="image/adjust", facts=SAME, tags=("stops", "ev", "gamma", "brightness"))
def AdjustExposure(
    image: Image,
    stops: Annotated[float, Range(-10, 10, step=0.1)] = 0.0,
    gamma: Annotated[float, Range(0.05, 10, step=0.05)] = 1.0,
) -> Image:
    """Change the exposure of images, and their midtones by a gamma curve.

    Args:
        image: Images of any size.
        stops: Each stop doubles the light. Negative stops halve it.
        gamma: Values above 1 brighten midtones, values below 1 darken them. Black and white do not
            change.
    """
    from nodegraph.media.images.editing.adjustments import adjust_exposure

    return adjust_exposure(image, stops, gamma)


@node(category="image/adjust", facts=SAME, tags=("fill light", "recover", "dodge", "burn"))
def ShadowsHighlights(
    image: Image,
    shadows: Annotated[float, Range(-1, 1, step=0.05)] = 0.0,
    highlights: Annotated[float, Range(-1, 1, step=0.05)] = 0.0,
) -> Image:
    """Brighten or darken shadows and highlights separately.

    Args:
        image: Images of any size.
        shadows: Positive values brighten dark areas, negative values darken them.
        highlights: Positive values brighten bright areas, negative values darken them.
    """
    from nodegraph.media.images.editing.adjustments import shadows_and_highlights

    return shadows_and_highlights(image, shadows, highlights)


@node(
    category="image/adjust",
    infer=adjusted_facts,
    validate=check_adjustment,
    tags=("photoshop", "black point", "white point", "gamma", "remap"),
)
def AdjustLevels(
    image: Image,
    black: Annotated[float, Range(0, 1, step=0.01)] = 0.0,
    white: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    gamma: Annotated[float, Range(0.05, 10, step=0.05)] = 1.0,
    output_black: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 0.0,
    output_white: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 1.0,
    channel: Annotated[_Channel, Advanced()] = "all",
) -> Image:
    """Set the black point, the white point and the gamma between them.

    Args:
        image: Images of any size.
        black: This value and all below become black.
        white: This value and all above become white.
        gamma: Values above 1 brighten midtones, values below 1 darken them.
        output_black: Output value of black.
        output_white: Output value of white. A value below output_black gives a negative.
        channel: All channels, or a single one.
    """
    from nodegraph.media.images.editing.adjustments import levels

    return levels(image, black, white, gamma, output_black, output_white, channel)


@node(
    category="image/adjust",
    infer=adjusted_facts,
    validate=check_adjustment,
    tags=("photoshop", "tone curve", "spline", "gradation", "solarize"),
)
def AdjustCurves(
    image: Image,
    points: str = "0,0 0.25,0.18 0.75,0.82 1,1",
    channel: _Channel = "all",
) -> Image:
    """Adjust tones by a smooth curve through points.

    Args:
        image: Images of any size.
        points: Input and output value of each point, from 0 to 1, for example 0,0 0.5,0.6 1,1. The
            curve does not overshoot the points.
        channel: All channels, or a single one.
    """
    from nodegraph.media.images.editing.adjustments import curve, parse_curve

    return curve(image, parse_curve(points), channel)


@node(
    category="image/adjust",
    facts=SAME,
    tags=(
        "hsl",
        "hsv",
        "hue",
        "saturation",
        "vibrance",
        "desaturate",
        "color",
        "ColorCorrect",
        "ColorAdjust",
    ),
)
def HueSaturation(
    image: Image,
    hue: Annotated[float, Range(-360, 360, step=1)] = 0.0,
    saturation: Annotated[float, Range(0, 5, step=0.05)] = 1.0,
    lightness: Annotated[float, Range(-1, 1, step=0.05)] = 0.0,
    vibrance: Annotated[float, Range(-1, 1, step=0.05)] = 0.0,
) -> Image:
    """Shift hues, and change saturation, lightness and vibrance.

    Args:
        image: Images of any size. Gray has no hue to shift.
        hue: Hue shift in degrees. Red becomes green at 120 and blue at 240.
        saturation: Factor for the saturation. 0 gives gray, 1 has no effect.
        lightness: Positive values go towards white, negative values towards black.
        vibrance: Like saturation, but saturated colors change less.
    """
    from nodegraph.media.images.editing.adjustments import adjust_hue_saturation

    return adjust_hue_saturation(image, hue, saturation, lightness, vibrance)


@node(
    category="image/adjust",
    infer=color_facts,
    tags=("temperature", "tint", "warm", "cold", "color cast", "grey world", "gray world"),
)
def WhiteBalance(
    image: Image,
    temperature: Annotated[float, Range(-1, 1, step=0.05)] = 0.0,
    tint: Annotated[float, Range(-1, 1, step=0.05)] = 0.0,
    auto: Literal["none", "grey world", "brightest"] = "none",
) -> Image:
    """Make colors warmer or cooler, or remove a color cast.

    Args:
        image: Images of any size.
        temperature: Positive values are warmer, negative values cooler.
        tint: Positive values are more magenta, negative values greener.
        auto: Automatic white balance: the mean becomes gray, or the brightest hundredth of the
            pixels becomes white. Temperature and tint are applied afterwards.
    """
    from nodegraph.media.images.editing.adjustments import white_balance

    return white_balance(image, temperature, tint, auto)


@node(category="image/adjust", facts=SAME, tags=("negative", "reverse", "ImageInvert"))
def InvertImage(image: Image) -> Image:
    """Invert the colors of images (negative).

    Args:
        image: Images of any size. Alpha does not change.
    """
    from nodegraph.media.images.editing.adjustments import invert

    return invert(image)


@node(
    category="image/adjust",
    facts=SAME,
    tags=("black and white", "monochrome", "desaturate", "gray", "grey"),
)
def Grayscale(
    image: Image,
    method: Literal["luma", "luminance", "average", "lightness", "red", "green", "blue"] = "luma",
) -> Image:
    """Convert images to grayscale.

    Args:
        image: Images of any size. The number of channels does not change.
        method: How gray is computed. Luma is the formula of Pillow and JPEG, luminance the physical
            brightness. Red, green and blue act like color filters on a lens.
    """
    from nodegraph.media.images.editing.adjustments import to_grey

    return to_grey(image, method)


@node(
    category="image/adjust",
    infer=color_facts,
    validate=check_colors,
    tags=("sepia", "duotone", "tint", "colorize", "false color", "toning"),
)
def GradientMap(
    image: Image,
    colors: str = "#1a1108 #8a6136 #fff4de",
    amount: Annotated[float, Range(0, 1, step=0.05)] = 1.0,
) -> Image:
    """Map brightness to a color gradient: sepia, duotone, false colors.

    Args:
        image: Images of any size.
        colors: Evenly spaced colors from black to white, for example black #ff8800 white.
        amount: Strength. 0 has no effect.
    """
    from nodegraph.media.images.colors import parse_colors
    from nodegraph.media.images.editing.adjustments import map_gradient

    return map_gradient(image, parse_colors(colors), amount)


@node(
    category="image/adjust",
    infer=color_facts,
    tags=(
        "color transfer",
        "color correct",
        "reinhard",
        "grade",
        "histogram matching",
        "ColorTransfer",
        "color match",
        "ColorMatch",
    ),
)
def MatchColors(
    image: Image,
    reference: Image,
    method: Literal["mean and spread", "histogram", "covariance"] = "mean and spread",
    amount: Annotated[float, Range(0, 1, step=0.05)] = 1.0,
) -> Image:
    """Match the colors of images to a reference image.

    Args:
        image: Images of any size.
        reference: One image for all, or one for each, of any size.
        method: Histogram gives the closest match, the other methods are more gentle.
        amount: Strength. 0 has no effect.
    """
    from nodegraph.media.images.editing.histograms import match_colors

    return match_colors(image, reference, method, amount)


@node(
    category="image/adjust",
    infer=color_facts,
    validate=check_cube,
    fingerprint=image_state,
    tags=("cube", "color grading", "look", "3d lut", "film"),
)
def ApplyLut(
    ctx: Context,
    image: Image,
    path: Annotated[str, File("cube")],
    amount: Annotated[float, Range(0, 1, step=0.05)] = 1.0,
) -> Image:
    """Apply a color look-up table (LUT) from a file.

    Args:
        image: Images of any size. The LUT is applied to the stored sRGB values.
        path: A .cube file, 1D or 3D. Relative paths start from the inputs folder.
        amount: Strength. 0 has no effect.
    """
    from nodegraph.media.images.editing.luts import apply_table, read_cube

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    table = read_cube(file, names=environment.readable is None)
    warn_if_changed(ctx, file)
    return apply_table(image, table, amount)


@node(
    category="image/adjust",
    infer=color_facts,
    validate=check_colors,
    tags=("palette", "dither", "pixel art", "reduce colors", "indexed", "gif", "ImageQuantize"),
)
def QuantizeImage(
    image: Image,
    colors: Annotated[int, Range(2, 256)] = 16,
    palette: str = "",
    dither: Literal["none", "floyd-steinberg", "ordered"] = "none",
) -> Image:
    """Reduce images to a small number of colors.

    Args:
        image: The images. Each image of a batch gets a separate palette.
        colors: Number of colors.
        palette: Fixed colors to use instead, for example black white #ff8800.
        dither: How colors in between are simulated by dots.
    """
    from nodegraph.media.images.colors import parse_colors
    from nodegraph.media.images.editing.quantization import quantize

    chosen = parse_colors(palette, "palette", least=1) if palette.strip() else []
    return quantize(image, colors, chosen, dither)


@node(category="image/adjust", facts=SAME, tags=("levels", "banding", "poster"))
def PosterizeImage(image: Image, levels: Annotated[int, Range(2, 256)] = 4) -> Image:
    """Reduce each channel to a small number of levels.

    Args:
        image: Images of any size.
        levels: Levels per channel, from black to white.
    """
    from nodegraph.media.images.editing.adjustments import posterize

    return posterize(image, levels)


@node(category="image/adjust", facts=SAME, tags=("black and white", "binary", "cutoff"))
def ThresholdImage(
    image: Image,
    level: Annotated[float, Range(0, 1, step=0.01)] = 0.5,
    softness: Annotated[float, Range(0, 1, step=0.01)] = 0.0,
) -> Image:
    """Convert images to black and white by a brightness threshold.

    Args:
        image: Images of any size.
        level: Brightness at and above which a pixel becomes white.
        softness: Width of the transition from black to white.
    """
    from nodegraph.media.images.editing.adjustments import threshold

    return threshold(image, level, softness)


@node(
    category="image/adjust",
    facts=SAME,
    tags=("normalize", "equalize", "clahe", "auto levels", "histogram", "stretch"),
)
def AutoContrast(
    image: Image,
    method: Literal["stretch", "stretch channels", "equalize", "local"] = "stretch",
    cutoff: Annotated[float, Range(0, 0.4, step=0.005)] = 0.005,
    limit: Annotated[float, Range(1, 40, step=0.5), Advanced()] = 3.0,
    tiles: Annotated[int, Range(1, 64), Advanced()] = 8,
) -> Image:
    """Stretch or equalize tones to the full range from black to white.

    Args:
        image: Images of any size.
        method: Stretch keeps colors; by channels, it also removes color casts. Equalize makes all
            brightness levels equally frequent. Local does so per tile (CLAHE).
        cutoff: For stretch: share of the pixels that may become black, and share that may become
            white.
        limit: For local: limit of the contrast gain.
        tiles: For local: number of tiles in each direction.
    """
    from nodegraph.media.images.editing.adjustments import auto_contrast
    from nodegraph.media.images.editing.histograms import clahe, equalize

    if method == "equalize":
        return equalize(image)
    if method == "local":
        return clahe(image, limit, tiles)
    return auto_contrast(image, cutoff, each_channel=method == "stretch channels")
