"""Pictures made into what leads a model through a control network."""

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
    """Find thin edges: white on black.

    The embedded edge ControlNet was trained on them, with the thresholds as they are here.

    Args:
        image: Any.
        low: The weakest change per pixel that goes on with an edge; less finds more.
        high: The weakest change per pixel that begins an edge.
    """
    from nodegraph.media.images.preprocessing import canny_edges

    return canny_edges(image, low, high)


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("hed", "pidinet", "softedge", "sobel", "gradient", "ControlNet"),
)
def SoftEdges(image: Image, smoothing: Annotated[float, Range(0.3, 20, step=0.1)] = 1.0) -> Image:
    """Find edges in gray: the stronger, the whiter.

    Args:
        image: Any; the strongest edge of each is white.
        smoothing: Pixels that are smoothed over first; more leaves only the outlines.
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
    """Draw a picture's lines as with a pen: white on black.

    Args:
        image: Any.
        width: Of the lines, in pixels.
        threshold: How much darker than its surroundings a line is at least.
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
    """Draw a picture's outlines roughly, as by hand: thick white lines on black.

    Args:
        image: Any.
        threshold: How much a line differs from its surroundings at least.
        thickness: Pixels that lines are thickened by to each side.
    """
    from nodegraph.media.images.preprocessing import scribble

    return scribble(image, threshold, thickness)


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("tile", "upscale", "detail", "ControlNet"),
)
def TileHint(image: Image, factor: Annotated[float, Range(1, 64, step=0.5)] = 4.0) -> Image:
    """Take the details out of a picture, for a tile ControlNet to put in anew.

    Args:
        image: Any.
        factor: How much smaller it is made, and then as large again.
    """
    from nodegraph.media.images.preprocessing import tile_hint

    return tile_hint(image, factor)


@node(
    category=_CATEGORY,
    facts=SAME_SIZE_RGB,
    tags=("color", "palette", "mosaic", "pixelate", "t2i adapter", "ControlNet"),
)
def ColorBlocks(image: Image, size: Annotated[int, Range(1, 1024)] = 32) -> Image:
    """Reduce a picture to squares of one colour each.

    Args:
        image: Any.
        size: Of a square's side, in pixels.
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
    """Tell from a height or depth map which way a surface faces, as colours.

    Args:
        image: Bright is high, or near.
        strength: How steep the slopes are taken to be.
        green: What full green faces: up as in OpenGL, or down as in DirectX.
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
    """A way to prepare pictures for a control network, for Preprocess to apply.

    Args:
        kind: As the node of that name, or BlurImage and PosterizeImage, with its defaults. Packs
            bring others, as nodes of theirs.
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
    """Prepare pictures for a control network, in a way that another node gives.

    Args:
        image: Any.
        preprocessor: Of SelectPreprocessor, or of a pack's node.
        resolution: Pixels of the shorter side that it works in; 0 is that of the picture. The
            result is as large as the picture in any case.
    """
    from nodegraph.media.images.preprocessing import preprocess

    made = preprocess(image, preprocessor, resolution)
    if float(made.max() - made.min()) == 0:
        ctx.log(f"{preprocessor.name} found nothing in the picture.", "warning")
    return made
