"""Latent frames of videos: replace some, and match the statistics of the first ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import get_latent_format

Statistics = Literal["joint", "per frame"]
"""Whether the first frames have one mean and deviation, or each has its own."""


class _Limits(NamedTuple):
    """How far a mean and a deviation may change, down and up."""

    mean: tuple[float, float]
    deviation: tuple[float, float]


_LIMITS = {
    "joint": _Limits((0.05, 0.1), (0.1, 0.25)),
    "per frame": _Limits((0.3, 0.35), (0.35, 0.5)),
}
_TINY = {"joint": 0.0, "per frame": 1e-8}
"""Keeps a deviation of zero from dividing by zero."""


def match_first_frames(
    latent: Latent, frames: int = 4, reference: int = 5, statistics: Statistics = "joint"
) -> Latent:
    """Give the first latent frames of a video the mean and deviation of those behind them.

    How far both change is limited.

    Args:
        frames: How many are changed. A video that has no more stays as it is.
        reference: How many behind them are the reference, at most.
        statistics: ``joint`` is as in diffusers, ``per frame`` as in ComfyUI.
    Raises:
        InvalidValue: The latent is empty, or no video's; on port ``latent``.
    Source: ``normalize_first_frame`` of diffusers' ``Kandinsky5I2VPipeline``, and
        ``comfy_extras/nodes_kandinsky5.py`` of ComfyUI.
    """
    samples = _video(latent, "latent")
    if samples.shape[2] <= frames:
        return latent
    # With channels last: other orders give other last bits.
    moved = samples.movedim(1, -1).contiguous()
    first, behind = moved[:, :frames], moved[:, frames : frames + reference]
    axes = (1, 2, 3, 4) if statistics == "joint" else (2, 3, 4)
    limits = _LIMITS[statistics]
    mean, deviation = first.mean(axes, keepdim=True), first.std(axes, keepdim=True)
    wanted_mean = _clamped(behind.mean(), mean, limits.mean)
    wanted_deviation = _clamped(behind.std(), deviation, limits.deviation)
    matched = (first - mean) / (deviation + _TINY[statistics])
    moved = moved.clone()
    moved[:, :frames] = matched * wanted_deviation + wanted_mean
    return replace(latent, samples=moved.movedim(-1, 1).contiguous())


def _clamped(wanted: Tensor, own: Tensor, limits: tuple[float, float]) -> Tensor:
    low, high = limits
    return wanted.clamp(own - low, own + high)


def replace_frames(destination: Latent, source: Latent, index: int = 0) -> Latent:
    """Put the latent frames of a video in place of some of another.

    Args:
        source: With as many items as the destination, or one.
        index: Latent frame of the destination that the first one replaces; below 0 from the end.
    Raises:
        InvalidValue: One of them is empty or no video's, or they don't fit each other.
    """
    samples, new = _video(destination, "destination"), _video(source, "source")
    if None not in (destination.format, source.format) and destination.format != source.format:
        raise InvalidValue(
            "the latents are of different models",
            port="source",
            given=f"format {source.format}",
            expected=f"format {destination.format}",
        )
    same_size = new.shape[1] == samples.shape[1] and new.shape[3:] == samples.shape[3:]
    if not same_size or len(new) not in (1, len(samples)):
        raise InvalidValue(
            "the latents differ in size",
            port="source",
            given=f"shape {tuple(new.shape)}",
            expected=f"shape {(len(samples), samples.shape[1], 'frames', *samples.shape[3:])}",
        )
    total, count = samples.shape[2], new.shape[2]
    first = index + total if index < 0 else index
    if not 0 <= first <= total - count:
        raise InvalidValue(
            "the frames do not fit into the video there",
            port="index",
            given=f"{count} latent frames at {index} of {total}",
            expected=f"an index of 0 to {total - count}" if count <= total else "a shorter source",
        )
    joined = samples.clone()
    joined[:, :, first : first + count] = new
    return replace(destination, samples=joined)


def _video(latent: Latent, port: str) -> Tensor:
    """The samples of a latent of a video.

    Raises:
        InvalidValue: It is empty, or no video's; on that port.
    """
    samples = latent.samples
    if samples is None or samples.ndim != 5:
        is_empty = samples is None
        known = None if latent.format is None else get_latent_format(latent.format)
        raise InvalidValue(
            "the latent is empty" if is_empty else "the latent is not of a video",
            port=port,
            given="no samples" if is_empty else f"one of format {known.name if known else None}",
            expected="the latent of a video",
            hint="Link the latent of a sampler or of VAEEncodeVideo.",
        )
    return samples
