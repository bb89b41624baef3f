"""What nodes of pictures know and check before they run: sizes, colours. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, InvalidValue
from nodegraph.media.images.colors import parse_color, parse_colors
from nodegraph.media.images.contact_sheets import sheet_size

from ._facts import error_to_finding

SAME = {"image": {name: f"image.{name}" for name in ("width", "height", "batch", "channels")}}
"""Facts of pictures that come out as large, as many and with as many channels as they went in."""


def color_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The same for pictures whose grey becomes colours."""
    names = ("width", "height", "batch", "channels")
    known = {name: inputs.fact("image", name) for name in names}
    if known["channels"] == 1:
        known["channels"] = 3
    return {"image": {name: value for name, value in known.items() if value is not None}}


_ONE_COLOR = ("color", "background", "fill", "outline", "text_color")
_COLORS = {"colors": 2, "palette": 1}
"""Ports that take several, and how many at the least."""


def check_colors(inputs: HookInputs) -> Iterator[Finding]:
    """Find texts that are no colours, at any port that takes some."""
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
    """Find pictures that get too large together, as far as it is known how many there are."""
    yield from check_colors(inputs)
    yield from _sheet_findings(inputs, inputs.literals.get("columns"))


def check_strip(inputs: HookInputs) -> Iterator[Finding]:
    """Find pictures that get too long together, as far as it is known how many there are."""
    # A column is as large as a row, but for the gaps.
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
