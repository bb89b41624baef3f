"""Facts and checks of image nodes before they run: sizes, colors. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, InvalidValue
from nodegraph.media.images.colors import parse_color, parse_colors
from nodegraph.media.images.contact_sheets import sheet_size

from ._facts import error_to_finding

SAME = {"image": {name: f"image.{name}" for name in ("width", "height", "batch", "channels")}}
"""Facts of nodes that keep the size, the batch size and the channels."""


def color_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of nodes that keep the size, but turn grayscale into color."""
    names = ("width", "height", "batch", "channels")
    known = {name: inputs.fact("image", name) for name in names}
    if known["channels"] == 1:
        known["channels"] = 3
    return {"image": {name: value for name, value in known.items() if value is not None}}


_ONE_COLOR = ("color", "background", "fill", "outline", "text_color")
_COLORS = {"colors": 2, "palette": 1}
"""Ports that take several colors, with the minimum number."""


def check_colors(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid colors at any port that takes colors."""
    for port in _ONE_COLOR:
        text = inputs.literals.get(port)
        try:
            if isinstance(text, str) and text:
                parse_color(text, port)
        except InvalidValue as error:
            yield error_to_finding(port, error)
    for port, least in _COLORS.items():
        text = inputs.literals.get(port)
        try:
            if isinstance(text, str) and text.strip():
                parse_colors(text, port, least=least)
        except InvalidValue as error:
            yield error_to_finding(port, error)


def check_grid(inputs: HookInputs) -> Iterator[Finding]:
    """Find grids that are too large, where the number of images is known."""
    yield from check_colors(inputs)
    yield from _sheet_findings(inputs, inputs.literals.get("columns"))


def check_strip(inputs: HookInputs) -> Iterator[Finding]:
    """Find strips that are too long, where the number of images is known."""
    # A column is as large as a row, except for the gaps.
    yield from _sheet_findings(inputs, 1)


def _sheet_findings(inputs: HookInputs, columns: int | None) -> Iterator[Finding]:
    width, height = inputs.fact("images", "width"), inputs.fact("images", "height")
    if width is None or height is None or columns is None:
        return
    pictures = inputs.fact("images", "batch") or 1
    try:
        sheet_size(pictures, (width, height), columns=columns, gap=inputs.literals.get("gap") or 0)
    except InvalidValue as error:
        yield error_to_finding("images", error)


_SMALLEST_MARKED = 256
"""As in `nodegraph.provenance.watermark`, which imports numpy."""


def check_watermark_room(inputs: HookInputs) -> Iterator[Finding]:
    """Find images that are too small for a watermark."""
    width, height = inputs.fact("image", "width"), inputs.fact("image", "height")
    sides = [side for side in (width, height) if side is not None]
    if sides and min(sides) < _SMALLEST_MARKED:
        yield Finding(
            "image",
            "the image is too small for a watermark",
            f"{width} x {height} pixels",
            f"at least {_SMALLEST_MARKED} pixels on each side",
        )
