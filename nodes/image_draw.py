"""Generate plain and patterned images, and draw text and shapes on images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from nodegraph import Advanced, Context, File, Image, Multiline, Range, Seed, node

from ._image_compare_facts import check_made_picture, made_size
from ._image_draw_facts import check_text, drawn_facts, font_state
from ._image_facts import check_colors
from ._image_ports import Anchor

_Side = Annotated[int, Range(1, 16384)]
_Coordinate = Annotated[int, Range(-16384, 16384)]


@node(
    category="image/draw",
    infer=drawn_facts,
    validate=check_text,
    fingerprint=font_state,
    tags=("caption", "title", "label", "watermark", "font", "subtitle", "write", "text overlay"),
)
def DrawText(
    ctx: Context,
    image: Image,
    text: Annotated[str, Multiline()] = "nodegraph",
    size: Annotated[float, Range(1, 2000, step=1)] = 32.0,
    color: str = "white",
    anchor: Anchor = "bottom",
    x: _Coordinate = 0,
    y: _Coordinate = 8,
    outline: str = "black",
    outline_width: Annotated[int, Range(0, 100)] = 2,
    background: str = "",
    margin: Annotated[int, Range(0, 1000), Advanced()] = 4,
    align: Annotated[Literal["left", "center", "right"], Advanced()] = "center",
    line_spacing: Annotated[float, Range(0.5, 5, step=0.05), Advanced()] = 1.2,
    wrap: Annotated[bool, Advanced()] = True,
    font: Annotated[str, File("font"), Advanced()] = "",
) -> Image:
    """Draw text on images.

    Args:
        image: The images. Each image of a batch gets the same text.
        text: One or several lines.
        size: Text height in pixels.
        color: Text color. It may be semi-transparent.
        anchor: Edge, corner or center where the text is placed.
        x, y: Offset in pixels: inwards from an edge, or to the right and down from the center.
        outline: Color of the outline.
        outline_width: Width of the outline in pixels.
        background: Color of a box behind the text. Empty for none.
        margin: Space around the text in its box, in pixels.
        align: Alignment of several lines.
        line_spacing: Line height as a factor of the size.
        wrap: Wrap lines that are wider than the image.
        font: A .ttf or .otf file. Empty uses the included font.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.annotations import TextStyle, draw_text

    environment = ctx.environment
    style = TextStyle(
        size=size,
        color=parse_color(color),
        font=environment.inputs / Path(font).expanduser() if font else None,
        outline=parse_color(outline, "outline"),
        outline_width=outline_width,
        background=parse_color(background, "background") if background else None,
        margin=margin,
        align=align,
        line_spacing=line_spacing,
    )
    names = environment.readable is None
    return draw_text(image, text, style, anchor=anchor, x=x, y=y, wrap=wrap, names=names)


@node(
    category="image/draw",
    infer=drawn_facts,
    validate=check_colors,
    tags=("rectangle", "box", "circle", "ellipse", "line", "border", "bounding box"),
)
def DrawShape(
    image: Image,
    shape: Literal["rectangle", "ellipse", "line"] = "rectangle",
    x: Annotated[float, Range(-16384, 16384, step=1)] = 16.0,
    y: Annotated[float, Range(-16384, 16384, step=1)] = 16.0,
    width: Annotated[float, Range(-16384, 16384, step=1)] = 64.0,
    height: Annotated[float, Range(-16384, 16384, step=1)] = 64.0,
    color: str = "red",
    line: Annotated[float, Range(0, 1000, step=0.5)] = 3.0,
    radius: Annotated[float, Range(0, 8192, step=1), Advanced()] = 0.0,
) -> Image:
    """Draw a rectangle, an ellipse or a line on images.

    Args:
        image: Images of any size.
        shape: A line is drawn from the corner at x, y to the opposite corner.
        x, y: Left and top in pixels.
        width, height: Size in pixels. For a line they may be negative.
        color: Color of the shape. It may be semi-transparent.
        line: Line width in pixels. 0 fills the shape.
        radius: Corner radius of a rectangle in pixels.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.fills import draw_shape

    box = (x, y, width, height)
    return draw_shape(image, shape, box, parse_color(color), line, radius)


@node(
    category="image/draw",
    infer=made_size,
    validate=check_made_picture,
    tags=("solid color", "blank", "black", "white", "background", "new"),
)
def EmptyImage(
    width: _Side = 512,
    height: _Side = 512,
    color: str = "black",
    batch: Annotated[int, Range(1, 4096)] = 1,
) -> Image:
    """Generate images of a single color.

    Args:
        width, height: Size in pixels.
        color: Color. A transparent color like #00000000 gives images with alpha.
        batch: Number of images.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.fills import solid

    return solid(width, height, parse_color(color), batch)


@node(
    category="image/draw",
    infer=made_size,
    validate=check_made_picture,
    tags=("ramp", "radial", "linear", "background", "fade"),
)
def GradientImage(
    width: _Side = 512,
    height: _Side = 512,
    colors: str = "black white",
    kind: Literal["linear", "radial", "angular", "diamond"] = "linear",
    angle: Annotated[float, Range(-360, 360, step=1)] = 0.0,
) -> Image:
    """Generate a color gradient.

    Args:
        width, height: Size in pixels.
        colors: Two or more evenly spaced colors, for example black #ff8800 white.
        kind: Along a line, from the center outwards, or around the center.
        angle: Angle in degrees, clockwise: 0 goes to the right, 90 down.
    """
    from nodegraph.media.images.colors import parse_colors
    from nodegraph.media.images.editing.fills import draw_gradient

    return draw_gradient(width, height, parse_colors(colors), kind, angle)


@node(
    category="image/draw",
    infer=made_size,
    validate=check_made_picture,
    tags=("checkerboard", "stripes", "grid", "dots", "test pattern"),
)
def PatternImage(
    width: _Side = 512,
    height: _Side = 512,
    pattern: Literal["checker", "stripes", "grid", "dots"] = "checker",
    size: Annotated[int, Range(1, 8192)] = 32,
    color: str = "black",
    background: str = "white",
) -> Image:
    """Generate a pattern of squares, stripes, lines or dots.

    Args:
        width, height: Size in pixels.
        pattern: Kind of pattern.
        size: Size of a square or stripe, or distance between lines, in pixels.
        color: Foreground color.
        background: Background color.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.fills import draw_pattern

    ground = parse_color(background, "background")
    return draw_pattern(width, height, pattern, size, ground, parse_color(color))


@node(
    category="image/draw",
    infer=made_size,
    validate=check_made_picture,
    tags=("random", "clouds", "perlin", "texture", "static", "gaussian"),
)
def NoiseImage(
    width: _Side = 512,
    height: _Side = 512,
    kind: Literal["uniform", "gaussian", "clouds"] = "clouds",
    size: Annotated[float, Range(1, 8192, step=1)] = 128.0,
    seed: Annotated[int, Seed()] = 0,
    batch: Annotated[int, Range(1, 4096)] = 1,
    in_color: bool = True,
) -> Image:
    """Generate random images: static noise, or clouds.

    Args:
        width, height: Size in pixels.
        kind: Uniform or Gaussian static noise, or clouds.
        size: Size of the largest clouds in pixels.
        seed: Random seed.
        batch: Number of images. Each has the next seed.
        in_color: Color instead of gray.
    """
    from nodegraph.media.images.editing.fills import draw_noise

    return draw_noise(width, height, kind, size, seed, batch, in_color=in_color)
