"""The network that sets a picture in motion: it sees the clean picture beside the noisy frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from nodegraph.families.items.motions import FEATURES, FRAMES, MOTIONS, PLACES, TOKENS
from nodegraph.families.items.transformer import ItemTransformer


class MotionTransformer(ItemTransformer):
    """Gives the flow of noisy frames, led by the picture that they begin with.

    Each token of each frame is given the picture's token of its place, and all tokens of the
    picture stand before those of the frames, so that a thing can be looked up where it was.
    Attention runs over all places of all frames, as things move across places.

    Args:
        width, layers, heads, condition_width, classes, numbers, octaves: As of `ItemTransformer`.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        tokens: int = TOKENS,
        features: int = FEATURES,
        width: int = 160,
        layers: int = 5,
        heads: int = 5,
        condition_width: int = 96,
        classes: Sequence[int] = (len(MOTIONS),),
        numbers: int = 1,
        octaves: int = 0,
        gives_clean: bool = False,
    ) -> None:
        super().__init__(
            tokens,
            features,
            width,
            layers,
            heads,
            condition_width,
            classes,
            numbers,
            octaves,
            gives_clean,
        )
        self.picture_embedding = nn.Linear(features, width)
        self.picture_position = nn.Parameter(torch.randn(PLACES, width) * 0.3)

    def answer(
        self, x: Tensor, t: Tensor, classes: Tensor, numbers: Tensor, *others: Tensor
    ) -> Tensor:
        """See `ItemTransformer.answer`; others: the clean latent of the first frame in tokens,
        (batch, 16, 32)."""
        (picture,) = others
        condition = nn.functional.silu(self.embed_conditions(t, classes, numbers))
        picture_tokens = self.picture_embedding(picture)
        hidden = (
            self.token_embedding(x) + self.position_embedding + picture_tokens.repeat(1, FRAMES, 1)
        )
        hidden = torch.cat([picture_tokens + self.picture_position, hidden], 1)
        return self.apply_blocks(hidden, condition)[:, PLACES:]
