"""What is read by FFmpeg of strangers' audio, what it gives, and what it says of damaged files.

Imports neither torch nor numpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AUDIO_CODECS = (
    "aac,mp3,mp3float,mp2,mp2float,opus,libopus,vorbis,libvorbis,flac,alac,ac3,eac3,pcm_u8,pcm_s16le,"
    "pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be"
)
"""FFmpeg's names of what is decoded."""


def frame_to_samples(frame: Any) -> NDArray[np.float32]:
    """float32, shape (channels, samples), of a decoded frame of whatever form."""
    import numpy as np

    raw: Any = frame.to_ndarray()
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        raw = raw.reshape(-1, channels).T
    samples: NDArray[np.float32] = raw.astype(np.float32)
    if raw.dtype == np.uint8:
        samples -= 128
        samples /= 128
    elif raw.dtype.kind == "i":
        samples /= -float(np.iinfo(raw.dtype).min)
    return samples


@contextmanager
def translate_ffmpeg_errors(name: str) -> Iterator[None]:
    """What FFmpeg says of damaged files, as an error of ours."""
    import av

    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        raise damaged_file_error(name, getattr(error, "strerror", None) or str(error)) from error


def damaged_file_error(name: str, reason: str) -> InvalidFile:
    """The error that tells of a file whose content can't be decoded as a whole."""
    return InvalidFile(
        f"{name} is damaged or cut short: {reason}", hint="Copy or download it again."
    )
