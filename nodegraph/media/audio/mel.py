"""Mel spectrograms of waveforms, and waveforms of mel spectrograms by Griffin-Lim.

Source: Griffin & Lim 1984, IEEE Trans. ASSP 32 (2); with momentum: Perraudin, Balazs & Søndergaard
2013, "A fast Griffin-Lim algorithm", WASPAA.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_LEAST = 1e-9


@dataclass(frozen=True)
class MelFormat:
    """How a waveform becomes numbers that a model diffuses.

    Attributes:
        rate: Samples a second.
        size, hop: Of a window, and from one to the next, in samples.
        frames, bands: Of the spectrogram.
        lowest: Where the first band begins, in Hz; the last ends at half the rate.
        floor: What is softer is silence; 1 is a sine of that peak.
        middle, spread: Of log10 of the magnitudes, so that numbers are of about unit variance.
    """

    rate: int
    size: int
    hop: int
    frames: int
    bands: int
    lowest: float = 30.0
    floor: float = 1e-3
    middle: float = 0.0
    spread: float = 1.0

    @property
    def samples(self) -> int:
        """Of the waveform that it stands for."""
        return (self.frames - 1) * self.hop


SOUND_MEL = MelFormat(
    rate=16_000, size=1024, hop=256, frames=64, bands=128, middle=-2.75, spread=0.55
)
"""Of the embedded model of sounds: 1.008 seconds."""


def log_mel_spectrogram(waveforms: Tensor, form: MelFormat = SOUND_MEL) -> Tensor:
    """Logarithms of the magnitudes in mel bands.

    Args:
        waveforms: float32, shape (batch, samples); longer ones are cut, shorter ones filled with
            silence.
    Returns:
        float32, shape (batch, frames, bands).
    """
    import torch

    lacking = form.samples - waveforms.shape[-1]
    padded = torch.nn.functional.pad(waveforms.float(), (0, lacking))
    magnitudes = _spectra(padded, form).abs() / (form.size / 4)
    bands = (_filters(form) @ magnitudes).clamp_min(form.floor).log10()
    return ((bands - form.middle) / form.spread).transpose(1, 2).contiguous()


def griffin_lim(
    mels: Tensor,
    form: MelFormat = SOUND_MEL,
    *,
    iterations: int = 32,
    momentum: float = 0.99,
    seed: int = 0,
) -> Tensor:
    """Waveforms whose spectrograms are near to what is given; phases are found by Griffin-Lim.

    Args:
        mels: Shape (batch, frames, bands).
        iterations: How often there and back; more fit better.
        momentum: 0 is the plain algorithm.
        seed: Of the phases it begins with; the same for each item of a batch.
    Returns:
        float32, shape (batch, samples).
    """
    import torch

    # Each by itself: of several at once the last bits depend on how many they are.
    magnitudes = [_magnitudes(mel[None], form) for mel in mels]
    generator = torch.Generator().manual_seed(seed)
    turns = torch.rand(magnitudes[0].shape, generator=generator)
    angles = torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)
    return torch.cat(
        [_griffin_lim_iterations(each, angles, form, iterations, momentum) for each in magnitudes]
    )


def _griffin_lim_iterations(
    magnitudes: Tensor, angles: Tensor, form: MelFormat, rounds: int, momentum: float
) -> Tensor:
    """A waveform, (1, samples), by Griffin-Lim's algorithm from the phases it begins with."""
    before = angles.new_zeros(angles.shape)
    for _ in range(rounds):
        now = _spectra(_waves(magnitudes * angles, form), form)
        ahead = now - momentum / (1 + momentum) * before
        angles, before = ahead / ahead.abs().clamp_min(_LEAST), now
    return _waves(magnitudes * angles, form)


def _magnitudes(mels: Tensor, form: MelFormat) -> Tensor:
    """Magnitudes of the spectrum, (batch, size / 2 + 1, frames); at or below the floor: none."""
    bands = 10 ** (mels.float().transpose(1, 2) * form.spread + form.middle).clamp(-9, 1)
    bands = bands.where(bands > 1.05 * form.floor, 0.0)
    magnitudes: Tensor = (_inverse_mel_filters(form) @ bands).clamp_min(0) * (form.size / 4)
    return magnitudes


def _spectra(waves: Tensor, form: MelFormat) -> Tensor:
    import torch

    window = torch.hann_window(form.size)
    return torch.stft(waves, form.size, form.hop, window=window, return_complex=True)


def _waves(spectra: Tensor, form: MelFormat) -> Tensor:
    import torch

    window = torch.hann_window(form.size)
    return torch.istft(spectra, form.size, form.hop, window=window, length=form.samples)


@lru_cache(maxsize=8)
def mel_filters(rate: int, size: int, bands: int, lowest: float) -> Tensor:
    """Triangles evenly spaced in mel, from `lowest` in Hz to half the rate.

    Returns:
        float32, shape (bands, size / 2 + 1); each is 1 at its middle.
    Source: O'Shaughnessy 1987, "Speech communication" (the scale).
    """
    import torch

    ends = torch.tensor([lowest, rate / 2], dtype=torch.float64)
    low, high = (2595 * (1 + ends / 700).log10()).tolist()
    mels = torch.linspace(low, high, bands + 2, dtype=torch.float64)
    edges = 700 * (10 ** (mels / 2595) - 1)
    step = rate / size
    bins = torch.arange(size // 2 + 1) * step
    # a triangle narrower than the spectrum's step would miss every bin
    widths = edges.diff().clamp_min(step)[:, None]
    up = (bins - edges[:-2, None]) / widths[:-1]
    down = (edges[2:, None] - bins) / widths[1:]
    return torch.minimum(up, down).clamp(0, 1).float()


def _filters(form: MelFormat) -> Tensor:
    return mel_filters(form.rate, form.size, form.bands, form.lowest)


@lru_cache(maxsize=8)
def _inverse_mel_filters(form: MelFormat) -> Tensor:
    """The pseudo-inverse of the triangles: bands spread over the bins."""
    import torch

    spread: Tensor = torch.linalg.pinv(_filters(form))
    return spread
