"""Facts and checks of the video nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from nodegraph import Facts, Finding, HookInputs, InvalidFile, NodegraphError
from nodegraph.core.weight_files import file_stamp
from nodegraph.media.images.memory_checks import check_memory, decoding_bytes
from nodegraph.media.videos.clips import (
    frame_count_after_trim,
    frame_out_of_range_error,
)
from nodegraph.media.videos.rates import FramePart, exact_rate
from nodegraph.media.videos.video_files import (
    VideoFacts,
    video_facts,
)

from ._facts import error_to_finding, input_path


def loaded_video_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size, number and rate of the frames that LoadVideo loads."""
    path = input_path(inputs)
    if path is None:
        return {}
    try:
        facts = _facts_of(path, _rate(inputs), _frame_part(inputs))
    except NodegraphError:
        # `check_video` reports it.
        return {}
    rate = float(facts.rate)
    return _part(inputs, {"width": facts.width, "height": facts.height}, facts.frames, rate)


def _rate(inputs: HookInputs) -> Fraction | None:
    rate = inputs.literals.get("rate")
    return exact_rate(rate) if rate else None


def _frame_part(inputs: HookInputs) -> FramePart:
    # A linked value counts as its default.
    names = [name for name in ("first", "count", "every") if inputs.literals.get(name)]
    return FramePart(**{name: inputs.literals[name] for name in names})


def _facts_of(
    path: Path, rate: Fraction | None, part: FramePart, *, names: bool = True
) -> VideoFacts:
    try:
        stamp = file_stamp(path)
    except InvalidFile:
        return video_facts(path, names=names)  # reports more details
    return _known(path, stamp, rate, part)


@lru_cache(maxsize=64)
def _known(path: Path, stamp: str, rate: Fraction | None, part: FramePart) -> VideoFacts:
    return video_facts(path, rate=rate, part=part)


def check_video(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing or invalid video files, and frames that are out of range or too many."""
    path = input_path(inputs)
    if path is None:
        return
    try:
        # Users of a server must not learn about files of others.
        facts = _facts_of(
            path, _rate(inputs), _frame_part(inputs), names=inputs.environment.readable is None
        )
    except NodegraphError as error:
        yield error_to_finding("path", error)
        return
    kept = loaded_video_facts(inputs).get("video", {}).get("frames")
    try:
        if kept == 0 and facts.frames is not None:
            raise frame_out_of_range_error(inputs.literals["first"], facts.frames)
        if kept is not None:
            needed = decoding_bytes(facts.width, facts.height, kept)
            check_memory(facts.width, facts.height, kept, needed, port="count")
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or "path", error)


def trimmed_video_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size, number and rate of the frames that TrimVideo keeps."""
    size = {
        name: inputs.fact("video", name)
        for name in ("width", "height")
        if inputs.fact("video", name) is not None
    }
    return _part(inputs, size, inputs.fact("video", "frames"), inputs.fact("video", "rate"))


def _part(
    inputs: HookInputs, size: dict[str, int], frames: int | None, rate: float | None
) -> dict[str, Facts]:
    first, count, every = (inputs.literals.get(name) for name in ("first", "count", "every"))
    facts: dict[str, int | float] = dict(size)
    if frames is not None and first is not None and count is not None and every:
        facts["frames"] = frame_count_after_trim(frames, first, count, every)
    if rate is not None and every:
        facts["rate"] = rate / every
    return {"video": facts}


def check_part(inputs: HookInputs) -> Iterator[Finding]:
    """Find frames outside the video."""
    if trimmed_video_facts(inputs)["video"].get("frames") == 0:
        error = frame_out_of_range_error(inputs.literals["first"], inputs.fact("video", "frames"))
        yield error_to_finding("first", error)


def video_frames_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size and number of the images of ImagesFromVideo."""
    facts = {name: inputs.fact("video", name) for name in ("width", "height")}
    facts |= {"batch": inputs.fact("video", "frames"), "channels": 3}
    return {"image": {name: fact for name, fact in facts.items() if fact is not None}}


def frames_video_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Size and rate of the video of VideoFromImages. The length of a list is unknown."""
    facts = {name: inputs.fact("images", name) for name in ("width", "height")}
    rate = inputs.literals.get("rate")
    if rate is not None:
        facts["rate"] = float(exact_rate(rate))
    return {"video": {name: fact for name, fact in facts.items() if fact is not None}}
