"""Audio files opened through FFmpeg: codec whitelist, header, text tags.

Files are untrusted: FFmpeg opens no other file or address for them, and only the formats and codecs
listed here. Imports neither torch nor numpy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidFile
from nodegraph.media.images.input_files import guess_file_kind, translate_os_errors

if TYPE_CHECKING:
    import numpy as np
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
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
        f"{name} is damaged or truncated: {reason}", hint="Copy or download it again."
    )


READABLE = "WAV, FLAC, OGG, MP3, M4A, AIFF, or a video with audio"
COMMENT = "comment"
"""Name of the one text of a WAV that may be of any length: holds all of ours, as JSON."""
MAX_CHANNELS = 64
MAX_SAMPLE_RATE = 768_000
"""Samples a second."""
_OPTIONS = {
    "format_whitelist": "wav,w64,aiff,flac,ogg,mp3,aac,mov,mp4,matroska,webm",
    "codec_whitelist": AUDIO_CODECS,
    "protocol_whitelist": "none",
}
_SHORTFALL = Fraction(1, 100)
"""Part of the length that may be missing before a file is taken to be cut short."""
_EXACT = ("wav", "w64", "flac")
"""Formats that say how many samples there are."""
_HEADS = (b"fLaC", b"OggS", b"ID3")


def is_audio_header(start: bytes) -> bool:
    """Whether a file may be a WAV, FLAC, OGG or MP3 by its first 12 bytes."""
    is_mp3 = start[:1] == b"\xff" and start[1:2] in (b"\xfb", b"\xf3", b"\xf2", b"\xfa")
    return (start[:4], start[8:12]) == (b"RIFF", b"WAVE") or start.startswith(_HEADS) or is_mp3


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What an audio file holds.

    Attributes:
        rate: Samples a second.
        samples: Of a channel; None where the file doesn't say it exactly.
    """

    channels: int
    rate: int
    samples: int | None


def audio_facts(path: Path, *, names: bool = True) -> AudioFacts:
    """What is in an audio file, as its header says.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, damaged, or holds no audio.
    """
    with open_audio(path, names=names) as file:
        return AudioFacts(file.channels, file.rate, file.declared_samples())


def audio_texts(path: Path) -> dict[str, str]:
    """The texts that an audio file carries, by name in small letters.

    Raises:
        InvalidFile: It is missing or holds no audio.
    """
    with open_audio(path) as file:
        metadata = {**file.container.metadata, **file.stream.metadata}
    texts = {name.lower(): text for name, text in metadata.items()}
    return {**texts, **_texts_in(texts.get(COMMENT, ""))}


def _texts_in(comment: str) -> dict[str, str]:
    try:
        document = json.loads(comment)
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {name: text for name, text in document.items() if isinstance(text, str)}


class OpenAudio:
    """An audio file that is open.

    Attributes:
        stream: The first one that can be heard.
        rate: Samples a second.
    """

    def __init__(self, container: InputContainer, name: str) -> None:
        self.container = container
        self.name = name
        self.stream = self._stream()
        codec = self.stream.codec_context
        self.rate, self.channels = codec.sample_rate or 0, codec.layout.nb_channels
        if not self.rate or not self.channels:
            raise damaged_file_error(
                name, "it states neither a sample rate nor channels, so it may not be audio"
            )
        if not (0 < self.rate <= MAX_SAMPLE_RATE and 0 < self.channels <= MAX_CHANNELS):
            raise InvalidFile(
                f"{name} is refused: its sample rate or number of channels is out of range",
                given=f"{self.rate} samples per second, {self.channels} channels",
                expected=f"at most {MAX_SAMPLE_RATE:,} and {MAX_CHANNELS}",
            )

    def frames(self) -> Iterator[AudioFrame]:
        """All that is decoded, in order.

        Raises:
            InvalidFile: It is damaged or cut short.
        """
        packets, heard = self.container.demux(self.stream), 0
        while True:
            with translate_ffmpeg_errors(self.name):
                packet: Any = next(packets, None)
                decoded = [] if packet is None else packet.decode()
            if packet is None:
                break
            for frame in decoded:
                if (frame.sample_rate, frame.layout.nb_channels) != (self.rate, self.channels):
                    raise InvalidFile(
                        f"{self.name} is refused: its sample rate or number of channels changes"
                    )
                heard += frame.samples
                yield frame
        claimed = self.declared_samples()
        if claimed is not None and heard < claimed * (1 - _SHORTFALL):
            raise damaged_file_error(
                self.name, f"only {heard / self.rate:.1f} of {claimed / self.rate:.1f} s are there"
            )

    def declared_samples(self) -> int | None:
        """Samples of a channel, as the file says, if one can go by that."""
        stream = self.stream
        if self.container.format.name not in _EXACT or not stream.duration:
            return None
        return round(stream.duration * (stream.time_base or Fraction(1, self.rate)) * self.rate)

    def _stream(self) -> AudioStream:
        streams = self.container.streams.audio
        for stream in streams:
            codec = stream.codec_context
            if codec is not None and codec.codec.name in AUDIO_CODECS.split(","):
                return stream
        if not streams:
            raise InvalidFile(f"{self.name} contains no audio", expected=READABLE)
        raise InvalidFile(
            f"{self.name} is refused: its codec is not supported",
            expected=READABLE,
            hint="Convert it to FLAC.",
        )


@contextmanager
def open_audio(path: Path, *, names: bool = True) -> Iterator[OpenAudio]:
    """Open an audio file, or a video for its audio; nothing is decoded yet.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, damaged, or holds no audio.
    """
    with translate_os_errors(path, names=names):
        file = path.open("rb")
    with file, _container(file, path) as container:
        yield OpenAudio(container, str(path))


def _container(file: Any, path: Path) -> InputContainer:
    import av

    try:
        container: InputContainer = av.open(
            file, metadata_errors="replace", container_options=dict(_OPTIONS)
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InvalidFile(
            f"{path} is not a readable audio file: it looks like {guess_file_kind(path)}",
            expected=READABLE,
        ) from error
    return container
