"""Blur, sharpen and stylize images. Alpha does not change, except in PixelateImage."""

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
    """Blur images.

    Args:
        image: Images of any size.
        radius: Radius in pixels. 0 has no effect. Median and surface use at most 8.
        kind: Motion blurs along a line. Median removes specks. Surface smooths areas and keeps
            edges.
        angle: For motion: angle in degrees. 0 is horizontal, 90 vertical.
        edge: For surface: differences above this value count as edges.
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
    """Sharpen images with an unsharp mask.

    Args:
        image: Images of any size.
        amount: Strength. 0 has no effect.
        radius: Size of the sharpened details in pixels.
        threshold: Differences below this value are not sharpened, so that noise is not amplified.
    """
    from nodegraph.media.images.editing.filters import sharpen

    return sharpen(image, amount, radius, threshold)


@node(category="image/filter", facts=SAME, tags=("detail", "frequency separation", "texture"))
def HighPass(image: Image, radius: Annotated[float, Range(0.1, 500, step=0.5)] = 5.0) -> Image:
    """Keep only the details that a blur would remove, around middle gray.

    Args:
        image: Images of any size.
        radius: Size of the largest kept details in pixels.
    """
    from nodegraph.media.images.editing.filters import high_pass

    return high_pass(image, radius)


@node(category="image/filter", facts=SAME, tags=("noise", "film", "analog", "iso"))
def AddGrain(
    image: Image,
    strength: Annotated[float, Range(0, 1, step=0.01)] = 0.08,
    size: Annotated[float, Range(1, 50, step=0.5)] = 1.0,
    seed: Annotated[int, Seed()] = 0,
    in_color: bool = False,
) -> Image:
    """Add film grain to images.

    Args:
        image: The images. Each image of a batch gets different grain.
        strength: Strength of the grain in midtones.
        size: Size of the grains in pixels.
        seed: Random seed of the grain.
        in_color: Color grain instead of gray.
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
    """Darken images towards their corners.

    Args:
        image: Images of any size.
        strength: Darkness at `radius` + `softness` of the distance to the corners, and beyond.
        radius: Start of the transition: 0 is the center, 1 the corners.
        softness: Width of the transition. If it ends beyond the corners, the corners are less dark.
        color: Color of the corners.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.filters import vignette

    return vignette(image, strength, radius, softness, parse_color(color))


@node(category="image/filter", facts=SAME, tags=("ImageAddNoise", "gaussian noise", "grain"))
def AddImageNoise(
    image: Image,
    strength: Annotated[float, Range(0, 1, step=0.01)] = 0.5,
    seed: Annotated[int, Seed()] = 0,
    draw: Annotated[Literal["per item", "per batch"], Advanced()] = "per item",
) -> Image:
    """Add Gaussian noise of the same strength to all colors. For film grain, use AddGrain.

    Args:
        image: Images of any size.
        strength: Standard deviation of the noise. Results are clamped to 0 and 1.
        seed: Random seed of the noise of the first image. Each following image uses the next seed.
        draw: With per batch, the noise of all images is drawn from the seed at once, as in ComfyUI.
    """
    from nodegraph.media.images.editing.filters import add_noise

    return add_noise(image, strength, seed, at_once=draw == "per batch")


@node(
    category="image/filter",
    facts=SAME,
    tags=("Morphology", "erode", "dilate", "opening", "closing", "top hat", "black hat"),
)
def MorphImage(
    image: Image,
    operation: Literal[
        "erode", "dilate", "open", "close", "gradient", "top hat", "bottom hat"
    ] = "erode",
    radius: Annotated[int, Range(1, 499)] = 1,
) -> Image:
    """Apply a morphological operation to images. For masks, use GrowMask.

    Args:
        image: Images of any size.
        operation: erode and dilate take the minimum and the maximum in a square. open removes small
            bright details, close small dark ones. gradient shows edges, top hat what open removes,
            bottom hat what close removes.
        radius: Pixels that the square reaches to each side. Its side is 2 · radius + 1.
    """
    from nodegraph.media.images.editing.filters import morph

    return morph(image, operation, radius)


@node(category="image/filter", facts=SAME, tags=("mosaic", "pixel art", "censor", "blocks"))
def PixelateImage(image: Image, size: Annotated[int, Range(1, 1024)] = 8) -> Image:
    """Pixelate images into squares.

    Args:
        image: Images of any size. Alpha is pixelated too.
        size: Side of the squares in pixels.
    """
    from nodegraph.media.images.editing.filters import pixelate

    return pixelate(image, size)


@node(category="image/filter", facts=SAME, tags=("relief", "bump", "bas-relief"))
def EmbossImage(
    image: Image,
    strength: Annotated[float, Range(0, 20, step=0.1)] = 1.0,
    angle: Annotated[float, Range(-360, 360, step=1)] = 135.0,
) -> Image:
    """Emboss images, as a relief.

    Args:
        image: Images of any size.
        strength: Height of the relief.
        angle: Direction of the light in degrees: 0 is from the right, 90 from above.
    """
    from nodegraph.media.images.editing.filters import emboss

    return emboss(image, strength, angle)


@node(category="image/filter", facts=SAME, tags=("sobel", "outline", "gradient", "contour"))
def FindEdges(image: Image, strength: Annotated[float, Range(0, 20, step=0.1)] = 1.0) -> Image:
    """Detect edges with a Sobel filter: bright edges on black.

    Args:
        image: Images of any size. Each channel is processed separately.
        strength: Factor for the edges.
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
    """Add a glow around bright areas (bloom).

    Args:
        image: Images of any size.
        strength: Strength of the glow.
        radius: Radius of the glow in pixels.
        threshold: Brightness at which areas start to glow.
    """
    from nodegraph.media.images.editing.filters import glow

    return glow(image, strength, radius, threshold)


@node(category="image/filter", infer=color_facts, tags=("lens", "fringe", "rgb shift", "glitch"))
def ChromaticAberration(
    image: Image, amount: Annotated[float, Range(-100, 100, step=0.5)] = 3.0
) -> Image:
    """Add the color fringes of a simple lens.

    Args:
        image: Images of any size.
        amount: Shift at the corners in pixels: red outwards, blue inwards.
    """
    from nodegraph.media.images.editing.filters import chromatic_aberration

    return chromatic_aberration(image, amount)
