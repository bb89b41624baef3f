"""Several pictures beside each other."""

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
    """Put pictures into rows, in one picture.

    Args:
        images: Each in a cell as large as the largest; a batch counts as that many pictures.
        columns: Pictures in a row; 0 makes as many as there are labels of columns, else it is about
            square.
        gap: Pixels between them.
        captions: Texts under the pictures, in their order.
        column_labels: Texts above the columns.
        row_labels: Texts before the rows.
        column_title, row_title: What those are of.
        background: Colour of what is between them.
        text_color: Colour of the texts.
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
    """Put pictures into one row or column, in one picture.

    Args:
        images: Each in a cell as large as the largest; a batch counts as that many pictures.
        direction: A row or a column.
        gap: Pixels between them.
        captions: Texts under the pictures, in their order.
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
    """Put a picture to a side of another one, scaled so that their edges are alike.

    Args:
        image: Of any size.
        other: What is put to it; as many, or one for all.
        side: Where the other one is.
        match_size: Scale the other one to the height, or the width, of the first.
        gap: Pixels between them.
        color: Of what is between and around.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.compositing import stitch

    return stitch(image, other, side, match=match_size, gap=gap, color=parse_color(color))
