"""Pictures in other tones and colours; alpha is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from nodegraph import Advanced, Context, File, Image, Range, node

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
    """Make pictures brighter or darker, harder or softer.

    Args:
        image: Of any size.
        brightness: What values are multiplied by; 1 leaves them.
        contrast: How far they are spread about middle grey; 0 is grey alone, 1 leaves them.
    """
    from nodegraph.media.images.editing.adjustments import adjust_brightness_contrast

    return adjust_brightness_contrast(image, brightness, contrast)


@node(category="image/adjust", facts=SAME, tags=("stops", "ev", "gamma", "brightness"))
def AdjustExposure(
    image: Image,
    stops: Annotated[float, Range(-10, 10, step=0.1)] = 0.0,
    gamma: Annotated[float, Range(0.05, 10, step=0.05)] = 1.0,
) -> Image:
    """Expose pictures longer or shorter, and bend their middle tones by a gamma.

    Args:
        image: Of any size.
        stops: Each doubles the light, below 0 each halves it.
        gamma: Above 1 brightens middle tones, below 1 darkens them; black and white stay.
    """
    from nodegraph.media.images.editing.adjustments import adjust_exposure

    return adjust_exposure(image, stops, gamma)


@node(category="image/adjust", facts=SAME, tags=("fill light", "recover", "dodge", "burn"))
def ShadowsHighlights(
    image: Image,
    shadows: Annotated[float, Range(-1, 1, step=0.05)] = 0.0,
    highlights: Annotated[float, Range(-1, 1, step=0.05)] = 0.0,
) -> Image:
    """Lift or deepen dark parts and bright parts, each by itself.

    Args:
        image: Of any size.
        shadows: Above 0 makes dark parts brighter, below 0 darker.
        highlights: Above 0 makes bright parts brighter, below 0 darker.
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
    """Set which values become black and white, and bend those between.

    Args:
        image: Of any size.
        black: This value and those below become black.
        white: This value and those above become white.
        gamma: Above 1 brightens middle tones, below 1 darkens them.
        output_black: What black comes out as.
        output_white: What white comes out as; below output_black it is a negative.
        channel: All alike, or one alone.
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
    """Bend tones by a smooth curve through points.

    Args:
        image: Of any size.
        points: Old and new value of each, from 0 to 1, such as 0,0 0.5,0.6 1,1. The curve never
            overshoots them.
        channel: All alike, or one alone.
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
    """Turn hues, and make colours stronger, weaker, lighter or darker.

    Args:
        image: Of any size; grey has no hue to turn.
        hue: Degrees around the wheel: red becomes green at 120 and blue at 240.
        saturation: A factor; 0 is grey, 1 leaves colours.
        lightness: Towards white above 0, towards black below.
        vibrance: Like saturation, but strong colours change less.
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
    """Make colours warmer or colder, or take a colour cast away.

    Args:
        image: Of any size.
        temperature: Above 0 is warmer, below 0 is colder.
        tint: Above 0 is more magenta, below 0 greener.
        auto: Takes the mean for grey, or the brightest hundredth for white; the rest comes on top.
    """
    from nodegraph.media.images.editing.adjustments import white_balance

    return white_balance(image, temperature, tint, auto)


@node(category="image/adjust", facts=SAME, tags=("negative", "reverse", "ImageInvert"))
def InvertImage(image: Image) -> Image:
    """Turn pictures into their negatives.

    Args:
        image: Of any size; alpha stays as it is.
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
    """Take the colours out of pictures.

    Args:
        image: Of any size; has as many channels afterwards.
        method: Luma is what Pillow and JPEG take, luminance is how bright the light is; red, green
            and blue are as filters before the lens.
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
    """Colour pictures by their brightness: sepia, duotones, false colours.

    Args:
        image: Of any size.
        colors: From that of black to that of white, evenly spaced, such as black #ff8800 white.
        amount: How much of it; 0 leaves the picture.
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
    """Give pictures the colours of another one.

    Args:
        image: Of any size.
        reference: One for all, or one for each; of any size.
        method: Histogram is the closest match, the others are gentler.
        amount: How much of it; 0 leaves the picture.
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
    """Grade colours by a look-up table from a file.

    Args:
        image: Of any size; its values are taken as they are stored, in sRGB.
        path: A .cube file, 1D or 3D; relative paths start from the inputs folder.
        amount: How much of it; 0 leaves the picture.
    """
    from nodegraph.media.images.editing.luts import apply_table, read_cube

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    return apply_table(image, read_cube(file, names=environment.readable is None), amount)


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
    """Bring pictures down to a few colours.

    Args:
        image: Each of the batch gets colours of its own.
        colors: How many.
        palette: Colours to use instead, such as black white #ff8800.
        dither: How colours between are made of dots.
    """
    from nodegraph.media.images.colors import parse_colors
    from nodegraph.media.images.editing.quantization import quantize

    chosen = parse_colors(palette, "palette", least=1) if palette.strip() else []
    return quantize(image, colors, chosen, dither)


@node(category="image/adjust", facts=SAME, tags=("levels", "banding", "poster"))
def PosterizeImage(image: Image, levels: Annotated[int, Range(2, 256)] = 4) -> Image:
    """Leave a few levels of each channel.

    Args:
        image: Of any size.
        levels: Of each channel, from black to white.
    """
    from nodegraph.media.images.editing.adjustments import posterize

    return posterize(image, levels)


@node(category="image/adjust", facts=SAME, tags=("black and white", "binary", "cutoff"))
def ThresholdImage(
    image: Image,
    level: Annotated[float, Range(0, 1, step=0.01)] = 0.5,
    softness: Annotated[float, Range(0, 1, step=0.01)] = 0.0,
) -> Image:
    """Make bright parts white and dark ones black.

    Args:
        image: Of any size.
        level: Brightness from which on it is white.
        softness: How wide the step from black to white is.
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
    """Use all tones from black to white.

    Args:
        image: Of any size.
        method: Stretch keeps the colours, by channels it takes casts away; equalize makes all
            brightnesses as frequent, local does so place by place (CLAHE).
        cutoff: Of stretch: the share of pixels that may become black, and that may become white.
        limit: Of local: how far contrast may rise.
        tiles: Of local: places in each direction.
    """
    from nodegraph.media.images.editing.adjustments import auto_contrast
    from nodegraph.media.images.editing.histograms import clahe, equalize

    if method == "equalize":
        return equalize(image)
    if method == "local":
        return clahe(image, limit, tiles)
    return auto_contrast(image, cutoff, each_channel=method == "stretch channels")
