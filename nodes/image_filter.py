"""Pictures softer, sharper, grainier; alpha is left alone."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Advanced, Image, Range, Seed, node

from ._image_facts import SAME, check_colors, color_facts


@node(
    category="image/filter",
    facts=SAME,
    tags=(
        "gaussian",
        "box",
        "motion",
        "median",
        "bilateral",
        "soften",
        "denoise",
        "smooth",
        "ImageBlur",
        "motion blur",
        "lens blur",
    ),
)
def BlurImage(
    image: Image,
    radius: Annotated[float, Range(0, 500, step=0.5)] = 4.0,
    kind: Literal["gaussian", "box", "motion", "median", "surface"] = "gaussian",
    angle: Annotated[float, Range(-360, 360, step=1), Advanced()] = 0.0,
    edge: Annotated[float, Range(0.005, 1, step=0.005), Advanced()] = 0.1,
) -> Image:
    """Blur pictures.

    Args:
        image: Of any size.
        radius: In pixels; 0 leaves the picture. Of median and surface it counts up to 8.
        kind: Motion blurs along a line; median takes specks away; surface smooths and keeps edges.
        angle: Of motion, in degrees: 0 is level, 90 upright.
        edge: Of surface: differences that count as edges.
    """
    from nodegraph.media.images.editing.filters import blur

    return blur(image, kind, radius, angle, edge)


@node(
    category="image/filter",
    facts=SAME,
    tags=("unsharp mask", "usm", "crisp", "detail", "ImageSharpen", "clarity", "Laplace"),
)
def SharpenImage(
    image: Image,
    amount: Annotated[float, Range(0, 10, step=0.05)] = 0.8,
    radius: Annotated[float, Range(0.1, 100, step=0.1)] = 1.0,
    threshold: Annotated[float, Range(0, 1, step=0.005), Advanced()] = 0.0,
) -> Image:
    """Sharpen pictures by an unsharp mask.

    Args:
        image: Of any size.
        amount: How much; 0 leaves the picture.
        radius: Pixels of what is made crisper.
        threshold: Differences below it are left alone, so that noise isn't sharpened.
    """
    from nodegraph.media.images.editing.filters import sharpen

    return sharpen(image, amount, radius, threshold)


@node(category="image/filter", facts=SAME, tags=("detail", "frequency separation", "texture"))
def HighPass(image: Image, radius: Annotated[float, Range(0.1, 500, step=0.5)] = 5.0) -> Image:
    """Keep details alone, about middle grey: what a blur would take away.

    Args:
        image: Of any size.
        radius: Pixels of the largest details that are kept.
    """
    from nodegraph.media.images.editing.filters import high_pass

    return high_pass(image, radius)


@node(category="image/filter", facts=SAME, tags=("noise", "film", "analog", "iso", "ImageAddNoise"))
def AddGrain(
    image: Image,
    strength: Annotated[float, Range(0, 1, step=0.01)] = 0.08,
    size: Annotated[float, Range(1, 50, step=0.5)] = 1.0,
    seed: Annotated[int, Seed()] = 0,
    in_color: bool = False,
) -> Image:
    """Put film grain on pictures.

    Args:
        image: Each of a batch gets grain of its own.
        strength: How strong it is in middle tones.
        size: Of the grains, in pixels.
        seed: Another one gives other grain.
        in_color: Coloured grain instead of grey.
    """
    from nodegraph.media.images.editing.filters import add_grain

    return add_grain(image, strength, size, seed, in_color=in_color)


@node(
    category="image/filter",
    facts=SAME,
    validate=check_colors,
    tags=("corners", "dark edges", "lens"),
)
def Vignette(
    image: Image,
    strength: Annotated[float, Range(0, 1, step=0.05)] = 0.6,
    radius: Annotated[float, Range(0, 1, step=0.05)] = 0.4,
    softness: Annotated[float, Range(0, 2, step=0.05)] = 0.6,
    color: str = "black",
) -> Image:
    """Darken pictures towards their corners.

    Args:
        image: Of any size.
        strength: How dark it gets at `radius` + `softness` of the way to the corners, and beyond.
        radius: Where it begins, between the middle at 0 and the corners at 1.
        softness: How wide the way from light to dark is; where it ends beyond the corners, these
            get less dark.
        color: Of the corners.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.filters import vignette

    return vignette(image, strength, radius, softness, parse_color(color))


@node(category="image/filter", facts=SAME, tags=("mosaic", "pixel art", "censor", "blocks"))
def PixelateImage(image: Image, size: Annotated[int, Range(1, 1024)] = 8) -> Image:
    """Make pictures of squares.

    Args:
        image: Of any size; alpha becomes squares, too.
        size: Pixels of a side of the squares.
    """
    from nodegraph.media.images.editing.filters import pixelate

    return pixelate(image, size)


@node(category="image/filter", facts=SAME, tags=("relief", "bump", "bas-relief"))
def EmbossImage(
    image: Image,
    strength: Annotated[float, Range(0, 20, step=0.1)] = 1.0,
    angle: Annotated[float, Range(-360, 360, step=1)] = 135.0,
) -> Image:
    """Turn pictures into reliefs.

    Args:
        image: Of any size.
        strength: How high they are.
        angle: Degrees from which light falls: 0 is from the right, 90 from above.
    """
    from nodegraph.media.images.editing.filters import emboss

    return emboss(image, strength, angle)


@node(category="image/filter", facts=SAME, tags=("sobel", "outline", "gradient", "contour"))
def FindEdges(image: Image, strength: Annotated[float, Range(0, 20, step=0.1)] = 1.0) -> Image:
    """Show where pictures change: bright edges on black.

    Args:
        image: Of any size; each channel has edges of its own.
        strength: What they are multiplied by.
    """
    from nodegraph.media.images.editing.filters import find_edges

    return find_edges(image, strength)


@node(category="image/filter", facts=SAME, tags=("bloom", "halation", "dreamy", "orton"))
def GlowImage(
    image: Image,
    strength: Annotated[float, Range(0, 3, step=0.05)] = 0.6,
    radius: Annotated[float, Range(0.5, 500, step=0.5)] = 12.0,
    threshold: Annotated[float, Range(0, 1, step=0.05)] = 0.6,
) -> Image:
    """Let light spread from bright parts.

    Args:
        image: Of any size.
        strength: How much light.
        radius: Pixels that it spreads.
        threshold: Brightness from which on parts glow.
    """
    from nodegraph.media.images.editing.filters import glow

    return glow(image, strength, radius, threshold)


@node(category="image/filter", infer=color_facts, tags=("lens", "fringe", "rgb shift", "glitch"))
def ChromaticAberration(
    image: Image, amount: Annotated[float, Range(-100, 100, step=0.5)] = 3.0
) -> Image:
    """Give pictures the coloured fringes of a simple lens.

    Args:
        image: Of any size.
        amount: Pixels that red is moved outwards at the corners, and blue inwards.
    """
    from nodegraph.media.images.editing.filters import chromatic_aberration

    return chromatic_aberration(image, amount)
