"""Facts and checks of nodes that transform, combine and save latents. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nodegraph import Facts, Finding, HookInputs, InvalidValue, NodegraphError
from nodegraph.families.latent_formats import LEAST_CELL, scaled_size
from nodegraph.families.registry import get_latent_format
from nodegraph.media.images.memory_checks import check_memory, sampling_bytes
from nodegraph.sampling.latents.files import about_latent

from ._facts import error_to_finding, input_path
from ._sampling_facts import LATENT_FACTS

KEPT = {**LATENT_FACTS, "format": "latent.format"}
"""Facts of a latent of which only the values change."""


def rotated_latent_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Swap width and height for quarter turns."""
    known = dict(inputs.facts.get("latent", {}))
    angle = inputs.literals.get("angle")
    if angle is None:
        known = {name: known[name] for name in known.keys() - {"width", "height"}}
    elif angle != "180":
        names = {"width": "height", "height": "width"}
        known = {names.get(name, name): known[name] for name in known}
    return {"latent": known}


def resized_latent_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size of the output of ResizeLatent."""
    known = dict(inputs.facts.get("latent", {}))
    try:
        size = _scaled(inputs)
    except InvalidValue:
        # `check_scaled` reports it.
        size = None
    if size is None:
        return {"latent": {name: known[name] for name in known.keys() - {"width", "height"}}}
    return {"latent": {**known, "width": size[0], "height": size[1]}}


def check_scaled(inputs: HookInputs) -> Iterator[Finding]:
    """Find sizes that are too large."""
    try:
        size = _scaled(inputs)
        if size is not None:
            needed = sampling_bytes(*size, 1, is_guided=False)
            check_memory(*size, inputs.fact("latent", "batch") or 1, needed, port="factor")
    except InvalidValue as error:
        yield error_to_finding(error.problem.port or "factor", error)


def _scaled(inputs: HookInputs) -> tuple[int, int] | None:
    width, height, factor = (inputs.literals.get(name) for name in ("width", "height", "factor"))
    before = inputs.fact("latent", "width"), inputs.fact("latent", "height")
    known = inputs.fact("latent", "format")
    cell = LEAST_CELL if known is None else get_latent_format(known).spatial
    if width is None or height is None or factor is None or None in before:
        return None
    return scaled_size((before[0] or 0, before[1] or 0), width, height, factor, cell)


def check_cropped(inputs: HookInputs) -> Iterator[Finding]:
    """Find crops that exceed the latent."""
    for axis, side in (("x", "width"), ("y", "height")):
        start, length = inputs.literals.get(axis), inputs.literals.get(side)
        whole = inputs.fact("latent", side)
        if start is None or length is None or whole is None:
            continue
        if start + length > whole:
            yield Finding(
                side,
                "the crop exceeds the latent",
                f"{length} pixels from {start}",
                f"{whole - start} at most" if start < whole else f"{axis} below {whole}",
                code="wrong-size",
            )


def combined_latent_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of a latent made of two. A single item is combined with each item of a batch."""
    known = {**inputs.facts.get("second", {}), **inputs.facts.get("first", {})}
    counts = [inputs.fact(port, "batch") for port in ("first", "second")]
    kept = {name: known[name] for name in known.keys() & KEPT.keys() - {"batch"}}
    return {"latent": kept if None in counts else {**kept, "batch": max(counts)}}


_COMPARED = ("width", "height", "frames", "format")


def check_compatible_latents(inputs: HookInputs) -> Iterator[Finding]:
    """Find two latents that cannot be combined."""
    return _differences(inputs, _COMPARED)


def _differences(inputs: HookInputs, compared: Iterable[str]) -> Iterator[Finding]:
    """Find facts that differ between the first and the second latent."""
    for name in compared:
        first, second = inputs.fact("first", name), inputs.fact("second", name)
        if None not in (first, second) and first != second:
            yield Finding(
                "second",
                f"the latents differ in {name}",
                str(second),
                str(first),
                "Bring both to the same size with ResizeLatent or CropLatent."
                if name in ("width", "height")
                else None,
                "wrong-size",
            )


_SIDES = {"x": "width", "y": "height", "t": "frames"}


def concatenated_latent_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of two latents in one, whose side along the axis is the sum of both."""
    known = {**inputs.facts.get("second", {}), **inputs.facts.get("first", {})}
    kept = {name: known[name] for name in known.keys() & KEPT.keys()}
    side = _SIDES.get(inputs.literals.get("axis") or "")
    if side is None:
        return {"latent": {name: kept[name] for name in kept.keys() - set(_SIDES.values())}}
    kept.pop(side, None)
    lengths = inputs.fact("first", side), inputs.fact("second", side)
    if side != "frames" and None not in lengths:
        kept[side] = sum(length or 0 for length in lengths)
    return {"latent": kept}


def check_concatenated(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents that differ in another side than the one along the axis."""
    axis = inputs.literals.get("axis")
    if axis is None:
        return iter(())
    return _differences(inputs, (name for name in _COMPARED if name != _SIDES.get(axis)))


def check_pasted(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents of different models, and positions outside the destination."""
    known = inputs.fact("destination", "format"), inputs.fact("source", "format")
    if None not in known and known[0] != known[1]:
        yield Finding("source", "the latents are of different models", str(known[1]), str(known[0]))
    for axis, side in (("x", "width"), ("y", "height")):
        start, whole = inputs.literals.get(axis), inputs.fact("destination", side)
        if start is not None and whole is not None and start >= whole:
            yield Finding(
                axis,
                "the source is outside the destination",
                f"{start} pixels",
                f"below {whole}",
            )


def check_latent_file(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing or do not contain a latent."""
    path = input_path(inputs)
    if path is not None:
        try:
            # Users of a server must not learn about files of others.
            about_latent(path, names=inputs.environment.readable is None)
        except NodegraphError as error:
            yield error_to_finding("path", error)


def latent_file_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Facts of the latent in a file."""
    path = input_path(inputs)
    try:
        about = None if path is None else about_latent(path)
    except NodegraphError:
        # `check_latent_file` reports it.
        return {}
    if about is None:
        return {}
    known = {
        "width": about.width,
        "height": about.height,
        "batch": about.batch_size,
        "frames": about.frames,
    }
    return {"latent": {**known, **({"format": about.format} if about.format else {})}}
