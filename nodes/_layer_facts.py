"""Facts and checks of nodes of layers, before they run. Imports no torch.

The facts of layers are the edges of the rectangle around all of them: left, top, right, bottom.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nodegraph import Estimate, Facts, Finding, HookInputs, InvalidValue, NodegraphError
from nodegraph.media.images.layers import (
    CanvasBox,
    Extent,
    build_box,
    extent_box,
    joined_extent,
    layer_rectangle,
    placed_extent,
)

from ._facts import check_result_name, error_to_finding, input_path
from ._image_facts import check_colors

_EDGES = ("left", "top", "right", "bottom")
_BOX = ("x", "y", "width", "height", "sampled_width", "sampled_height")


def _values(inputs: HookInputs, *ports: str) -> list[Any] | None:
    """Values of inputs; None if one is not known yet."""
    values = [inputs.literals.get(port) for port in ports]
    return None if None in values else values


def _linked_box(inputs: HookInputs) -> CanvasBox | None:
    """The box at the input, as far as it is known."""
    values = [inputs.fact("box", name) for name in _BOX]
    return None if None in values else CanvasBox(*values)


def _edges(extent: Extent | None) -> dict[str, Facts]:
    return {"layers": {} if extent is None else dict(zip(_EDGES, extent, strict=True))}


def _extent(inputs: HookInputs, port: str) -> Extent | None:
    """The rectangle around the layers at an input, if it is known."""
    left, top, right, bottom = (inputs.fact(port, name) for name in _EDGES)
    return None if None in (left, top, right, bottom) else (left, top, right, bottom)


def _above(inputs: HookInputs, extent: Extent | None) -> dict[str, Facts]:
    """Facts of layers with more on top of those at `layers`."""
    if extent is None or "layers" not in inputs.facts:
        return _edges(extent)
    below = _extent(inputs, "layers")
    return _edges(None if below is None else joined_extent((below, extent)))


def box_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Position and sizes of a box."""
    values = _values(inputs, *_BOX)
    if values is None:
        return {}
    try:
        box = build_box(*values)
    except InvalidValue:
        # `check_box` reports it.
        return {}
    return {"box": {name: getattr(box, name) for name in _BOX}}


def check_box(inputs: HookInputs) -> Iterator[Finding]:
    """Find boxes that are too large or too far away, or do not fit in memory."""
    from nodegraph.media.images.layer_compositing import check_flattening

    values = _values(inputs, *_BOX)
    if values is not None:
        try:
            check_flattening(build_box(*values))
        except InvalidValue as error:
            port = error.problem.port or "width"
            yield error_to_finding("width" if port == "box" else port, error)


def _added_extent(inputs: HookInputs) -> Extent | None:
    """The rectangle around the layer that AddLayer adds, if it is known.

    Raises:
        InvalidValue: Its placement is not valid.
    """
    rotation = inputs.literals.get("rotation")
    own = inputs.fact("image", "width"), inputs.fact("image", "height")
    if rotation is None:
        return None
    if "box" in inputs.facts:
        box = _linked_box(inputs)
        if box is None:
            return None
        return placed_extent(box.x, box.y, box.width, box.height, rotation)
    values = _values(inputs, "x", "y", "width", "height")
    if values is None or (0 in values[2:] and None in own):
        return None
    rectangle = layer_rectangle((own[0] or 1, own[1] or 1), None, *values)
    return placed_extent(*rectangle, rotation)


def added_layer(inputs: HookInputs) -> dict[str, Facts]:
    """The rectangle around the layers that AddLayer returns."""
    try:
        return _above(inputs, _added_extent(inputs))
    except InvalidValue:
        # `check_placement` reports it.
        return {}


def check_placement(inputs: HookInputs) -> Iterator[Finding]:
    """Find layers that are too large or too far away."""
    try:
        _added_extent(inputs)
    except InvalidValue as error:
        yield error_to_finding(error.problem.port or "width", error)


