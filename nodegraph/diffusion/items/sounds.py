"""Sounds as tokens: spectrograms of which each token carries a few neighbouring frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.audio.mel import SOUND_MEL

if TYPE_CHECKING:
    from torch import Tensor

FRAMES_PER_TOKEN = 2
TOKENS = SOUND_MEL.frames // FRAMES_PER_TOKEN
FEATURES = SOUND_MEL.bands * FRAMES_PER_TOKEN


def tokens_of_mels(mels: Tensor) -> Tensor:
    """Spectrograms, (batch, frames, bands), as tokens, (batch, TOKENS, FEATURES)."""
    return mels.reshape(len(mels), TOKENS, FEATURES)


def mels_of_tokens(tokens: Tensor) -> Tensor:
    """What `tokens_of_mels` made tokens of."""
    return tokens.reshape(len(tokens), SOUND_MEL.frames, SOUND_MEL.bands)
