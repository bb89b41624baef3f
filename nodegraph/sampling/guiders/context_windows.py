"""Context windows: which frames of a long video a model sees at once. Imports no torch.

Schedules and weights are those of AnimateDiff-Evolved
(https://github.com/Kosinkadink/ComfyUI-AnimateDiff-Evolved, after
https://github.com/neggles/animatediff-cli) and of ComfyUI's ``comfy/context_windows.py``. Averaging
overlapping windows in each step is MultiDiffusion over time, Bar-Tal et al. 2023, arXiv:2302.08113.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.families.base import Family

CONTEXT_SCHEDULES = ("standard_static", "standard_uniform", "looped_uniform", "batched")
"""How windows are laid over a video; see `WindowedEvaluation`."""
FUSE_METHODS = ("pyramid", "relative", "flat", "overlap-linear")
"""How predictions of overlapping windows are weighted; see `window_weights`."""
WINDOW_UNITS = ("frames", "latent frames")
"""What lengths of windows count."""
CONTEXT_FRAMES = ("none", "previous frame", "first frame")
"""What a window shows before its first frame; see `WindowedEvaluation`."""

_LEAST_BIAS = 0.01
_LEAST_RAMP = 1e-37
"""Of the frame at the end of a ramp: it counts only where no other window has the frame."""


@dataclass(frozen=True, slots=True)
class WindowedEvaluation:
    """Evaluation of a video model in overlapping windows of frames.

    So a video may be longer than the videos that the model was trained on.

    Attributes:
        length: Frames of a window. A window of at least all frames is the whole video.
        overlap: Frames that two windows share, below `length`.
        unit: One of `WINDOW_UNITS`: what `length` and `overlap` count.
        schedule: One of `CONTEXT_SCHEDULES`. ``standard_static``: the same windows in each step,
            the last one moved back to the end. ``standard_uniform``: windows that start elsewhere
            in each step. ``looped_uniform``: the same, but they continue at the beginning of the
            video. ``batched``: windows side by side, without overlap.
        stride: Of uniform schedules: 1 for windows of consecutive frames; 2 adds windows of every
            second frame, 3 of every fourth, and so on, as far as such a window fits.
        closed_loop: Whether looped windows also overlap where the video starts again.
        fuse_method: One of `FUSE_METHODS`.
        context_frame: One of `CONTEXT_FRAMES`: what is shown before the first frame of a window
            that starts later than the video, without being changed. ``first frame``: the frame
            before it with the conditioning of the first frame, or the first frame itself if it is
            a part of the latent.
        free_noise: Whether the initial noise of later frames is that of earlier ones, shuffled; see
            `nodegraph.sampling.windowed_evaluation.shuffle_noise`.
        split_prompts: Whether several prompts of a side apply one after the other, each to the
            windows in its share of the video.
    """

    length: int = 81
    overlap: int = 16
    unit: str = "frames"
    schedule: str = "standard_static"
    stride: int = 1
    closed_loop: bool = False
    fuse_method: str = "pyramid"
    context_frame: str = "previous frame"
    free_noise: bool = True
    split_prompts: bool = False

    def __post_init__(self) -> None:
        for port, value, known in (
            ("unit", self.unit, WINDOW_UNITS),
            ("schedule", self.schedule, CONTEXT_SCHEDULES),
            ("fuse_method", self.fuse_method, FUSE_METHODS),
            ("context_frame", self.context_frame, CONTEXT_FRAMES),
        ):
            if value not in known:
                raise InvalidValue(
                    f"{port} has no such option", port=port, given=value, expected=", ".join(known)
                )
        for port, number in (("length", self.length), ("stride", self.stride)):
            if number < 1:
                raise InvalidValue(
                    f"{port} is out of range", port=port, given=str(number), expected="at least 1"
                )
        check_overlap(self.length, self.overlap)

    def in_latent_frames(self, temporal: int) -> tuple[int, int]:
        """Return length and overlap of windows in latent frames.

        Args:
            temporal: Frames per latent frame of the model.
        """
        if self.unit == "latent frames":
            return self.length, self.overlap
        step = max(temporal, 1)
        length = (self.length - 1) // step + 1
        return length, self.overlap // step

    def splits(self, frames: int, temporal: int) -> bool:
        """Return whether a video of so many latent frames has several windows."""
        return frames > self.in_latent_frames(temporal)[0]

    def frames_at_once(self, frames: int, temporal: int) -> int:
        """Return the most latent frames that the model is evaluated on at once."""
        length, _ = self.in_latent_frames(temporal)
        return min(frames, length + (self.context_frame != "none"))


def check_overlap(length: int, overlap: int) -> None:
    """Refuse windows that do not advance.

    Raises:
        InvalidValue: On port ``overlap``.
    """
    if not 0 <= overlap < length:
        raise InvalidValue(
            "windows overlap by fewer frames than they have",
            port="overlap",
            given=str(overlap),
            expected=f"0 to {length - 1}",
            hint="Lower overlap, or raise length.",
        )


def check_windowed(family: Family) -> None:
    """Refuse context windows for models whose latents have no frames, or also have sound.

    Raises:
        InvalidValue: On port ``guider``.
    """
    if not family.latent.temporal:
        raise InvalidValue(
            f"{family.title} generates no videos, and only videos have context windows",
            port="guider",
            given=family.name,
            hint="Remove ContextWindows, or load a video model.",
        )
    if family.sound is not None:
        raise InvalidValue(
            f"{family.title} also generates sound, which is not divided into context windows",
            port="guider",
            given=family.name,
            hint="Remove ContextWindows.",
        )


def plan_windows(
    choice: WindowedEvaluation, frames: int, step: int = 0, temporal: int = 1
) -> list[list[int]]:
    """Return the windows of a step: indices of latent frames, in the order the model sees them.

    Each frame lies in at least one window, and no window has a frame twice.

    Args:
        frames: Latent frames of the video.
        step: Of the whole schedule. It decides where uniform windows start.
        temporal: Frames per latent frame of the model.
    """
    length, overlap = choice.in_latent_frames(temporal)
    if frames <= length:
        return [list(range(frames))]
    if choice.schedule == "batched":
        starts = range(0, frames, length)
        return [list(range(start, min(start + length, frames))) for start in starts]
    if choice.schedule == "standard_static":
        starts = range(0, frames - overlap, length - overlap)
        moved = (min(start, frames - length) for start in starts)
        return [list(range(start, start + length)) for start in moved]
    is_looped = choice.schedule == "looped_uniform"
    closed = is_looped and choice.closed_loop
    windows = _circular_windows(length, overlap, frames, step, choice.stride, closed=closed)
    return windows if is_looped else _straightened(windows, length, frames)


def _circular_windows(
    length: int, overlap: int, frames: int, step: int, stride: int, *, closed: bool
) -> list[list[int]]:
    """Windows that continue at the beginning, from a start that moves from step to step."""
    offset = _halved(step)
    start = round(frames * offset)
    windows = []
    for level in range(min(stride, math.ceil(math.log2(frames / length)) + 1)):
        spacing = 1 << level
        if (length - 1) * spacing >= frames:
            break  # it would have frames twice
        first = int(offset * spacing) + start
        last = frames + start - (0 if closed else overlap)
        for begin in range(first, last, length * spacing - overlap):
            window = range(begin, begin + length * spacing, spacing)
            windows.append([frame % frames for frame in window])
    return windows


def _straightened(windows: list[list[int]], length: int, frames: int) -> list[list[int]]:
    """Windows that do not pass the end: those that do are moved back to it.

    Where the next window does not begin with what is then missing at the beginning, a window is
    added there. Equal ones are left out. Where windows with a stride leave frames out, windows are
    added for these.
    """
    straight: list[list[int]] = []
    pending = list(windows)
    for index, window in enumerate(pending):
        wrap = next((at for at in range(1, length) if window[at] < window[at - 1]), None)
        if wrap is None:
            straight.append(window)
            continue
        shift = frames - 1 - (window[-1] - window[0]) % frames
        straight.append([(frame - window[0]) % frames + shift for frame in window])
        following = straight[0] if index == len(pending) - 1 else pending[index + 1]
        if window[wrap] not in following:
            straight.append(list(range(window[wrap], window[wrap] + length)))
    missing = set(range(frames)).difference(*straight)
    while missing:
        start = min(*missing, frames - length)
        straight.append(list(range(start, start + length)))
        missing.difference_update(straight[-1])
    return [list(window) for window in dict.fromkeys(map(tuple, straight))]


def _halved(step: int) -> float:
    """A number from 0 to below 1 for each step, each far from those before it.

    It is the step's binary digits in reverse order after the point: van der Corput's sequence.
    """
    digits = f"{step:b}"[::-1]
    return float(int(digits, 2) / (1 << len(digits)))


def window_weights(
    choice: WindowedEvaluation, window: Sequence[int], frames: int, overlap: int
) -> list[float]:
    """Return how much each frame of a window counts, above 0.

    ``flat``: all alike. ``pyramid``: 1, 2, 3 … towards the middle. ``relative``: from 0.01 at the
    ends to 1 in the middle. ``overlap-linear``: 1, with ramps over the overlap where the video
    continues.

    Args:
        window: Of `plan_windows`.
        frames: Latent frames of the video.
        overlap: Latent frames that two windows share.
    """
    count = len(window)
    if choice.fuse_method == "pyramid":
        return [float(min(at, count - 1 - at) + 1) for at in range(count)]
    if choice.fuse_method == "relative":
        pairs = pairwise(window)
        # how far each frame is behind the first, past the video's end, too
        behind = [0, *accumulate((later - earlier) % frames for earlier, later in pairs)]
        middle, half = behind[-1] / 2, (behind[-1] + _LEAST_BIAS) / 2
        return [max(_LEAST_BIAS, 1 - abs(distance - middle) / half) for distance in behind]
    weights = [1.0] * count
    ramp = min(overlap, count)
    if choice.fuse_method == "overlap-linear" and ramp:
        rising = [max(_LEAST_RAMP, at / max(ramp - 1, 1)) for at in range(ramp)]
        if min(window) > 0:
            weights[:ramp] = rising
        if max(window) < frames - 1:
            # a ramp of one frame is its first: it rises from 0, and falls from 1
            weights[-ramp:] = rising[::-1] if ramp > 1 else [1.0]
    return weights


def fusion_shares(
    choice: WindowedEvaluation, windows: Sequence[Sequence[int]], frames: int, overlap: int
) -> list[list[float]]:
    """Return the share of each window in each of its frames: for a frame, they add up to 1.

    A frame of one window has the share 1 there, so that its prediction stays as it is.

    Args:
        windows: Of `plan_windows`.
        frames, overlap: As of `window_weights`.
    """
    weights = [window_weights(choice, window, frames, overlap) for window in windows]
    totals = [0.0] * frames
    for window, of_window in zip(windows, weights, strict=True):
        for frame, weight in zip(window, of_window, strict=True):
            totals[frame] += weight
    return [
        [weight / totals[frame] for frame, weight in zip(window, of_window, strict=True)]
        for window, of_window in zip(windows, weights, strict=True)
    ]
