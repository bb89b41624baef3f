"""A stored pool of sounds as mel spectrograms, made once for a run, and batches drawn from it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nodegraph.families.sounds import mels_to_tokens
from nodegraph.media.audio.mel import SOUND_MEL, log_mel_spectrogram
from training.items.fitting import Batch, DrawBatch
from training.items.sounds.kinds import NAMES, drawn, sound

_TOGETHER = 200


@dataclass(frozen=True)
class Sounds:
    """Sounds, and what they are.

    Attributes:
        kinds: Places in NAMES; int64, shape (count,).
        pitches: In Hz; float32, shape (count,).
        seconds: Lengths; float32, shape (count,).
    """

    kinds: Tensor
    pitches: Tensor
    seconds: Tensor

    @property
    def numbers(self) -> Tensor:
        """What the model is told: octaves above 1 Hz and seconds, (count, 2)."""
        return torch.stack([self.pitches.log2(), self.seconds], 1)


def asked_sounds(count: int, rng: np.random.Generator) -> Sounds:
    """What to ask for: each kind as often, in turn, with a random pitch and length."""
    kinds = np.arange(count) % len(NAMES)
    pairs = np.array([drawn(NAMES[kind], rng) for kind in kinds], dtype=np.float32)
    pitches, seconds = torch.from_numpy(pairs).unbind(1)
    return Sounds(torch.from_numpy(kinds), pitches, seconds)


def rendered(asked: Sounds, rng: np.random.Generator) -> Tensor:
    """Waveforms by formula; float32, shape (count, samples)."""
    rows = zip(asked.kinds.tolist(), asked.pitches.tolist(), asked.seconds.tolist(), strict=True)
    waves = [sound(NAMES[kind], pitch, seconds, rng) for kind, pitch, seconds in rows]
    return torch.from_numpy(np.stack(waves).astype(np.float32))


def stored_sounds(count: int, seed: int, folder: Path) -> tuple[Tensor, Sounds]:
    """A pool, made if the folder hasn't it yet.

    Returns:
        Spectrograms as float16, shape (count, frames, bands), mapped from disk; what they are.
    """
    rng = np.random.default_rng(seed)
    asked = asked_sounds(count, rng)
    path = folder / f"pool_{seed}_{count}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        shape = (count, SOUND_MEL.frames, SOUND_MEL.bands)
        made = np.lib.format.open_memmap(unfinished, "w+", np.float16, shape)
        for at in range(0, count, _TOGETHER):
            part = slice(at, at + _TOGETHER)
            some = Sounds(asked.kinds[part], asked.pitches[part], asked.seconds[part])
            made[part] = log_mel_spectrogram(rendered(some, rng)).half().numpy()
        made.flush()
        unfinished.rename(path)
    # copy on write: torch wants memory that may be written
    return torch.from_numpy(np.load(path, mmap_mode="c")), asked


def drawing(mels: Tensor, sounds: Sounds) -> DrawBatch:
    """Batches of a pool."""
    numbers = sounds.numbers

    def draw(count: int, rng: np.random.Generator) -> Batch:
        rows = torch.from_numpy(rng.integers(0, len(mels), count))
        return Batch(mels_to_tokens(mels[rows].float()), sounds.kinds[rows, None], numbers[rows])

    return draw
