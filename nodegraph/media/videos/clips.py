"""Videos decoded from files, built from images, and trimmed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.values import Audio, Video
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.audio.audio_files import frame_to_samples
from nodegraph.media.images.memory_checks import check_memory, decoding_bytes
from nodegraph.media.videos.rates import FramePart
from nodegraph.media.videos.video_files import (
    OpenVideo,
    open_video,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.media.videos.colors import FramePlanes


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
    """A video of images in their order.

    Args:
        images: Each (batch, height, width, 1, 3 or 4 channels), all of one size; transparency is
            left out.
    Raises:
        InvalidValue: There are none, of several sizes, or more than there is memory for.
    """
    import torch

    batches = [batch for batch in images if len(batch)]
    if not batches:
        raise InvalidValue("there are no images to create a video from", port="images")
    sizes = list(dict.fromkeys((batch.shape[2], batch.shape[1]) for batch in batches))
    if len(sizes) > 1:
        raise InvalidValue(
            "the images of a video must have the same size",
            port="images",
            given=", ".join(f"{width} x {height}" for width, height in sizes[:4]),
            hint="Put a ResizeImage before this node.",
        )
    count = sum(map(len, batches))
    (width, height), needed = sizes[0], 12 * count * sizes[0][0] * sizes[0][1]
    check_memory(width, height, count, needed, port="images")
    frames = torch.cat([_colors(batch) for batch in batches])
    return Video(frames, rate, audio)


def _colors(batch: Tensor) -> Tensor:
    """Red, green and blue of images of any channels."""
    if batch.shape[-1] < 3:
        return batch[..., :1].expand(*batch.shape[:-1], 3)
    return batch[..., :3].float().clamp(0, 1)


OnProgress = Callable[[int], None]
"""Told how many frames are done, after each."""


def read_video(
    path: Path,
    *,
    first: int = 0,
    count: int = 0,
    every: int = 1,
    rate: Fraction | None = None,
    names: bool = True,
    on_progress: OnProgress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Video:
    """A video, or a part of it, with the part of the audio that belongs to it.

    Frames are upright; pixels are taken to be square, and colors of high dynamic range aren't
    mapped. Where frames don't come evenly, those that are shown longer come several times, so that
    all happens when it does in the file.

    Args:
        first: Frames that are left out at the beginning.
        count: How many are read at most; 0 for all.
        every: Of how many one is read; the rate is divided by it.
        rate: Frames a second that are counted; None for the file's own.
        names: Whether an error may name files like one that is missing.
        on_progress: May raise, to stop.
        warn: Told what is missing in the video.
    Raises:
        InvalidFile: It is missing, damaged, or no video.
        InvalidValue: It has no such frames, or more than there is memory for.
    """
    import torch

    with open_video(path, names=names) as file:
        rate = rate or file.rate_for(FramePart(first, count, every), warn)
        pictures, is_end = _pictures(file, rate, first, count, every, on_progress)
        begins = file.start_time
        has_audio = file.audio is not None or not file.container.streams.audio
        is_mixed = file.has_separate_alpha
    if not has_audio and warn is not None:
        warn(f"The audio of {path.name} cannot be read and is skipped.")
    if warn is not None and (is_mixed or any(picture.has_alpha for picture in pictures)):
        warn(
            f"The transparency of {path.name} is dropped, as videos have none. Use "
            "LoadImageFrames to read the transparency of GIF, WebP and APNG."
        )
    width, height = pictures[0].size
    frames = torch.empty(len(pictures), height, width, 3)
    for at in range(len(pictures)):
        # Let go of one after the other: both forms of all together are never there.
        frames[at] = torch.from_numpy(pictures[at].rgb())
        pictures[at] = _GONE
    with open_video(path) as file:
        seconds = len(frames) * every / rate
        audio = _audio(file, begins, first / rate, seconds, is_end=is_end)
    return Video(frames, rate / every, audio)


def _pictures(
    file: OpenVideo,
    rate: Fraction,
    first: int,
    count: int,
    every: int,
    on_progress: OnProgress | None,
) -> tuple[list[FramePlanes], bool]:
    """The images, and whether the video ends with them."""
    from nodegraph.media.videos.colors import read_planes

    pictures: list[FramePlanes] = []
    index, is_end = -1, True
    for index, frame in enumerate(file.frames_at(rate)):
        if index < first or (index - first) % every:
            if on_progress is not None:
                on_progress(len(pictures))
            continue
        number = len(pictures) + 1
        needed = decoding_bytes(frame.width, frame.height, number)
        check_memory(frame.width, frame.height, number, needed, port="count")
        pictures.append(read_planes(frame))
        if on_progress is not None:
            on_progress(number)
        if number == count:
            is_end = False
            break
    if index < 0:
        raise InvalidFile(f"{file.name} is damaged: it contains no image")
    if not pictures:
        raise frame_out_of_range_error(first, index + 1)
    return pictures, is_end


def frame_out_of_range_error(first: int, frames: int) -> InvalidValue:
    """The error that tells of a beginning behind the end."""
    return InvalidValue(
        "the video ends before this frame",
        port="first",
        given=f"frame {first}",
        expected=f"0 to {frames - 1}, as it has {frames} frames",
    )


def _audio(
    file: OpenVideo, begins: Fraction, start: Fraction, seconds: Fraction, *, is_end: bool
) -> Audio | None:
    """The part of the audio from `start`, as long as there is some and `seconds` at most.

    Args:
        begins: When the first image is shown, by the file's clock.
        is_end: Take what sounds on behind the last image, too.
    """
    import numpy as np
    import torch

    if file.audio is None:
        return None
    rate = file.audio.codec_context.sample_rate
    begin, end = round(start * rate), round((start + seconds) * rate)
    if is_end:
        # Where the file tells how long it sounds, more is what fills its codec's last block.
        sounds = file.audio.duration and (file.audio.duration * (file.audio.time_base or 1))
        end = max(end, round(sounds * rate)) if sounds else sys.maxsize
    parts, at = [], None
    for frame in file.audio_frames():
        samples = frame_to_samples(frame)
        if at is None:
            # Audio may begin later than the images, or sooner.
            at = round(((frame.pts or 0) * (frame.time_base or 1) - begins) * rate)
            parts.append(np.zeros((len(samples), max(0, at - begin)), np.float32))
        parts.append(samples[:, max(0, begin - at) : max(0, end - at)])
        at += samples.shape[1]
        if at >= end:
            break
    if not parts or len({len(part) for part in parts}) > 1:
        return None
    together = np.concatenate(parts, axis=1)[:, : end - begin]
    return Audio(torch.from_numpy(np.ascontiguousarray(together)), rate)


_GONE: Any = None
