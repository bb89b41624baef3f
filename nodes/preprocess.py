"""ControlNet preprocessors."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Advanced, Context, Image, Preprocessor, Range, node

from ._mask_facts import SAME_SIZE_RGB

_CATEGORY = "control/preprocess"


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("canny", "edge detection", "outline", "hint", "ControlNet", "CannyEdgePreprocessor"),
)
def CannyEdges(
    image: Image,
    low: Annotated[float, Range(0, 1, step=0.005)] = 0.045,
    high: Annotated[float, Range(0, 1, step=0.005)] = 0.105,
) -> Image:
    """Detect thin edges (Canny): white on black.

    The embedded edge ControlNet was trained on these edges, with the default thresholds.

    Args:
        image: Any image.
        low: Low threshold: minimum gradient per pixel to continue an edge. Lower values find more
            edges.
        high: High threshold: minimum gradient per pixel to start an edge.
    """
    from nodegraph.media.images.preprocessing import canny_edges

    return canny_edges(image, low, high)


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("hed", "pidinet", "softedge", "sobel", "gradient", "ControlNet"),
)
def SoftEdges(image: Image, smoothing: Annotated[float, Range(0.3, 20, step=0.1)] = 1.0) -> Image:
    """Detect soft edges in gray: stronger edges are whiter.

    Args:
        image: Any image. Its strongest edge becomes white.
        smoothing: Blur radius in pixels before detection. Larger values keep only the outlines.
    """
    from nodegraph.media.images.preprocessing import soft_edges

    return soft_edges(image, smoothing)


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("lineart", "xdog", "drawing", "pen", "manga", "ControlNet"),
)
def LineArt(
    image: Image,
    width: Annotated[float, Range(0.3, 10, step=0.1)] = 0.8,
    threshold: Annotated[float, Range(0, 0.5, step=0.005)] = 0.02,
) -> Image:
    """Extract line art from an image: white lines on black.

    Args:
        image: Any image.
        width: Line width in pixels.
        threshold: How much darker than its surroundings a line must be.
    """
    from nodegraph.media.images.preprocessing import line_art

    return line_art(image, width, threshold)


@node(
    category=_CATEGORY, facts=SAME_SIZE_RGB, tags=("sketch", "doodle", "hand drawn", "ControlNet")
)
def Scribble(
    image: Image,
    threshold: Annotated[float, Range(0, 1, step=0.01)] = 0.12,
    thickness: Annotated[int, Range(0, 64)] = 2,
) -> Image:
    """Extract rough outlines like a hand-drawn scribble: thick white lines on black.

    Args:
        image: Any image.
        threshold: How much a line must differ from its surroundings.
        thickness: Pixels by which lines are thickened on each side.
    """
    from nodegraph.media.images.preprocessing import scribble

    return scribble(image, threshold, thickness)


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("tile", "upscale", "detail", "ControlNet"),
)
def TileHint(image: Image, factor: Annotated[float, Range(1, 64, step=0.5)] = 4.0) -> Image:
    """Remove details from an image for a tile ControlNet, which generates new details.

    Args:
        image: Any image.
        factor: Factor by which the image is scaled down, and then up again.
    """
    from nodegraph.media.images.preprocessing import tile_hint

    return tile_hint(image, factor)


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("color", "palette", "mosaic", "pixelate", "t2i adapter", "ControlNet"),
)
def ColorBlocks(image: Image, size: Annotated[int, Range(1, 1024)] = 32) -> Image:
    """Reduce an image to squares of one color each.

    Args:
        image: Any image.
        size: Side of the squares in pixels.
    """
    from nodegraph.media.images.preprocessing import color_blocks

    return color_blocks(image, size)


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("normal", "bump", "height", "depth", "normalmap", "ControlNet"),
)
def NormalMap(
    image: Image,
    strength: Annotated[float, Range(0, 100, step=0.5)] = 4.0,
    green: Annotated[Literal["up", "down"], Advanced()] = "up",
) -> Image:
    """Compute a normal map from a height or depth map.

    Args:
        image: A height or depth map. Bright is high, or near.
        strength: Steepness of the slopes.
        green: Direction of full green: up as in OpenGL, or down as in DirectX.
    """
    from nodegraph.media.images.preprocessing import normal_map

    return normal_map(image, strength, green_up=green == "up")


@node(category=_CATEGORY, tags=("AIO preprocessor", "aux", "annotator", "ControlNet"))
def SelectPreprocessor(
    kind: Literal[
        "canny edges",
        "soft edges",
        "line art",
        "scribble",
        "tile",
        "color blocks",
        "blur",
        "posterize",
        "normal map",
    ] = "canny edges",
) -> Preprocessor:
    """Select a ControlNet preprocessor for Preprocess.

    Args:
        kind: The node of that name, or BlurImage and PosterizeImage, with default settings. Packs
            add other preprocessors as nodes.
    """
    from nodegraph.media.images.preprocessing import PREPROCESSORS

    return Preprocessor(PREPROCESSORS[kind], kind)


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("AIO preprocessor", "aux", "annotator", "hint", "ControlNet"),
)
def Preprocess(
    ctx: Context,
    image: Image,
    preprocessor: Preprocessor,
    resolution: Annotated[int, Range(0, 4096, step=64)] = 0,
) -> Image:
    """Apply a ControlNet preprocessor to images.

    Args:
        image: Any image.
        preprocessor: A preprocessor, from SelectPreprocessor or a node of a pack.
        resolution: Shorter side in pixels at which it works. 0 uses the size of the image. The
            result always has the size of the image.
    """
    from nodegraph.media.images.preprocessing import preprocess

    made = preprocess(image, preprocessor, resolution)
    if float(made.max() - made.min()) == 0:
        ctx.log(f"{preprocessor.name} found nothing in the image.", "warning")
    return made
