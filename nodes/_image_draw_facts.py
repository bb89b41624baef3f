"""Facts and checks of nodes that draw on images, before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nodegraph import Facts, Finding, HookInputs, InvalidValue
from nodegraph.core.weight_files import file_stamp

from ._facts import error_to_finding
from ._image_facts import check_colors


def drawn_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The same image. Whether a grayscale image becomes a color image is not known before."""
    names = ("width", "height", "batch", "channels")
    known = {name: inputs.fact("image", name) for name in names}
    if known["channels"] == 1:
        known["channels"] = None
    return {"image": {name: value for name, value in known.items() if value is not None}}


def _font(inputs: HookInputs) -> Path | None:
    name = inputs.literals.get("font")
    return inputs.environment.inputs / Path(name).expanduser() if name else None


def check_text(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid colors and missing fonts."""
    yield from check_colors(inputs)
    font = _font(inputs)
    if font is not None and not font.is_file():
        from nodegraph.media.images.input_files import missing_file_error

        # Clients of a server must not learn of files that other people put there.
        yield error_to_finding(
            "font", missing_file_error(font, names=inputs.environment.readable is None)
        )


def check_drawn_boxes(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid colors and invalid boxes."""
    from nodegraph.media.images.regions import parse_boxes

    yield from check_colors(inputs)
    text, unit = inputs.literals.get("boxes"), inputs.literals.get("unit")
    if text is not None and unit is not None and text.strip() not in ("", "[]"):
        try:
            parse_boxes(text, unit=unit)
        except InvalidValue as error:
            yield error_to_finding("boxes", error)


def font_state(inputs: HookInputs) -> str:
    """Changes when the font file changes."""
    font = _font(inputs)
    return "" if font is None else file_stamp(font)
