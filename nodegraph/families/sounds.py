"""Sounds of a second, as spectrograms in mel bands. Imports no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nodegraph.core.values import Audio, Conditioning
from nodegraph.families.item_family import item_family
from nodegraph.media.audio.mel import SOUND_MEL, griffin_lim
from nodegraph.media.audio.sound_kinds import SOUND_KINDS, SoundRequest

if TYPE_CHECKING:
    from torch import Tensor

_PEAK = 0.9
FRAMES_PER_TOKEN = 2
TOKENS = SOUND_MEL.frames // FRAMES_PER_TOKEN
FEATURES = SOUND_MEL.bands * FRAMES_PER_TOKEN


def mels_to_tokens(mels: Tensor) -> Tensor:
    """Spectrograms, (batch, frames, bands), as tokens, (batch, TOKENS, FEATURES)."""
    return mels.reshape(len(mels), TOKENS, FEATURES)


def tokens_to_mels(tokens: Tensor) -> Tensor:
    """What `mels_to_tokens` made tokens of."""
    return tokens.reshape(len(tokens), SOUND_MEL.frames, SOUND_MEL.bands)


def decode_sounds(items: Tensor, *, rounds: int = 32, seed: int = 0) -> list[Audio]:
    """What a model's tokens sound like, each as loud as what it was taught with.

    Args:
        items: Shape (batch, TOKENS, FEATURES).
        rounds, seed: Of Griffin-Lim; see `nodegraph.media.audio.mel.griffin_lim`.
    """
    made = []
    for mel in tokens_to_mels(items.float().cpu()):
        waveform = griffin_lim(mel[None], iterations=rounds, seed=seed)
        waveform = waveform[:, : SOUND_MEL.rate]
        loudest = float(waveform.abs().max())
        made.append(Audio(waveform * (_PEAK / loudest) if loudest else waveform, SOUND_MEL.rate))
    return made


def sound_conditioning(request: SoundRequest) -> Conditioning:
    """The conditioning of the model of sounds."""
    kind = None if request.kind is None else list(SOUND_KINDS).index(request.kind)
    octaves = None if request.pitch is None else math.log2(request.pitch)
    from nodegraph.families.item_family import item_conditioning

    return item_conditioning("sounds", (kind,), (octaves, request.seconds))


def _drawn(items: Tensor) -> Tensor:
    """Spectrograms, upright."""
    from nodegraph.media.audio.mel import SOUND_MEL
    from nodegraph.media.audio.visualization import mel_images

    pictures = mel_images(tokens_to_mels(items), SOUND_MEL)
    return pictures.permute(0, 3, 1, 2) * 2 - 1


SOUNDS = item_family(
    "sounds",
    "Sounds",
    "a transformer of sounds",
    tokens=TOKENS,
    features=FEATURES,
    drawn=_drawn,
    asked_by="SoundConditioning",
)
