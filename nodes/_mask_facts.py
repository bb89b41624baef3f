"""Facts and checks of the mask nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.media.images.colors import color_levels
from nodegraph.media.images.memory_checks import check_memory
from nodegraph.media.images.regions import parse_boxes, parse_points
from nodegraph.media.images.scikit_image import check_segment_installed

from ._facts import error_to_finding
from ._image_file_facts import image_outputs

MASK_FACTS = {"mask": {name: f"mask.{name}" for name in ("width", "height", "batch")}}
"""For a mask of the size of the input mask."""
IMAGE_TO_MASK = {"mask": {name: f"image.{name}" for name in ("width", "height", "batch")}}
"""For a mask of the size of the input image."""
IMAGE_FACTS = {name: f"image.{name}" for name in ("width", "height", "batch", "channels")}

SAME_SIZE_RGB = {"image": {name: f"image.{name}" for name in ("width", "height", "batch")}}
"""For images of the size of the input images, with three channels."""

_SIZE = ("width", "height")


def new_mask_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of a mask that is made for an image, or with a given size."""
    size = _made_size(inputs)
    return {"mask": {**size, "batch": 1}} if size else {}


def box_masks_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size and number of the masks of boxes."""
    size, text = _made_size(inputs), inputs.literals.get("boxes")
    if not size or text is None:
        return {"mask": size} if size else {}
    if inputs.literals.get("each") == "one mask":
        return {"mask": {**size, "batch": 1}}
    try:
        return {"mask": {**size, "batch": len(parse_boxes(text))}}
    except NodegraphError:
        # `check_boxes` reports it.
        return {"mask": size}


def _made_size(inputs: HookInputs) -> dict[str, int]:
    is_linked = "image" not in inputs.literals
    sides = {
        side: inputs.fact("image", side) if is_linked else inputs.literals.get(side)
        for side in _SIZE
    }
    return {side: pixels for side, pixels in sides.items() if pixels} if all(sides.values()) else {}


def check_made(inputs: HookInputs) -> Iterator[Finding]:
    """Find masks without a size, and masks that do not fit in memory."""
    literals = inputs.literals
    if "image" in inputs.literals and 0 in (literals.get("width"), literals.get("height")):
        yield Finding(
            "width", "the mask has no size", "0", hint="Link `image`, or set width and height."
        )
    size = _made_size(inputs)
    if size:
        yield from memory_findings(size["width"], size["height"], "width", 4)


def check_boxes(inputs: HookInputs) -> Iterator[Finding]:
    """Find texts that are not boxes."""
    yield from check_made(inputs)
    text = inputs.literals.get("boxes")
    if text is not None:
        unit = inputs.literals.get("unit") or "pixels"
        yield from _check_findings("boxes", lambda: parse_boxes(text, unit=unit))


def check_color(inputs: HookInputs) -> Iterator[Finding]:
    """Find texts that are not colors."""
    color = inputs.literals.get("color")
    if color is not None:
        yield from _check_findings("color", lambda: color_levels(color))


def check_points(inputs: HookInputs) -> Iterator[Finding]:
    """Find texts that are not points or boxes."""
    for port in ("points", "excluded"):
        text = inputs.literals.get(port)
        if text is not None:
            yield from _check_findings(port, lambda text=text, port=port: parse_points(text, port))
    boxes = inputs.literals.get("boxes") or inputs.literals.get("box") or ""
    if boxes.strip():
        port = "boxes" if "boxes" in inputs.literals else "box"
        unit = inputs.literals.get("unit") or "pixels"
        yield from _check_findings(port, lambda: parse_boxes(boxes, port, unit))


def check_required_points(inputs: HookInputs) -> Iterator[Finding]:
    """Find texts that are not points, and texts without a point."""
    if inputs.literals.get("points", "0") == "":
        yield Finding("points", "no point is given", expected="x and y, for example 0.5, 0.5")
    yield from check_points(inputs)


def check_selecting(inputs: HookInputs) -> Iterator[Finding]:
    """Find a missing scikit-image, and texts that are not points or boxes."""
    yield from _check_findings("image", check_segment_installed)
    yield from check_required_points(inputs)


def _check_findings(port: str, read: object) -> Iterator[Finding]:
    assert callable(read)
    try:
        read()
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or port, error)


def memory_findings(
    width: int, height: int, port: str, bytes_each: int, pictures: int = 1
) -> Iterator[Finding]:
    """Find sizes that do not fit in memory.

    Args:
        bytes_each: Bytes per pixel.
    """
    needed = width * height * pictures * bytes_each
    yield from _check_findings(
        port, lambda: check_memory(width, height, pictures, needed, port=port)
    )


def loaded_mask_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the mask that LoadMask loads."""
    outputs = image_outputs(inputs)
    return {"mask": outputs["mask"]} if outputs else {}


