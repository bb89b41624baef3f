"""Pictures made of nothing, and what is drawn on others."""

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
    """Write words on pictures.

    Args:
        image: Each of a batch gets the same words.
        text: One or several lines.
        size: Height of the letters, in pixels.
        color: Of the letters; one that isn't opaque lets the picture through.
        anchor: Edge, corner or middle that the text lies at.
        x, y: Pixels from there: from an edge inwards, from the middle to the right and down.
        outline: Colour of the line around letters.
        outline_width: Its pixels.
        background: Colour of a box behind the text; empty for none.
        margin: Pixels around the text in its box.
        align: Of several lines.
        line_spacing: Height of lines, as a share of the size.
        wrap: Break lines that are longer than the picture is wide.
        font: A .ttf or .otf file; empty for the one that comes along.
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
    """Draw a box, an ellipse or a line on pictures.

    Args:
        image: Of any size.
        shape: A line goes from the corner at x, y to the one across.
        x, y: Left and top, in pixels.
        width, height: In pixels; those of a line may be below 0.
        color: One that isn't opaque lets the picture through.
        line: Pixels of its line; 0 fills it.
        radius: Of a rectangle's round corners, in pixels.
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
    """Make pictures of one colour.

    Args:
        width, height: In pixels.
        color: One that isn't opaque, such as #00000000, gives pictures alpha.
        batch: How many.
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
    """Make a picture of colours that lead into each other.

    Args:
        width, height: In pixels.
        colors: Two or more, evenly spaced, such as black #ff8800 white.
        kind: Along a line, from the middle outwards, or around it.
        angle: Degrees, clockwise: 0 leads to the right, 90 down.
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
    """Make a picture of squares, stripes, lines or dots.

    Args:
        width, height: In pixels.
        pattern: Which.
        size: Pixels of a square or a stripe, or from line to line.
        color: Of what is drawn.
        background: Of what is between.
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
    """Make random pictures: static, or clouds of many sizes.

    Args:
        width, height: In pixels.
        kind: Static with all values alike or mostly middle grey, or clouds.
        size: Pixels of the largest clouds.
        seed: Another one gives another picture.
        batch: How many; each has the next seed.
        in_color: Coloured instead of grey.
    """
    from nodegraph.media.images.editing.fills import draw_noise

    return draw_noise(width, height, kind, size, seed, batch, in_color=in_color)
