"""Audio files as values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.core.host_memory import SHARE, total_memory
from nodegraph.core.values import Audio
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.audio.audio_files import open_audio
from nodegraph.media.audio.ffmpeg import frame_to_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class AudioTooLong(InvalidValue):
    """More of it than there is memory for."""

    code = "too-large"


def read_audio(
    path: Path,
    *,
    start: float = 0,
    seconds: float = 0,
    names: bool = True,
    check_cancelled: Callable[[], None] | None = None,
) -> Audio:
    """The audio of a file, or of a part of it.

    Args:
        path: Of an audio file, or of a video that has some.
        start: What is left out at the beginning, in seconds.
        seconds: How much is read at most; 0 for all.
        names: Whether an error may name files like one that is missing.
        check_cancelled: Asked again and again; may raise, to stop.
    Raises:
        InvalidFile: It is missing, damaged, or holds no audio.
        InvalidValue: It ends before `start`, or is more than there is memory for.
    """
    import numpy as np
    import torch

    parts: list[NDArray[np.float32]] = []
    with open_audio(path, names=names) as file:
        rate = file.rate
        begin, end = round(start * rate), round((start + seconds) * rate) if seconds else None
        at, kept = 0, 0
        for frame in file.frames():
            samples = frame_to_samples(frame)[
                :, max(0, begin - at) : None if end is None else end - at
            ]
            at += frame.samples
            kept += samples.shape[1]
            check_audio_memory(kept, file.channels, rate, port="seconds")
            if samples.shape[1]:
                parts.append(samples)
            if check_cancelled is not None:
                check_cancelled()
            if end is not None and at >= end:
                break
    if not at:
        raise InvalidFile(f"{path} is damaged: there is nothing to be heard in it.")
    if not parts:
        raise start_beyond_end_error(start, at / rate)
    return Audio(torch.from_numpy(np.ascontiguousarray(np.concatenate(parts, axis=1))), rate)


def check_audio_memory(samples: int, channels: int, rate: int, *, port: str) -> None:
    """Refuse what the host's memory can't hold.

    Raises:
        AudioTooLong: It is more than a process may take here.
    """
    # Piece by piece, and all together.
    total, needed = total_memory(), 2 * 4 * samples * channels
    if total is not None and needed > total * SHARE:
        raise AudioTooLong(
            "this is too much audio for this machine's memory",
            port=port,
            given=f"{samples / rate:.0f} s of {channels} channels: about {needed / 1e9:,.1f} GB",
            expected=f"at most {total * SHARE / 1e9:,.1f} GB",
            hint="Take a part of it.",
        )


def start_beyond_end_error(start: float, seconds: float) -> InvalidValue:
    """The error that tells of a beginning behind the end."""
    return InvalidValue(
        "the audio ends before that",
        port="start",
        given=f"{start:g} s",
        expected=f"less than {seconds:g} s, as it is so long",
    )
