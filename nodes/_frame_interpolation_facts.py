"""Facts and checks of the frame interpolation nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.media.images.memory_checks import check_memory
from nodegraph.models.helper_files import (
    frame_interpolator_bytes,
    locate_frame_interpolator,
    open_frame_interpolator,
)

from ._facts import error_to_finding

_HELD = 4 * 1500
"""Bytes per pixel that FILM holds at most, measured in float32: the features of two frames, and the
layer at work."""
_USE = 0.05
"""Uses of each weight per pixel of a new frame, counted. Most weights are of small levels."""


def check_interpolator(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing frame interpolation models, and files of another kind."""
    name = inputs.literals.get("model")
    if name is None:
        return
    try:
        locate_frame_interpolator(name, inputs.environment.models)
    except NodegraphError as error:
        yield error_to_finding("model", error)


def interpolator_state(inputs: HookInputs) -> str:
    """A stamp that changes when the file changes."""
    folders = inputs.environment.models
    return file_stamp(locate_frame_interpolator(inputs.literals["model"], folders))


def interpolator_weights(inputs: HookInputs) -> Estimate:
    """Memory of the loaded model."""
    name, environment = inputs.literals.get("model"), inputs.environment
    if name is None:
        return Estimate()
    try:
        recipe = open_frame_interpolator(name, environment.models, device=str(environment.device))
        return Estimate(memory=0, weights={"model": frame_interpolator_bytes(recipe)})
    except NodegraphError:
        # `check_interpolator` reports it.
        return Estimate()


def interpolated_image_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size and number of the images of InterpolateFrames."""
    known = dict(inputs.facts.get("image", {}))
    facts: Facts = {name: known[name] for name in ("width", "height", "channels") if name in known}
    amount = _total(inputs, "image", "batch")
    return {"image": facts if amount is None else {**facts, "batch": amount}}


def interpolated_video_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size, number and rate of the frames of InterpolateVideo."""
    known = dict(inputs.facts.get("video", {}))
    facts: dict[str, int | float] = {
        name: known[name] for name in ("width", "height") if name in known
    }
    amount = _total(inputs, "video", "frames")
    if amount is not None:
        facts["frames"] = amount
    multiplier, slow = inputs.literals.get("multiplier"), inputs.literals.get("slow_motion")
    if "rate" in known and multiplier is not None and slow is not None:
        facts["rate"] = known["rate"] * (1 if slow else multiplier)
    return {"video": facts}


def check_interpolated_image(inputs: HookInputs) -> Iterator[Finding]:
    """Find results that need more memory than there is."""
    yield from _check_result(inputs, "image", "batch")


def check_interpolated_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find results that need more memory than there is."""
    yield from _check_result(inputs, "video", "frames")


def interpolated_image_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of InterpolateFrames."""
    return _estimate(inputs, "image", "batch")


def interpolated_video_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of InterpolateVideo."""
    return _estimate(inputs, "video", "frames")


def _total(inputs: HookInputs, port: str, count: str) -> int | None:
    """Number of frames of the result, if it is known."""
    amount, multiplier = inputs.fact(port, count), inputs.literals.get("multiplier")
    if amount is None or multiplier is None:
        return None
    return (amount - 1) * multiplier + 1 if amount else 0


def _check_result(inputs: HookInputs, port: str, count: str) -> Iterator[Finding]:
    width, height = inputs.fact(port, "width"), inputs.fact(port, "height")
    total = _total(inputs, port, count)
    if width is None or height is None or total is None:
        return
    channels = inputs.fact(port, "channels") or 3
    try:
        needed = 4 * width * height * channels * total
        check_memory(width, height, total, needed, port="multiplier")
    except NodegraphError as error:
        yield error_to_finding("multiplier", error)


def _estimate(inputs: HookInputs, port: str, count: str) -> Estimate:
    width, height = inputs.fact(port, "width"), inputs.fact(port, "height")
    if width is None or height is None:
        return Estimate()
    # An unknown number of frames counts as one pair.
    total, before = _total(inputs, port, count) or 3, inputs.fact(port, count) or 2
    result = 4 * width * height * (inputs.fact(port, "channels") or 3) * total
    work = width * height * max(0, total - before) * _USE
    return Estimate(memory=width * height * _HELD + result, work=work)