def grouped_layers(inputs: HookInputs) -> dict[str, Facts]:
    """The rectangle around the layers that GroupLayers returns."""
    return _above(inputs, _extent(inputs, "group"))


def image_layers(inputs: HookInputs) -> dict[str, Facts]:
    """The rectangle around the layers of a batch."""
    if "box" in inputs.facts:
        box = _linked_box(inputs)
        return _edges(
            None if box is None else placed_extent(box.x, box.y, box.width, box.height, 0)
        )
    width, height = inputs.fact("images", "width"), inputs.fact("images", "height")
    return _edges(None if width is None or height is None else (0, 0, width, height))


def _flattened_box(inputs: HookInputs) -> CanvasBox | None:
    """The box that FlattenLayers samples, if it is known.

    Raises:
        InvalidValue: There is neither a box nor a layer, or the layers are too far apart.
    """
    if "box" in inputs.facts:
        return _linked_box(inputs)
    extent = _extent(inputs, "layers")
    if extent is None and "layers" in inputs.facts:
        return None
    return extent_box(extent)


def flattened_layers(inputs: HookInputs) -> dict[str, Facts]:
    """Size and channels of the image that FlattenLayers returns."""
    color = inputs.literals.get("color")
    size: dict[str, object] = {"batch": 1}
    try:
        box = _flattened_box(inputs)
    except InvalidValue:
        # `check_flattened` reports it.
        return {}
    if box is not None:
        size |= {"width": box.sampled_width, "height": box.sampled_height}
    known = {} if color is None else {"channels": 3 if color.strip() else 4}
    return {"image": {**size, **known}, "mask": size}


def flattening_memory(inputs: HookInputs) -> Estimate:
    """Memory for the image and its layers, if the size is known."""
    from nodegraph.media.images.layer_compositing import flattening_bytes

    try:
        box = _flattened_box(inputs)
    except InvalidValue:
        # `check_flattened` reports it.
        box = None
    return Estimate() if box is None else Estimate(memory=flattening_bytes(*box.size))


def check_flattened(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid colors, unknown sizes, and images that do not fit in memory."""
    from nodegraph.media.images.layer_compositing import check_flattening

    yield from check_colors(inputs)
    try:
        box = _flattened_box(inputs)
        if box is not None:
            check_flattening(box)
    except InvalidValue as error:
        yield error_to_finding(error.problem.port or "layers", error)


def _file_extent(inputs: HookInputs) -> Extent | None:
    """The rectangle around the layers of the file, if it is known without reading all of it.

    Raises:
        NodegraphError: The file is missing, damaged or not supported.
    """
    from nodegraph.media.images.layer_files import layers_extent

    path, environment = input_path(inputs), inputs.environment
    if path is None:
        return None
    # Clients of a server must not learn of files that other people put there.
    return layers_extent(
        path, max_pixels=environment.max_image_pixels, names=environment.readable is None
    )


def loaded_layers(inputs: HookInputs) -> dict[str, Facts]:
    """The rectangle around the layers of an OpenRaster file."""
    try:
        return _edges(_file_extent(inputs))
    except NodegraphError:
        # `check_layer_file` reports it.
        return {}


def check_layer_file(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing, damaged, too large or not supported."""
    try:
        _file_extent(inputs)
    except NodegraphError as error:
        yield error_to_finding("path", error)


def check_saved(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid names, a missing package, formats without 16 bits, and layers too far apart."""
    from nodegraph.media.images.layer_compositing import check_flattening
    from nodegraph.media.images.photoshop import check_psd_installed

    yield from check_result_name(inputs)
    extent = _extent(inputs, "layers")
    if extent is not None:
        try:
            check_flattening(extent_box(extent), "layers")
        except InvalidValue as error:
            yield error_to_finding("layers", error)
    form, bits = inputs.literals.get("format"), inputs.literals.get("bits")
    if form == "psd":
        try:
            check_psd_installed()
        except InvalidValue as error:
            yield error_to_finding("format", error)
        if bits == "16":
            yield Finding("bits", "16 bits need the format ora", "psd", "ora")
