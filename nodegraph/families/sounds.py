"""Sounds of a second, as spectrograms in mel bands. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.families.item_family import item_family
from nodegraph.families.items.sounds import FEATURES, TOKENS, tokens_to_mels

if TYPE_CHECKING:
    from torch import Tensor


def _drawn(items: Tensor) -> Tensor:
    """Spectrograms, upright."""
    from nodegraph.media.audio.mel import SOUND_MEL
    from nodegraph.media.audio.spectrograms import mel_images

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
