"""Facts and checks of nodes that measure or generate images, before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, InvalidValue
from nodegraph.media.images.editing.pixel_formats import check_shapes
from nodegraph.media.images.memory_checks import check_memory

from ._facts import error_to_finding
from ._image_facts import check_colors


def check_pair(inputs: HookInputs) -> Iterator[Finding]:
    """Find images that cannot be compared pixel by pixel, where their sizes are known."""
    axes = ("batch", "height", "width", "channels")
    shape, other = ([inputs.fact(port, axis) for axis in axes] for port in ("image", "other"))
    try:
        check_shapes(shape, other)
    except InvalidValue as error:
        yield error_to_finding("other", error)


def histogram_size(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the drawn histograms, one per image."""
    known = {"width": 256, "height": inputs.literals.get("height"), "channels": 3}
    known["batch"] = inputs.fact("image", "batch")
    return {"image": {name: value for name, value in known.items() if value is not None}}


def palette_size(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the color palette image."""
    known = {name: inputs.literals.get(name) for name in ("width", "height")}
    known |= {"batch": 1, "channels": 3}
    return {"image": {name: value for name, value in known.items() if value is not None}}


def made_size(inputs: HookInputs) -> dict[str, Facts]:
    """Size of a generated image."""
    known = {name: inputs.literals.get(name) for name in ("width", "height", "batch")}
    if "batch" not in inputs.literals:
        known["batch"] = 1
    return {"image": {name: value for name, value in known.items() if value is not None}}


def check_made_picture(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid colors, and sizes that need too much memory."""
    yield from check_colors(inputs)
    size = made_size(inputs)["image"]
    if "width" not in size or "height" not in size:
        return
    width, height, pictures = size["width"], size["height"], size.get("batch", 1)
    try:
        check_memory(width, height, pictures, 16 * width * height * (pictures + 3), port="width")
    except InvalidValue as error:
        yield error_to_finding("width", error)
