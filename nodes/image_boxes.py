"""Draw boxes on images."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Advanced, Image, Multiline, Range, node

from ._image_draw_facts import check_drawn_boxes, drawn_facts


@node(
    category="image/draw",
    infer=drawn_facts,
    validate=check_drawn_boxes,
    tags=(
        *("DrawBBoxes", "CreateBoundingBoxes", "bounding boxes", "bbox", "detections", "labels"),
        *("rectangles", "YOLO"),
    ),
)
def DrawBoxes(
    image: Image,
    boxes: Annotated[str, Multiline()] = "[[0.25, 0.25, 0.5, 0.5]]",
    labels: Annotated[str, Multiline()] = "",
    unit: Literal["shares", "pixels"] = "shares",
    color: str = "red",
    line: Annotated[float, Range(0, 1000, step=0.5)] = 3.0,
    size: Annotated[float, Range(1, 2000, step=1), Advanced()] = 16.0,
) -> Image:
    """Draw boxes with labels, for example the output of an object detector.

    Args:
        image: The images. Each image of a batch gets the same boxes.
        boxes: Boxes as [[x, y, width, height], ...], or four numbers per line. Empty for none.
        labels: Labels of the boxes, one per line, in their order. Empty for none.
        unit: Shares of the image's sides, 0 to 1, or pixels.
        color: Color of the boxes. It may be semi-transparent.
        line: Line width in pixels. 0 fills the boxes.
        size: Text height of the labels in pixels.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.annotations import draw_boxes
    from nodegraph.media.images.masks import box_to_pixels
    from nodegraph.media.images.regions import parse_boxes

    extent = image.shape[2], image.shape[1]
    parsed_boxes = parse_boxes(boxes, unit=unit) if boxes.strip() not in ("", "[]") else []
    placed = [box_to_pixels(box, extent, unit) for box in parsed_boxes]
    return draw_boxes(image, placed, labels.splitlines(), parse_color(color), line=line, size=size)