def resized_mask_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of ResizeMask."""
    size = _made_size(inputs)
    batch = inputs.fact("mask", "batch")
    return {"mask": {**size, **({} if batch is None else {"batch": batch})}}


def combined_mask_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the combination of two masks."""
    size = {side: inputs.fact("first", side) for side in _SIZE}
    counts = inputs.fact("first", "batch"), inputs.fact("second", "batch")
    known = {name: value for name, value in size.items() if value is not None}
    return {"mask": {**known, **_batch(*counts)}}


def _batch(first: int | None, second: int | None) -> dict[str, int]:
    return {} if first is None or second is None else {"batch": max(first, second)}


def masked_picture_facts(inputs: HookInputs, port: str = "image") -> dict[str, Facts]:
    """Size of images that are changed by a mask."""
    known = {side: inputs.fact(port, side) for side in _SIZE}
    batch = _batch(inputs.fact(port, "batch"), inputs.fact("mask", "batch"))
    return {"image": {name: value for name, value in known.items() if value is not None} | batch}


def composited_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of CompositeMasked."""
    return masked_picture_facts(inputs, "base")


def masked_rgba_facts(inputs: HookInputs) -> dict[str, Facts]:
    """As `masked_picture_facts`, with a fourth channel."""
    outputs = masked_picture_facts(inputs)
    return {"image": {**outputs["image"], "channels": 4}}


def infilled_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of FillMasked."""
    outputs = masked_picture_facts(inputs)
    return {"image": {**outputs["image"], "channels": 3}}


def padded_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of PadForOutpaint."""
    sides = [inputs.literals.get(side) for side in ("left", "right", "top", "bottom")]
    width, height = inputs.fact("image", "width"), inputs.fact("image", "height")
    if width is None or height is None or None in sides:
        return {}
    left, right, top, bottom = (int(side or 0) for side in sides)
    size = {"width": width + left + right, "height": height + top + bottom}
    batch = inputs.fact("image", "batch")
    of_image = size | ({} if batch is None else {"batch": batch})
    return {"image": {**of_image, "channels": 3}, "mask": {**size, "batch": 1}}


def check_padded(inputs: HookInputs) -> Iterator[Finding]:
    """Find padding that makes an image too large, and invalid colors."""
    yield from check_color(inputs)
    size = padded_facts(inputs).get("image")
    if size:
        yield from memory_findings(size["width"], size["height"], "left", 16, size.get("batch", 1))


def check_cropped(inputs: HookInputs) -> Iterator[Finding]:
    """Find sizes that do not fit in memory."""
    size = cropped_facts(inputs).get("image")
    if size:
        yield from memory_findings(size["width"], size["height"], "width", 16, size.get("batch", 1))


def cropped_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of CropToMask, if it is set."""
    literals = inputs.literals
    width, height = literals.get("width"), literals.get("height")
    if not (width and height):
        return {}
    multiple = literals.get("multiple_of") or 1
    size = {
        "width": ceil(width / multiple) * multiple,
        "height": ceil(height / multiple) * multiple,
    }
    batch = _batch(inputs.fact("image", "batch"), inputs.fact("mask", "batch"))
    return {"image": {**size, **batch}, "mask": {**size, **batch}}
