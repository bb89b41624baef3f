"""Audio transforms: trim, concatenate, mix, amplify, resample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.core.values import Audio
from nodegraph.errors import InvalidValue
from nodegraph.media.audio.codec import check_audio_memory, start_beyond_end_error

if TYPE_CHECKING:
    from torch import Tensor

RATES = (1_000, 384_000)
"""Least and most samples a second that audio is brought to."""
_TAPS = 32
"""Samples on each side, at the lower of both rates, of which one of the new ones is made."""
_SHARPNESS = 8.0
"""Kaiser's beta; with the taps, what is above the new rate's half is 80 dB softer."""
_ROLLOFF = 0.95
"""Of the band, that is kept whole."""
_PIECE = 1 << 15
"""New samples that are made at a time, to bound memory."""


def trim(audio: Audio, *, start: float = 0, seconds: float = 0) -> Audio:
    """A part of it.

    Args:
        start: What is left out at the beginning, in seconds.
        seconds: How much is kept at most; 0 for all.
    Raises:
        InvalidValue: It ends before `start`.
    """
    begin = round(start * audio.rate)
    end = round((start + seconds) * audio.rate) if seconds else None
    if begin >= audio.waveform.shape[1]:
        raise start_beyond_end_error(start, float(audio.seconds))
    return Audio(audio.waveform[:, begin:end].contiguous(), audio.rate)


def concatenate(parts: Sequence[Audio], *, gap: float = 0) -> Audio:
    """One after the other.

    Args:
        gap: Silence between two, in seconds.
    Raises:
        InvalidValue: There are none, or their rates or channels don't go together.
    """
    import torch

    waveforms, rate = _match_channels(parts)
    silence = torch.zeros(len(waveforms[0]), round(gap * rate))
    length = sum(each.shape[1] for each in waveforms) + silence.shape[1] * (len(waveforms) - 1)
    check_audio_memory(length, len(silence), rate, port="audios")
    pieces = [piece for each in waveforms for piece in (silence, each)][1:]
    return Audio(torch.cat(pieces, dim=1), rate)


def mix(audio: Audio, other: Audio, *, level: float = 1, start: float = 0) -> Audio:
    """Both at once, until the later one ends; where loud, louder than 1.

    Args:
        level: What the other is multiplied by.
        start: When the other begins, in seconds.
    Raises:
        InvalidValue: Their rates or channels don't go together.
    """
    import torch

    (first, second), rate = _match_channels((audio, other))
    begin = round(start * rate)
    length = max(first.shape[1], begin + second.shape[1])
    check_audio_memory(length, len(first), rate, port="start")
    mixture = torch.zeros(len(first), length)
    mixture[:, : first.shape[1]] = first
    mixture[:, begin : begin + second.shape[1]] += second * level
    return Audio(mixture, rate)


def amplify(audio: Audio, *, decibels: float = 0, normalize: bool = False) -> Audio:
    """Louder or softer.

    Args:
        decibels: 6 is about twice as loud in numbers, -6 half.
        normalize: Make the loudest sample 1 first; silence stays silent.
    """
    by = 10 ** (decibels / 20)
    loudest = float(audio.waveform.abs().max()) if audio.waveform.numel() else 0
    if normalize and loudest:
        by /= loudest
    return Audio(audio.waveform * by, audio.rate)


def _match_channels(parts: Sequence[Audio]) -> tuple[list[Tensor], int]:
    """Waveforms of as many channels, one channel being put on all, and their rate."""
    if not parts:
        raise InvalidValue("there is no audio", port="audios")
    check_same_rate([part.rate for part in parts])
    channels = {len(part.waveform) for part in parts}
    most = max(channels)
    if not channels <= {1, most}:
        raise InvalidValue(
            "the audio inputs have different numbers of channels",
            port="audio",
            given=", ".join(map(str, sorted(channels))),
            expected="the same number for all, or one channel",
        )
    waveforms = [part.waveform.float().expand(most, -1) for part in parts]
    return waveforms, parts[0].rate


def check_same_rate(rates: Sequence[int]) -> None:
    """Refuse what goes by different clocks.

    Raises:
        InvalidValue: There are several rates.
    """
    if len(set(rates)) > 1:
        raise InvalidValue(
            "the audio inputs have different sample rates",
            port="audio",
            given=", ".join(map(str, dict.fromkeys(rates))),
            expected="one",
            hint="Put a ResampleAudio before this node.",
        )


def resample(audio: Audio, rate: int) -> Audio:
    """The same at another rate; what is too high for that one is left out.

    Each new sample is a sum of those around it, weighed by a sinc within a Kaiser window.

    Args:
        rate: Samples a second.
    Raises:
        InvalidValue: The rate is out of range.
    Source: Smith, Digital Audio Resampling, ccrma.stanford.edu/~jos/resample.
    """
    import torch

    low, high = RATES
    for each in (audio.rate, rate):
        if not low <= each <= high:
            raise InvalidValue(
                "the sample rate is out of range",
                port="rate",
                given=str(each),
                expected=f"{low} to {high}",
            )
    if rate == audio.rate:
        return audio
    waveform = audio.waveform.float()
    length = -(-waveform.shape[1] * rate // audio.rate)
    check_audio_memory(length, len(waveform), rate, port="rate")
    weights, reach = _resampling_kernel(audio.rate, rate)
    padded = torch.nn.functional.pad(waveform, (reach, reach + 1))
    new = torch.empty(len(waveform), length)
    around = torch.arange(2 * reach + 1)
    phases, step = len(weights), audio.rate // math.gcd(audio.rate, rate)
    piece = max(1, _PIECE * _TAPS // reach)
    for at in range(0, length, piece):
        number = torch.arange(at, min(at + piece, length)) * step
        nearest, phase = number // phases, number % phases
        taps = padded[:, nearest[:, None] + around]
        new[:, at : at + piece] = (taps * weights[phase]).sum(-1)
    return Audio(new, rate)


def _resampling_kernel(old: int, new: int) -> tuple[Tensor, int]:
    """What samples are weighed by, and how many on each side.

    Returns:
        float32, shape (phases, 2 * reach + 1): a phase is how far behind an old sample a new one
        lies, in parts of the way to the next one.
    """
    import torch

    phases = new // math.gcd(old, new)
    band = min(1.0, new / old)
    reach = math.ceil(_TAPS / band)
    filters = torch.empty(phases, 2 * reach + 1)
    taps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    window_of = torch.tensor(_SHARPNESS, dtype=torch.float64)
    for at in range(0, phases, _PIECE // 8):
        phase = torch.arange(at, min(at + _PIECE // 8, phases), dtype=torch.float64) / phases
        away = taps - phase[:, None]
        window = (1 - (away / (reach + 1)) ** 2).clamp(min=0).sqrt()
        kaiser = torch.special.i0(window_of * window) / torch.special.i0(window_of)
        weights = torch.sinc(away * band * _ROLLOFF) * kaiser
        # Of each phase they sum to 1, so that what is constant stays so exactly.
        filters[at : at + _PIECE // 8] = (weights / weights.sum(-1, keepdim=True)).float()
    return filters, reach
