"""Judges of sounds: a network that tells kinds apart, and pitch and length without one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nodegraph.media.audio.mel import MelFormat, griffin_lim, log_mel_spectrogram
from nodegraph.media.audio.sound_kinds import SOUND_KINDS, SOUND_SECONDS
from training.items.sounds.kinds import NAMES, PEAK, sound
from training.items.sounds.pool import Sounds, asked_sounds, rendered
from training.items.sounds.waves import RATE

_LOOK = MelFormat(16_000, 1024, 256, 64, 192, lowest=20.0, middle=-2.0)
"""Finer than what the model makes, so that the judge sees what the model's bands leave out."""
_FAINT = 0.01
"""Of the strongest: what is softer, by 40 dB, counts for nothing in a spectrum."""


class KindJudge(nn.Module):
    """Tells the kind of a sound from its spectrogram: four strided convolutions."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        last = 1
        for width, size, stride in ((16, 5, (2, 2)), (32, 3, 2), (64, 3, 2), (96, 3, 2)):
            layers += [
                nn.Conv2d(last, width, size, stride, size // 2),
                nn.BatchNorm2d(width),
                nn.SiLU(),
            ]
            last = width
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d((8, 2)))
        self.head = nn.Linear(96 * 16, len(NAMES))

    def forward(self, looks: Tensor) -> Tensor:
        """Logits, (batch, kinds), of spectrograms, (batch, frames, bands)."""
        logits: Tensor = self.head(self.body(looks.transpose(1, 2)[:, None]).flatten(1))
        return logits


def looks_of(waves: Tensor) -> Tensor:
    """What the judge of kinds looks at: spectrograms of sounds that are all as loud."""
    peaks = waves.abs().amax(1, keepdim=True).clamp_min(1e-6)
    return log_mel_spectrogram(waves * (PEAK / peaks), _LOOK)


def train_kind_judge(*, count: int = 4000, steps: int = 900, seed: int = 7) -> KindJudge:
    """A judge trained on renders, half of them there and back through the model's spectrograms.

    Noise and other loudness are its augmentation. It never hears a sound that a model made.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    asked = asked_sounds(count, rng)
    waves = rendered(asked, rng)
    waves[: count // 2] = torch.cat(
        [_there_and_back(part) for part in in_parts(waves[: count // 2], 50)]
    )
    looks = torch.cat([looks_of(part) for part in in_parts(waves, 200)])
    judge = KindJudge()
    optimiser = torch.optim.AdamW(judge.parameters(), 2e-3)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 2e-3 * min(1.0, 2 * (1 - step / steps))
        rows = torch.from_numpy(rng.integers(0, count, 64))
        seen = looks[rows] + 0.4 * torch.randn(64, 1, 1)
        seen = seen.clamp_min(-1.0) + 0.25 * torch.rand(64, 1, 1) * torch.randn_like(seen)
        loss = nn.functional.cross_entropy(judge(seen), asked.kinds[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return judge.eval().requires_grad_(False)


def in_parts(waves: Tensor, count: int) -> list[Tensor]:
    """So many at a time, to bound memory."""
    return [waves[at : at + count] for at in range(0, len(waves), count)]


def _there_and_back(waves: Tensor) -> Tensor:
    return griffin_lim(log_mel_spectrogram(waves), iterations=8)


def kind_judge(path: Path) -> KindJudge:
    """The judge from a file, trained and stored if there is none."""
    judge = KindJudge()
    if not path.exists():
        torch.save(train_kind_judge().state_dict(), path)
    judge.load_state_dict(torch.load(path, weights_only=True))
    return judge.eval().requires_grad_(False)


class PitchJudge:
    """Pitch of a sound of a known kind: that of the likest of many renders.

    Args:
        cents: How far these are apart.
        lengths: How many lengths of each pitch there are.
    """

    def __init__(self, cents: float = 20.0, lengths: int = 4, seed: int = 11) -> None:
        rng = np.random.default_rng(seed)
        self._spectra: list[Tensor] = []
        self._octaves: list[Tensor] = []
        shortest, longest = SOUND_SECONDS
        seconds = np.linspace(longest, shortest, lengths)
        for name, (low, high) in SOUND_KINDS.items():
            grid = np.arange(np.log2(low), np.log2(high) + 1e-9, cents / 1200)
            pairs = [(place, length) for place in grid for length in seconds]
            waves = [sound(name, float(2**place), float(length), rng) for place, length in pairs]
            self._spectra.append(_spectra(torch.from_numpy(np.stack(waves)).float()))
            self._octaves.append(torch.tensor([place for place, _ in pairs]))

    def __call__(self, waves: Tensor, kinds: Tensor) -> Tensor:
        """Octaves above 1 Hz, (count,), of waves, (count, samples)."""
        told = [
            self._octaves[kind][(self._spectra[kind] @ spectrum).argmax()]
            for spectrum, kind in zip(_spectra(waves), kinds.tolist(), strict=True)
        ]
        return torch.stack(told)


def _spectra(waves: Tensor) -> Tensor:
    """Logarithms of whole spectra, smoothed a little and of unit length; (count, bins)."""
    magnitudes = torch.fft.rfft(waves, 16_384).abs()
    smooth = nn.functional.avg_pool1d(magnitudes[:, None], 7, 2, 3)[:, 0]
    strongest = smooth.amax(1, keepdim=True).clamp_min(1e-9)
    heard = torch.maximum(smooth, _FAINT * strongest).log()
    return nn.functional.normalize(heard - heard.mean(1, keepdim=True), dim=1)


def lengths_of(waves: Tensor) -> Tensor:
    """Seconds until a sound stays 40 dB below its loudest 10 ms; (count,)."""
    power = nn.functional.avg_pool1d(waves.square()[:, None], 160, 80)[:, 0]
    is_heard = power > 1e-4 * power.amax(1, keepdim=True)
    last = power.shape[1] - is_heard.flip(1).int().argmax(1)
    return last * 80 / RATE


@dataclass(frozen=True)
class Judges:
    """Those that say whether sounds are what was asked for."""

    kinds: KindJudge
    pitches: PitchJudge

    def verdicts(self, waves: Tensor, asked: Sounds) -> "Verdicts":
        """What they say of each."""
        seen = torch.cat([self.kinds(looks_of(part)) for part in in_parts(waves, 100)]).argmax(1)
        cents = (self.pitches(waves, asked.kinds) - asked.pitches.log2()) * 1200
        return Verdicts(seen == asked.kinds, cents.abs(), lengths_of(waves) - asked.seconds)


@dataclass(frozen=True)
class Verdicts:
    """Of so many sounds; each (count,).

    Attributes:
        is_kind: Whether it is taken for the kind that was asked for.
        cents: How far off its pitch is.
        late: By how many seconds it is too long.
    """

    is_kind: Tensor
    cents: Tensor
    late: Tensor

    def figures(self) -> dict[str, float]:
        """In short; lengths in milliseconds."""
        return {
            "kind_right": round(self.is_kind.float().mean().item(), 4),
            "pitch_cents": round(self.cents.median().item(), 1),
            "pitch_within_50_cents": round((self.cents < 50).float().mean().item(), 4),
            "length_error_ms": round(1000 * self.late.abs().median().item(), 1),
        }

    def of(self, chosen: Tensor) -> "Verdicts":
        """Those of some."""
        return Verdicts(self.is_kind[chosen], self.cents[chosen], self.late[chosen])
