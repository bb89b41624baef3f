"""Facts and checks of nodes that resize and place images, before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nodegraph import Facts, Finding, HookInputs, InvalidValue
from nodegraph.media.images.colors import parse_color
from nodegraph.media.images.editing.transforms import crop_box, parse_corners, rotated_size
from nodegraph.media.images.memory_checks import check_memory, resizing_bytes
from nodegraph.media.images.resizing import fitted_size, scaled_size

from ._facts import error_to_finding
from ._image_facts import check_colors

_Size = tuple[int, int]


def _input_size(inputs: HookInputs, port: str = "image") -> _Size | None:
    width, height = inputs.fact(port, "width"), inputs.fact(port, "height")
    return None if width is None or height is None else (width, height)


def _known_values(inputs: HookInputs, *ports: str) -> list[Any] | None:
    """Values of inputs; None if one is not known yet."""
    values = [inputs.literals.get(port) for port in ports]
    return None if None in values else values


def _facts(inputs: HookInputs, size: _Size | None) -> dict[str, Facts]:
    """Facts of images of another size, with the same batch size and channels."""
    known: dict[str, object] = {}
    if size is not None:
        known |= {"width": size[0], "height": size[1]}
    for name in ("batch", "channels"):
        if inputs.fact("image", name) is not None:
            known[name] = inputs.fact("image", name)
    return {"image": known}


def _with_fill_alpha(inputs: HookInputs, port: str, facts: dict[str, Facts]) -> dict[str, Facts]:
    """The same facts, with alpha if a transparent color adds it."""
    known = dict(facts["image"])
    try:
        text = inputs.literals.get(port)
        is_opaque = None if text is None else parse_color(text, port)[3] == 1
    except InvalidValue:
        # `check_colors` reports it.
        is_opaque = None
    if is_opaque is None:
        known.pop("channels", None)
    elif not is_opaque and "channels" in known:
        known["channels"] = 4
    return {"image": known}


def _findings(inputs: HookInputs, size: Callable[[], _Size | None], port: str) -> Iterator[Finding]:
    """Find sizes that are not valid or need too much memory."""
    try:
        resized = size()
        if resized is not None:
            pictures = inputs.fact("image", "batch") or 1
            needed = resizing_bytes(*resized, 3 * pictures)
            check_memory(*resized, pictures, needed, port=port)
    except InvalidValue as error:
        yield error_to_finding(error.problem.port or port, error)


def _valid_size(size: Callable[[], _Size | None]) -> _Size | None:
    try:
        return size()
    except InvalidValue:
        # A check reports it.
        return None


def _resized_size(inputs: HookInputs) -> _Size | None:
    before, values = _input_size(inputs), _known_values(inputs, "fit", "multiple_of")
    if "like" in inputs.literals:
        goal = inputs.literals.get("width"), inputs.literals.get("height")
    else:
        goal = inputs.fact("like", "width"), inputs.fact("like", "height")
    width, height = goal
    if values is None or width is None or height is None:
        return None
    fit, multiple = values
    if before is None and (0 in goal or fit in ("inside", "outside")):
        return None
    # The result does not depend on the size of the image, so any size will do.
    return fitted_size(before or (width, height), width, height, fit=fit, multiple=multiple)[0]


def resized_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of ResizeImage."""
    facts = _facts(inputs, _valid_size(lambda: _resized_size(inputs)))
    return (
        _with_fill_alpha(inputs, "fill", facts)
        if inputs.literals.get("fit") in ("pad", None)
        else facts
    )


def check_resized(inputs: HookInputs) -> Iterator[Finding]:
    """Find sizes that are not valid or need too much memory."""
    yield from check_colors(inputs)
    yield from _findings(inputs, lambda: _resized_size(inputs), "width")


def _scaled_size(inputs: HookInputs) -> _Size | None:
    before, values = _input_size(inputs), _known_values(inputs, "by", "amount", "multiple_of")
    return None if before is None or values is None else scaled_size(before, *values)


def scaled_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of ScaleImage."""
    return _facts(inputs, _valid_size(lambda: _scaled_size(inputs)))


def check_scaled(inputs: HookInputs) -> Iterator[Finding]:
    """Find sizes that are not valid or need too much memory."""
    yield from _findings(inputs, lambda: _scaled_size(inputs), "amount")


def _cropped_size(inputs: HookInputs) -> _Size | None:
    before, values = (
        _input_size(inputs),
        _known_values(inputs, "width", "height", "anchor", "x", "y"),
    )
    if before is None or values is None:
        return None
    width, height, anchor, x, y = values
    left, top, right, bottom = crop_box(before, (width, height), anchor, x, y)
    return right - left, bottom - top


def cropped_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of CropImage."""
    return _facts(inputs, _valid_size(lambda: _cropped_size(inputs)))


def check_cropped(inputs: HookInputs) -> Iterator[Finding]:
    """Find crops outside the image."""
    yield from _findings(inputs, lambda: _cropped_size(inputs), "x")


def _padded_size(inputs: HookInputs) -> _Size | None:
    before, values = _input_size(inputs), _known_values(inputs, "left", "right", "top", "bottom")
    if before is None or values is None:
        return None
    left, right, top, bottom = values
    return before[0] + left + right, before[1] + top + bottom


def padded_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of PadImage."""
    facts = _facts(inputs, _padded_size(inputs))
    is_color = inputs.literals.get("border") in ("color", None)
    return _with_fill_alpha(inputs, "color", facts) if is_color else facts


def check_padded(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid colors, and sizes that need too much memory."""
    yield from check_colors(inputs)
    yield from _findings(inputs, lambda: _padded_size(inputs), "left")


def _rotated_size(inputs: HookInputs) -> _Size | None:
    before, values = _input_size(inputs), _known_values(inputs, "angle", "expand")
    if before is None or values is None:
        return None
    return rotated_size(before, values[0], expand=values[1])


def rotated_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of RotateImage."""
    facts, angle = _facts(inputs, _rotated_size(inputs)), inputs.literals.get("angle")
    if angle is not None and _moves_pixels(inputs, angle):
        return facts
    return _with_fill_alpha(inputs, "color", facts)


def _moves_pixels(inputs: HookInputs, angle: float) -> bool:
    """Whether the rotation leaves no empty area to fill with a color."""
    before = _input_size(inputs)
    is_square = before is not None and before[0] == before[1]
    has_room = bool(inputs.literals.get("expand")) or is_square
    return angle % 180 == 0 or (angle % 90 == 0 and has_room)


def check_rotated(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid colors, and sizes that need too much memory."""
    yield from check_colors(inputs)
    yield from _findings(inputs, lambda: _rotated_size(inputs), "image")


def filled_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The same size, with alpha if `color` adds it."""
    return _with_fill_alpha(inputs, "color", _facts(inputs, _input_size(inputs)))


def check_warped(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid colors and corners."""
    yield from check_colors(inputs)
    corners = inputs.literals.get("corners")
    try:
        if corners is not None:
            parse_corners(corners)
    except InvalidValue as error:
        yield error_to_finding("corners", error)


def _repeated_size(inputs: HookInputs) -> _Size | None:
    before, values = _input_size(inputs), _known_values(inputs, "columns", "rows")
    if before is None or values is None:
        return None
    return before[0] * values[0], before[1] * values[1]


def tiled_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of TileImage."""
    return _facts(inputs, _repeated_size(inputs))


def check_repeated(inputs: HookInputs) -> Iterator[Finding]:
    """Find sizes that need too much memory."""
    yield from _findings(inputs, lambda: _repeated_size(inputs), "columns")
