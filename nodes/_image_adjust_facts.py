"""Facts and checks of nodes that adjust images, before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, InvalidValue

from ._facts import error_to_finding, input_path
from ._image_facts import color_facts


def adjusted_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the output. A single adjusted channel turns grayscale images into color."""
    facts = dict(color_facts(inputs)["image"])
    channel = inputs.literals.get("channel")
    if channel == "all" and inputs.fact("image", "channels") == 1:
        facts["channels"] = 1
    elif channel is None:
        facts.pop("channels", None)
    return {"image": facts}


def check_adjustment(inputs: HookInputs) -> Iterator[Finding]:
    """Find a black point that is not below the white point, and invalid curve points."""
    from nodegraph.media.images.editing.adjustments import parse_curve

    literals = inputs.literals
    black, white = literals.get("black"), literals.get("white")
    if black is not None and white is not None and black >= white:
        yield Finding(
            "black", "the black point is not below the white point", str(black), f"below {white}"
        )
    points = literals.get("points")
    try:
        if points is not None:
            parse_curve(points)
    except InvalidValue as error:
        yield error_to_finding("points", error)


def check_cube(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing files."""
    path = input_path(inputs)
    if path is None or path.is_file():
        return
    from nodegraph.media.images.input_files import missing_file_error

    # Clients of a server must not learn of files that other people put there.
    error = missing_file_error(path, names=inputs.environment.readable is None)
    yield error_to_finding("path", error)
