"""Sounds of a second, as spectrograms in mel bands. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.diffusion.families.base import Part
from nodegraph.diffusion.families.index import INDEX
from nodegraph.diffusion.families.items import ItemFamily
from nodegraph.diffusion.items.formats import item_format
from nodegraph.diffusion.items.sounds import FEATURES, TOKENS, mels_of_tokens
from nodegraph.diffusion.single_files.items import item_layout

if TYPE_CHECKING:
    from torch import Tensor


def _drawn(items: Tensor) -> Tensor:
    """Spectrograms, upright."""
    from nodegraph.audio.mel import SOUND_MEL
    from nodegraph.audio.spectrograms import mel_pictures

    pictures = mel_pictures(mels_of_tokens(items), SOUND_MEL)
    return pictures.permute(0, 3, 1, 2) * 2 - 1


_FILE = item_layout(
    "sounds-transformer",
    "a transformer of sounds",
    "ItemTransformer",
    tokens=TOKENS,
    features=FEATURES,
    gives_clean=True,
)

SOUNDS = ItemFamily(
    "sounds",
    "Sounds",
    latent=item_format("sounds", TOKENS, FEATURES, _drawn),
    pipelines=INDEX["sounds"].pipelines,
    denoisers=(Part("transformer", ("ItemTransformer",), files=(_FILE,)),),
    encoders=(),
    tokenizers=(),
    noise="flow",
    multiple=1,
    wide=True,
    asked_by="SoundConditioning",
)
