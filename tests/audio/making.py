"""Short audio, and files of it."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from nodegraph import Audio
from nodegraph.media.audio.codec import AUDIO_SUFFIXES, AudioFormat, encode_audio

FORMATS: list[AudioFormat] = ["wav", "flac", "ogg"]


def tone(seconds: float = 0.25, rate: int = 48000, channels: int = 1, pitch: float = 440) -> Audio:
    """A tone on each channel, each twice as high as the one before."""
    times = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    pitches = [pitch * 2**channel for channel in range(channels)]
    waves = [torch.sin(2 * math.pi * each * times) / 2 for each in pitches]
    return Audio(torch.stack(waves).float(), rate)


def noise(samples: int = 3000, channels: int = 2, rate: int = 44100) -> Audio:
    """Random samples in -1..1."""
    generator = torch.Generator().manual_seed(0)
    return Audio(torch.rand(channels, samples, generator=generator) * 2 - 1, rate)


def written(folder: Path, made: Audio, format: AudioFormat = "flac") -> Path:
    """The audio in a file."""
    path = folder / f"audio{AUDIO_SUFFIXES[format]}"
    path.write_bytes(encode_audio(made, format))
    return path
