"""How far two pieces of audio are apart, by their spectra, pitch and loudness."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph.core.values import Audio
from nodegraph.errors import InvalidValue
from nodegraph.media.audio.changing import check_same_rate
from nodegraph.media.audio.measuring import loudness, median_pitch

if TYPE_CHECKING:
    from torch import Tensor

_SIZE = 0.064
"""Seconds of a window; windows lie a quarter of it apart, those of long audio further."""
_WINDOWS = 4000
"""Of long audio, about."""
_BANDS = 80
_COEFFICIENTS = 13
"""Of a mel cepstrum, besides the first, which is loudness."""
_FLOOR = 1e-3
"""Magnitudes below it, 60 dB below a full sine, count as it."""


@dataclass(frozen=True)
class AudioComparison:
    """How far two pieces are apart.

    Attributes:
        spectral: Log-spectral distance in dB: root mean square over frequencies, mean over time.
        cepstral: Mel-cepstral distortion in dB: of the timbre, whatever the loudness.
        cents: Of the pitch, above 0 where the other one is higher; None where one has none.
        louder: By how many LU the other one is louder.
    """

    spectral: float
    cepstral: float
    cents: float | None
    loudness_difference: float

    @property
    def text(self) -> str:
        """All in one line."""
        heard = "no pitch" if self.cents is None else f"{round(self.cents):+d} cents"
        return (
            f"log-spectral distance {self.spectral:.2f} dB, mel-cepstral distortion "
            f"{self.cepstral:.2f} dB, {heard}, {round(self.loudness_difference, 1) + 0.0:+.1f} LU"
        )


def compare_audio(audio: Audio, other: Audio) -> AudioComparison:
    """Compare two pieces from their beginnings on; the shorter one ends in silence.

    Raises:
        InvalidValue: They have different rates, or there is nothing in them.
    Source: Gray & Markel 1976, IEEE Trans. ASSP 24 (5) (log-spectral distance); Kubichek 1993,
        doi:10.1109/PACRIM.1993.407206 (mel-cepstral distortion).
    """
    check_same_rate([audio.rate, other.rate])
    length = max(audio.waveform.shape[1], other.waveform.shape[1])
    if not length:
        raise InvalidValue("there is nothing in this audio", port="audio")
    first, second = (_magnitudes(each, length) for each in (audio, other))
    heights = median_pitch(audio), median_pitch(other)
    cents = None if None in heights else 1200 * math.log2(heights[1] / heights[0])  # type: ignore[operator]
    return AudioComparison(
        _spectral(first, second),
        _cepstral(first, second, audio.rate),
        cents,
        loudness(other) - loudness(audio),
    )


def _magnitudes(audio: Audio, length: int) -> Tensor:
    """Of the mean of its channels, 1 for a full sine; shape (size / 2 + 1, frames)."""
    import torch

    size = 2 * max(8, round(_SIZE / 2 * audio.rate))
    mono = audio.waveform.double().mean(0)
    padded = torch.nn.functional.pad(mono, (0, max(length, size) - len(mono)))
    window = torch.hann_window(size, dtype=torch.float64)
    step = max(size // 4, length // _WINDOWS)
    spectra = torch.stft(padded, size, step, window=window, return_complex=True)
    return spectra.abs() / (size / 4)


def _spectral(first: Tensor, second: Tensor) -> float:
    decibels = 20 * (first.clamp_min(_FLOOR).log10() - second.clamp_min(_FLOOR).log10())
    return float(decibels.square().mean(0).sqrt().mean())


def _cepstral(first: Tensor, second: Tensor, rate: int) -> float:
    """10 / ln 10 times the root of twice the sum of squares, mean over time."""
    import torch

    from nodegraph.media.audio.mel import mel_filters

    size = 2 * (len(first) - 1)
    filters = mel_filters(rate, size, _BANDS, 30.0).double()
    places = (torch.arange(_BANDS) + 0.5) * torch.pi / _BANDS
    orders = torch.arange(1, _COEFFICIENTS + 1)[:, None]
    # natural logarithms of amplitudes, by a cosine transform
    cosines = (orders * places).cos().double() * (2 / _BANDS)
    logs = [(filters @ each).clamp_min(_FLOOR).log() for each in (first, second)]
    apart = cosines @ (logs[0] - logs[1])
    return float(10 / math.log(10) * (2 * apart.square().sum(0)).sqrt().mean())
