"""Latents of things that are no pictures: rows of numbers, noised and denoised as they are.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph.diffusion.latent_formats import LatentFormat

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ItemFormat(LatentFormat):
    """The latents of items that have no autoencoder; made by `item_format`.

    Attributes:
        drawn: Makes pictures of items, (batch, tokens, features), in -1..1, (batch, 3, height,
            width), to look at while they are sampled, or None; None where they aren't shown then.
    """

    drawn: Callable[[Tensor], Tensor | None] | None = None

    def pictures(self, latents: Tensor) -> Tensor | None:
        """See `LatentFormat.pictures`."""
        return None if self.drawn is None else self.drawn(latents[:, 0].float().cpu())


def item_format(
    name: str, tokens: int, features: int, drawn: Callable[[Tensor], Tensor | None] | None = None
) -> ItemFormat:
    """The latents of items of so many tokens, of so many features each.

    To all that handles latents an item is a picture of one channel and of one size: its tokens lie
    one below the other, `tokens` pixels high, and a token is `features` pixels wide. So noise,
    batches, masks, guiders and samplers do with items what they do with pictures.
    """
    size = features, tokens
    return ItemFormat(name, channels=1, spatial=1, autoencoders=(), only_size=size, drawn=drawn)
