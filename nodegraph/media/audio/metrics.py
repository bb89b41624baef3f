"""Audio metrics: loudness, pitch, spectral centroid, distance between two signals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph.core.values import Audio
from nodegraph.errors import InvalidValue
from nodegraph.media.audio.sound_kinds import note_name
from nodegraph.media.audio.transforms import check_same_rate, resample

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
        raise InvalidValue("the audio is empty", port="audio")
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


SILENCE_DB = -120.0
"""In decibels and LUFS: what silence is told as."""
_RATE = 48_000
"""That the loudness filters are defined for, in Hz."""
_SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGH_PASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
_SETTLED = 1.0
"""Seconds after which the filters no longer ring."""
_STEP, _BLOCK_STEPS = 0.1, 4
"""Seconds from one gating block to the next, and how many such parts it has."""
_PIECE = 600
"""Such parts that are filtered at a time, to bound memory."""
_ABSOLUTE_GATE, _RELATIVE_GATE = -70.0, -10.0
_OFFSET = -0.691

_FRAME, _PITCH_STEP = 0.064, 0.016
"""Seconds of a frame of which the pitch is told, and from one to the next."""
PITCH_RANGE = (40.0, 5000.0)
"""In Hz: the least and the highest that are looked for."""
_FRAMES = 2000
"""That are looked at, at most, of long audio."""
_YIN_THRESHOLD = 0.15
"""What the normalized difference falls below at a period."""
_FAINT = 1e-4
"""Of the power of the loudest frame: what is softer has no pitch."""


@dataclass(frozen=True)
class AudioMetrics:
    """What `measure_audio` finds; decibels are those below a full sine's peak.

    Attributes:
        seconds: How long it is.
        peak, rms: In decibels.
        loudness: In LUFS.
        pitch: In Hz; None where no pitch is heard.
        brightness: The middle of the power spectrum, in Hz.
    """

    seconds: float
    peak: float
    rms: float
    loudness: float
    pitch: float | None
    brightness: float

    @property
    def text(self) -> str:
        """All in one line."""
        heard = "no pitch" if self.pitch is None else f"{self.pitch:.1f} Hz ({self.note})"
        return (
            f"{self.seconds:.2f} s, peak {self.peak:.1f} dB, {self.loudness:.1f} LUFS, {heard}, "
            f"brightness {self.brightness:.0f} Hz"
        )

    @property
    def note(self) -> str:
        """The note next to its pitch; empty where there is none."""
        return "" if self.pitch is None else note_name(self.pitch)


def measure_audio(audio: Audio) -> AudioMetrics:
    """How long, loud, high and bright it is; its pitch is that of the mean of its channels."""
    waveform = audio.waveform.double()
    silent = not waveform.numel()
    return AudioMetrics(
        float(audio.seconds),
        SILENCE_DB if silent else power_to_db(float(waveform.abs().max()) ** 2),
        SILENCE_DB if silent else power_to_db(float(waveform.square().mean())),
        loudness(audio),
        median_pitch(audio),
        spectral_centroid(audio),
    )


def power_to_db(power: float) -> float:
    """Ten times the logarithm, -120 at least."""
    return max(SILENCE_DB, 10 * math.log10(max(power, 1e-12)))


def loudness(audio: Audio) -> float:
    """Integrated loudness in LUFS; channels weigh the same, as the first three do there.

    What is shorter than a gating block, 0.4 s, is one block by itself.

    Source: Recommendation ITU-R BS.1770-4, annex 1.
    """
    blocks = _block_powers(resample(audio, _RATE).waveform)
    blocks = blocks[blocks > _power(_ABSOLUTE_GATE)]
    if len(blocks):
        blocks = blocks[blocks > blocks.mean() * 10 ** (_RELATIVE_GATE / 10)]
    return _OFFSET + power_to_db(float(blocks.mean())) if len(blocks) else SILENCE_DB


def _block_powers(waveform: Tensor) -> Tensor:
    """Of each gating block, of all channels together; float64, shape (blocks,)."""
    import torch

    length, step = waveform.shape[1], round(_STEP * _RATE)
    if length < _BLOCK_STEPS * step:
        power = _k_weighted(waveform, 0, length).square().sum(0)
        return power.mean()[None] if length else power
    ends = range(0, length - step + 1, _PIECE * step)
    powers = [_k_weighted(waveform, at, at + _PIECE * step).square().sum(0) for at in ends]
    whole = torch.cat(powers)[: length // step * step]
    return whole.view(-1, step).mean(1).unfold(0, _BLOCK_STEPS, 1).mean(1)


def _k_weighted(waveform: Tensor, start: int, end: int) -> Tensor:
    """A part of it after K-weighting, the filters having settled on what is before it."""
    import torch

    lead = min(start, round(_SETTLED * _RATE))
    part = waveform[:, start - lead : end].double()
    size = 1 << (part.shape[1] + round(_SETTLED * _RATE) - 1).bit_length()
    weighed = torch.fft.irfft(torch.fft.rfft(part, size) * _k_weighting_response(size), size)
    kept: Tensor = weighed[:, lead : part.shape[1]]
    return kept


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET) / 10))


def _k_weighting_response(size: int) -> Tensor:
    """Answer of both K-weighting filters at the frequencies of a transform, complex."""
    import torch

    turn = torch.fft.rfftfreq(size, dtype=torch.float64) * -2 * torch.pi
    back = torch.polar(torch.ones_like(turn), turn)
    answer = torch.ones_like(back)
    for ahead, behind in (_SHELF, _HIGH_PASS):
        over, under = (sum(c * back**k for k, c in enumerate(row)) for row in (ahead, behind))
        answer = answer * over / under
    return answer


def median_pitch(audio: Audio) -> float | None:
    """The median pitch in Hz of the frames that have one; None where none has.

    Source: de Cheveigné & Kawahara 2002, "YIN", J. Acoust. Soc. Am. 111 (4), steps 1 to 5.
    """
    import torch

    if not audio.waveform.numel():
        return None
    mono = audio.waveform.double().mean(0)
    size, step = round(_FRAME * audio.rate), max(1, round(_PITCH_STEP * audio.rate))
    longest = min(size // 2, math.ceil(audio.rate / PITCH_RANGE[0]))
    shortest = max(2, math.floor(audio.rate / PITCH_RANGE[1]))
    mono = torch.nn.functional.pad(mono, (0, max(0, size - len(mono))))
    step = max(step, len(mono) // _FRAMES)
    frames = mono.unfold(0, size, step)
    power = frames.square().mean(1)
    frames = frames[power > _FAINT * power.max()]
    if longest <= shortest + 1 or not len(frames):
        return None
    periods = [
        period
        for row in _normalized_differences(frames, longest)
        if (period := _period(row, shortest))
    ]
    return float(audio.rate / torch.tensor(periods).median()) if periods else None


def _normalized_differences(frames: Tensor, longest: int) -> Tensor:
    """Between a frame and itself later, by their mean up to there; shape (frames, longest)."""
    import torch

    size = frames.shape[1]
    window = size - longest
    first = frames[:, :window]
    total = 1 << (size + window - 1).bit_length()
    products = torch.fft.rfft(frames, total) * torch.fft.rfft(first, total).conj()
    correlation = torch.fft.irfft(products, total)[:, :longest]
    ends = torch.nn.functional.pad(frames.square().cumsum(1), (1, 0))
    energy = (ends[:, window:] - ends[:, :-window])[:, :longest]
    difference = (energy[:, :1] + energy - 2 * correlation).clamp_min(0)
    mean = difference.cumsum(1) / torch.arange(1, longest + 1)
    normalised: Tensor = difference * 0 + 1
    normalised[:, 1:] = difference[:, 1:] / (mean[:, 1:] * _later(longest)).clamp_min(1e-12)
    return normalised


def _later(longest: int) -> Tensor:
    """Makes means that count the zero at no delay those of YIN, which doesn't."""
    import torch

    delays = torch.arange(1, longest, dtype=torch.float64)
    later: Tensor = (delays + 1) / delays
    return later


def _period(row: Tensor, shortest: int) -> float | None:
    """In samples: the bottom of the first dip that is deep enough."""
    import torch

    deep = torch.nonzero(row[shortest:-1] < _YIN_THRESHOLD).flatten()
    if not len(deep):
        return None
    at = int(deep[0]) + shortest
    while at + 1 < len(row) - 1 and row[at + 1] < row[at]:
        at += 1
    before, here, after = row[at - 1 : at + 2].tolist()
    bend = before - 2 * here + after
    return at + (0.5 * (before - after) / bend if bend > 0 else 0.0)


def spectral_centroid(audio: Audio) -> float:
    """The mean frequency in Hz, each weighed by its power: the spectral centroid."""
    import torch

    weighed = total = 0.0
    for at in range(0, audio.waveform.shape[1], 1 << 20):
        part = audio.waveform[:, at : at + (1 << 20)].double()
        power = torch.fft.rfft(part).abs().square().sum(0)
        frequencies = torch.fft.rfftfreq(part.shape[1], 1 / audio.rate, dtype=torch.float64)
        weighed += float((frequencies * power).sum())
        total += float(power.sum())
    return weighed / total if total else 0.0
