"""Arrange several images next to each other."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Advanced, Image, Range, node

from ._image_facts import check_colors, check_grid, check_strip


@node(
    category="image/arrange",
    validate=check_grid,
    tags=("grid", "contact sheet", "batch", "xy plot", "labels", "table"),
)
def ImageGrid(
    images: list[Image],
    columns: Annotated[int, Range(0, 1000)] = 0,
    gap: Annotated[int, Range(0, 1000)] = 4,
    captions: list[str] | None = None,
    column_labels: list[str] | None = None,
    row_labels: list[str] | None = None,
    column_title: str = "",
    row_title: str = "",
    background: Annotated[str, Advanced()] = "white",
    text_color: Annotated[str, Advanced()] = "#1f2328",
) -> Image:
    """Arrange images in a grid, as one image, with optional captions and axis labels.

    Args:
        images: The images. Each cell is as large as the largest image. Images of a batch count
            separately.
        columns: Images per row. 0 uses the number of column labels, or makes the grid about square.
        gap: Gap between images in pixels.
        captions: Texts below the images, in their order.
        column_labels: Texts above the columns.
        row_labels: Texts to the left of the rows.
        column_title, row_title: Titles of the column and row axes.
        background: Background color.
        text_color: Text color.
    """
    from nodegraph.media.images.contact_sheets import AxisLabels, contact_sheet

    return contact_sheet(
        images,
        columns=columns,
        gap=gap,
        captions=captions or (),
        labels=AxisLabels(column_labels or (), row_labels or (), column_title, row_title),
        paper=background,
        ink=text_color,
    )


@node(category="image/arrange", validate=check_strip, tags=("row", "film", "batch"))
def ImageStrip(
    images: list[Image],
    direction: Literal["horizontal", "vertical"] = "horizontal",
    gap: Annotated[int, Range(0, 1000)] = 4,
    captions: list[str] | None = None,
) -> Image:
    """Arrange images in one row or column, as one image.

    Args:
        images: The images. Each cell is as large as the largest image. Images of a batch count
            separately.
        direction: Row or column.
        gap: Gap between images in pixels.
        captions: Texts below the images, in their order.
    """
    from nodegraph.media.images.contact_sheets import contact_sheet

    columns = 1 if direction == "vertical" else sum(map(len, images))
    return contact_sheet(images, columns=columns, gap=gap, captions=captions or ())


@node(
    category="image/arrange",
    validate=check_colors,
    tags=(
        "ImageStitch",
        "concat",
        "concatenate",
        "side by side",
        "join",
        "before after",
        "ImageConcat",
        "ImageConcanate",
    ),
)
def StitchImages(
    image: Image,
    other: Image,
    side: Literal["right", "below", "left", "above"] = "right",
    match_size: bool = True,
    gap: Annotated[int, Range(0, 1024)] = 0,
    color: Annotated[str, Advanced()] = "white",
) -> Image:
    """Join two images side by side. The second is scaled so that the joined edges match.

    Args:
        image: Images of any size.
        other: The images to attach: as many, or one for all.
        side: Side on which the other image is attached.
        match_size: Scale the other image to the height, or the width, of the first.
        gap: Gap between them in pixels.
        color: Color of the gap and of empty areas.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.compositing import stitch

    return stitch(image, other, side, match=match_size, gap=gap, color=parse_color(color))
