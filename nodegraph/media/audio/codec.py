"""Audio decoded from files and encoded as WAV, FLAC or Opus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.core.host_memory import SHARE, total_memory
from nodegraph.core.text_format import format_excess
from nodegraph.core.values import Audio
from nodegraph.errors import InvalidFile, InvalidValue, NumericalError
from nodegraph.media.audio.audio_files import COMMENT, MAX_SAMPLE_RATE, frame_to_samples, open_audio

if TYPE_CHECKING:
    import numpy as np
    from av.container import OutputContainer
    from numpy.typing import NDArray

    from nodegraph.core.values import Audio

AudioFormat = Literal["wav", "flac", "ogg"]
AUDIO_SUFFIXES: Mapping[AudioFormat, str] = {"wav": ".wav", "flac": ".flac", "ogg": ".ogg"}
_SPEAKERS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
LAYOUTS: Mapping[int, str] = dict(enumerate(_SPEAKERS, 1))
"""FFmpeg's names of what speakers a number of channels is for."""
_PIECE = 1 << 16
"""Samples that are encoded at a time."""
_LARGEST_WAV = 2**32 - 2**20
"""Bytes, as its header counts them in 32 bits."""
_MOST_FLAC = 655_350


@dataclass(frozen=True, slots=True)
class _Coding:
    """How a format is written.

    Attributes:
        codec: FFmpeg's name.
        samples: The form of samples.
        rates: Samples a second that the codec takes, the usual one first; none for any.
    """

    codec: str
    samples: str
    most_rate: int
    rates: tuple[int, ...] = ()


_CODINGS: Mapping[AudioFormat, _Coding] = {
    "wav": _Coding("pcm_f32le", "flt", MAX_SAMPLE_RATE),
    "flac": _Coding("flac", "s32", _MOST_FLAC),
    "ogg": _Coding("libopus", "flt", MAX_SAMPLE_RATE, (48000, 24000, 16000, 12000, 8000)),
}


def encode_audio(
    audio: Audio,
    format: AudioFormat = "flac",
    quality: int = 75,
    metadata: Mapping[str, str] | None = None,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> bytes:
    """Audio as the bytes of a file; the same audio gives the same bytes.

    Args:
        format: ``wav`` holds the numbers as they are, ``flac`` rounds them to 24 bits and is
            smaller, ``ogg`` (Opus) is smallest; where Opus doesn't take a rate, it becomes 48000.
            In FLAC and OGG, what is louder than 1 is cut off.
        quality: 1 to 100, for OGG.
        metadata: Texts by name, such as ``workflow``.
        on_progress: Told how many samples are done; may raise, to stop.
    Raises:
        InvalidValue: There are no samples, or settings, rate or channels are out of range.
        NumericalError: NaN or infinity.
    """
    import av

    _check(audio, format, quality)
    coding, buffer = _CODINGS[format], BytesIO()
    with _container(buffer, format, metadata or {}) as container:
        rate = audio.rate if not coding.rates or audio.rate in coding.rates else coding.rates[0]
        layout = LAYOUTS[len(audio.waveform)]
        stream: Any = container.add_stream(
            coding.codec, rate=rate, layout=layout, format=coding.samples
        )
        if coding.rates:
            stream.codec_context.bit_rate = len(audio.waveform) * (16_000 + 1_440 * quality)
        for at, piece in _pieces(audio, format):
            frame = av.AudioFrame.from_ndarray(piece, format=coding.samples, layout=layout)
            frame.sample_rate = audio.rate
            frame.pts, frame.time_base = at, Fraction(1, audio.rate)
            container.mux(stream.encode(frame))
            if on_progress is not None:
                on_progress(min(at + _PIECE, audio.waveform.shape[1]))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _check(audio: Audio, format: AudioFormat, quality: int) -> None:
    if format not in _CODINGS:
        raise InvalidValue(
            f"there is no audio format {format!r}", port="format", expected=", ".join(_CODINGS)
        )
    if not 1 <= quality <= 100:
        raise InvalidValue(
            "quality is out of range", port="quality", given=str(quality), expected="1 to 100"
        )
    shape = tuple(audio.waveform.shape)
    if len(shape) != 2 or shape[0] not in LAYOUTS or not shape[1]:
        raise InvalidValue(
            "this audio cannot be written",
            port="audio",
            given=f"shape {shape}",
            expected=f"(channels, samples), at most {max(LAYOUTS)} channels",
        )
    most = _CODINGS[format].most_rate
    if not 1 <= audio.rate <= most:
        raise InvalidValue(
            f"{format} does not support this sample rate",
            port="audio",
            given=str(audio.rate),
            expected=f"1 to {most}",
            hint="Put a ResampleAudio before this node.",
        )
    if format == "wav" and 4 * shape[0] * shape[1] > _LARGEST_WAV:
        raise InvalidValue("the audio is too long for WAV", port="format", hint="Use FLAC.")


def _container(buffer: BytesIO, format: str, metadata: Mapping[str, str]) -> OutputContainer:
    import av

    # Else it would hold a random id.
    container = av.open(buffer, "w", format=format, container_options={"fflags": "+bitexact"})
    # A WAV has texts of few names, of which one fits.
    texts = {COMMENT: json.dumps(dict(metadata))} if format == "wav" and metadata else metadata
    container.metadata.update(texts)
    return container


def _pieces(audio: Audio, format: AudioFormat) -> Iterator[tuple[int, NDArray[Any]]]:
    """Where each begins, and its samples as the codec takes them, channels by turns."""
    import numpy as np

    waveform = audio.waveform.detach().to("cpu").float().numpy()
    for at in range(0, waveform.shape[1], _PIECE):
        piece = waveform[:, at : at + _PIECE]
        if not np.isfinite(piece).all():
            raise NumericalError("the audio has NaN or infinity", port="audio")
        yield at, np.ascontiguousarray(_levels(piece, format).T).reshape(1, -1)


def _levels(piece: NDArray[np.float32], format: AudioFormat) -> NDArray[Any]:
    import numpy as np

    if format == "wav":
        return piece
    if format == "ogg":
        return piece.clip(-1, 1)
    # 24 bits, which lie at the upper end of 32.
    whole = (piece.astype(np.float64) * 2**23).round().clip(-(2**23), 2**23 - 1)
    return whole.astype(np.int32) << 8


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
        raise InvalidFile(f"{path} is damaged: it contains no sound")
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
        amount, most = format_excess(needed, total * SHARE)
        raise AudioTooLong(
            "the audio is too long for this machine's memory",
            port=port,
            given=f"{samples / rate:.0f} s of {channels} channels: about {amount}",
            expected=f"at most {most}",
            hint="Use a part of it.",
        )


def start_beyond_end_error(start: float, seconds: float) -> InvalidValue:
    """The error that tells of a beginning behind the end."""
    return InvalidValue(
        "the audio ends before the start",
        port="start",
        given=f"{start:g} s",
        expected=f"below {seconds:g} s, its length",
    )
