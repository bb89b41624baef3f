"""Videos made of pictures and of parts of other videos."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from nodegraph.core.values import Audio, Video
from nodegraph.errors import InvalidValue
from nodegraph.media.images.room import check_memory
from nodegraph.media.videos.reading import frame_out_of_range_error

if TYPE_CHECKING:
    from torch import Tensor


def frame_count_after_trim(frames: int, first: int, count: int, every: int) -> int:
    """How many frames are left of so many; see `trim_video`."""
    left = max(0, -(-(frames - first) // every))
    return min(left, count) if count else left


def trim_video(video: Video, *, first: int = 0, count: int = 0, every: int = 1) -> Video:
    """A part of a video, with the part of the audio that belongs to it.

    Args:
        first: Frames that are left out at the beginning.
        count: How many are kept at most; 0 for all.
        every: Of how many one is kept; the rate is divided by it.
    Raises:
        InvalidValue: It has no such frames.
    """
    total = len(video.frames)
    kept = frame_count_after_trim(total, first, count, every)
    if not kept:
        raise frame_out_of_range_error(first, total)
    frames = video.frames[first : first + kept * every : every]
    audio = video.audio
    if audio is not None:
        # What sounds on behind the last frame goes with it.
        seconds = None if first + kept * every >= total else kept * every / video.rate
        audio = _part_of_audio(audio, first / video.rate, seconds)
    return Video(frames, video.rate / every, audio)


def _part_of_audio(audio: Audio, start: Fraction, seconds: Fraction | None) -> Audio:
    begin = round(start * audio.rate)
    end = None if seconds is None else round((start + seconds) * audio.rate)
    return Audio(audio.waveform[:, begin:end], audio.rate)


def video_from_images(
    images: Sequence[Tensor], rate: Fraction, audio: Audio | None = None
) -> Video:
    """A video of pictures in their order.

    Args:
        images: Each (batch, height, width, 1, 3 or 4 channels), all of one size; transparency is
            left out.
    Raises:
        InvalidValue: There are none, of several sizes, or more than there is memory for.
    """
    import torch

    batches = [batch for batch in images if len(batch)]
    if not batches:
        raise InvalidValue("there are no pictures to make a video of", port="images")
    sizes = list(dict.fromkeys((batch.shape[2], batch.shape[1]) for batch in batches))
    if len(sizes) > 1:
        raise InvalidValue(
            "the pictures of a video have one size",
            port="images",
            given=", ".join(f"{width} x {height}" for width, height in sizes[:4]),
            hint="Put a ResizeImage before.",
        )
    count = sum(map(len, batches))
    (width, height), needed = sizes[0], 12 * count * sizes[0][0] * sizes[0][1]
    check_memory(width, height, count, needed, port="images")
    frames = torch.cat([_colors(batch) for batch in batches])
    return Video(frames, rate, audio)


def _colors(batch: Tensor) -> Tensor:
    """Red, green and blue of pictures of any channels."""
    if batch.shape[-1] < 3:
        return batch[..., :1].expand(*batch.shape[:-1], 3)
    return batch[..., :3].float().clamp(0, 1)
