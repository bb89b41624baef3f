"""Transformers of items: the base class, and variants for molecules and motions.

Sources: Peebles & Xie 2022, arXiv:2212.09748 (blocks that the condition shifts, scales and gates);
Lipman et al. 2022, arXiv:2210.02747 (flow matching).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from nodegraph.families.items.motions import FEATURES as MOTION_FEATURES
from nodegraph.families.items.motions import FRAMES, MOTIONS, PLACES, TOKENS
from nodegraph.media.molecules.tables import (
    ELEMENTS,
    FEATURES,
    MOST_ATOMS,
    ORDERS,
    READ_FEATURES,
    bond_scores,
    probabilities_to_items,
)

_TIME_FEATURES = 64
_FASTEST = 1000.0
"""Highest angular frequency that the time is told in."""

_LEAST_TIME = 0.05
"""Below it a flow is reckoned as at it, where the network gives the clean item."""


class ItemTransformer(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Gives the flow, noise - clean, of noisy items; x_t = (1 - t) clean + t noise.

    One projection of the condition serves all blocks, and each adds an offset of its own: with one
    a block the same network has a quarter more weights.

    Args:
        tokens, features: Of an item.
        width, layers, heads: Of the transformer.
        condition_width: Of the vector that time, classes and numbers make.
        classes: How many values each class that leads it has, such as (12, 8).
        numbers: How many numbers lead it.
        octaves: Sines and cosines that each number is told in, besides itself: of pi times it, and
            of that doubled so many times but one. 0: itself alone.
        gives_clean: Whether the network gives the clean item, and the flow is reckoned of it: noise
            of more features than the width doesn't pass through.
    """

    config_name = "config.json"
    _supports_gradient_checkpointing = False

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        tokens: int,
        features: int,
        width: int = 180,
        layers: int = 4,
        heads: int = 6,
        condition_width: int = 128,
        classes: Sequence[int] = (),
        numbers: int = 0,
        octaves: int = 0,
        gives_clean: bool = False,
    ) -> None:
        super().__init__()
        embedding_width = condition_width
        self.gives_clean = gives_clean
        self.time_embedding = _perceptron(_TIME_FEATURES, embedding_width)
        self.class_embeddings = nn.ModuleList(
            [nn.Embedding(count + 1, embedding_width) for count in classes]
        )
        self.number_embedding = (
            _perceptron(numbers * (2 + 2 * octaves), embedding_width) if numbers else None
        )
        self.register_buffer(
            "frequencies", math.pi * 2.0 ** torch.arange(octaves), persistent=False
        )
        self.register_buffer("number_mean", torch.zeros(numbers))
        self.register_buffer("number_spread", torch.ones(numbers))
        read, output_width = self.widths(features)
        self.token_embedding = nn.Linear(read, width)
        self.position_embedding = nn.Parameter(torch.randn(tokens, width) * 0.3)
        self.shared_embedding = nn.Linear(embedding_width, 6 * width)
        self.blocks = nn.ModuleList([TransformerBlock(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.last_embedding = nn.Linear(embedding_width, 2 * width)
        self.output_embedding = nn.Linear(width, output_width)
        for layer in (self.shared_embedding, self.output_embedding):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.output_embedding.bias)

    def forward(
        self, x: Tensor, t: Tensor, classes: Tensor, numbers: Tensor, *others: Tensor
    ) -> Tensor:
        """The flow of noisy items.

        Args:
            x: Shape (batch, tokens, features).
            t: Share of the noise, 0 to 1; shape (batch,).
            classes: int64, shape (batch, classes); -1 where nothing is asked.
            numbers: float32, shape (batch, numbers); NaN where nothing is asked.
            others: What else a subclass is led by.
        Returns:
            Shaped as x.
        """
        prediction = self.finished(self.answer(x, t, classes, numbers, *others))
        if not self.gives_clean:
            return prediction
        return (x - prediction.to(x.dtype)) / t.clamp_min(_LEAST_TIME).view(-1, 1, 1)

    def answer(
        self, x: Tensor, t: Tensor, classes: Tensor, numbers: Tensor, *others: Tensor
    ) -> Tensor:
        """The last layer's output, of what `forward` takes."""
        condition = nn.functional.silu(self.embed_conditions(t, classes, numbers))
        hidden = self.token_embedding(self.read(x)) + self.position_embedding
        return self.apply_blocks(hidden, condition)

    def apply_blocks(self, hidden: Tensor, condition: Tensor) -> Tensor:
        """What all blocks and the last layer make of tokens, (batch, tokens, width)."""
        shared = self.shared_embedding(condition)
        for block in self.blocks:
            hidden = block(hidden, shared)
        shift, scale = self.last_embedding(condition).chunk(2, -1)
        prediction: Tensor = self.output_embedding(_modulated(self.norm(hidden), shift, scale))
        return prediction

    @staticmethod
    def widths(features: int) -> tuple[int, int]:
        """Numbers of a token that the first layer reads and the last gives: an item's own here."""
        return features, features

    def read(self, x: Tensor) -> Tensor:
        """What the first layer reads of items: all as it is here."""
        return x

    def finished(self, prediction: Tensor) -> Tensor:
        """What is made of the last layer's output: as it is here."""
        return prediction

    def embed_conditions(self, t: Tensor, classes: Tensor, numbers: Tensor) -> Tensor:
        """Time, classes and numbers as one vector, (batch, condition_width)."""
        condition: Tensor = self.time_embedding(_waves(t).to(self.token_embedding.weight.dtype))
        for index, count in enumerate(self.config["classes"]):
            # the last row stands for a class that isn't asked for
            labels = classes[:, index]
            condition = condition + self.class_embeddings[index](
                torch.where(labels < 0, count, labels)
            )
        if self.number_embedding is not None:
            condition = condition + self.number_embedding(
                self._numbers(numbers).to(condition.dtype)
            )
        return condition

    def _numbers(self, numbers: Tensor) -> Tensor:
        is_known = ~numbers.isnan()
        values = torch.where(is_known, (numbers - self.number_mean) / self.number_spread, 0.0)
        angles = values[..., None] * self.frequencies
        waves = torch.cat([angles.sin(), angles.cos()], -1) * is_known[..., None]
        features: Tensor = torch.cat([values, is_known.to(values.dtype), waves.flatten(1)], 1)
        return features


class TransformerBlock(nn.Module):
    """Attention and a perceptron, both shifted, scaled and gated by the condition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.offset = nn.Parameter(torch.zeros(6 * width))

    def forward(self, hidden: Tensor, shared: Tensor) -> Tensor:
        """The tokens after the block; shared is (batch, 6 · width)."""
        parts = (shared + self.offset).chunk(6, -1)
        shift, scale, gate = parts[:3]
        attended = self._attended(_modulated(self.norm(hidden), shift, scale))
        hidden = hidden + gate[:, None] * attended
        shift, scale, gate = parts[3:]
        inner = self.wide(_modulated(self.norm(hidden), shift, scale))
        perceived: Tensor = self.narrow(nn.functional.gelu(inner, approximate="tanh"))
        return hidden + gate[:, None] * perceived

    def _attended(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return attended


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale[:, None]) + shift[:, None]


def _perceptron(features: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))


def _waves(t: Tensor) -> Tensor:
    """Shares of noise in sines and cosines, (batch, 64)."""
    half = torch.linspace(0, math.log(_FASTEST), _TIME_FEATURES // 2, device=t.device)
    angles = t.float()[:, None] * half.exp()
    waves: Tensor = torch.cat([angles.sin(), angles.cos()], -1)
    return waves


class MoleculeTransformer(ItemTransformer):
    """Gives the flow of noisy tables of molecules; see `nodegraph.media.molecules.tables`.

    A row of a table holds the bonds to the atoms before it alone. Here it reads those to the atoms
    behind it, too, so that each token sees all bonds of its atom, and both rows of a bond have a
    say in it. The network gives how likely each class is, which makes the clean item.

    Source: Dieleman et al. 2022, arXiv:2211.15089 (clean items by the likelihood of their classes).
    """

    @staticmethod
    def widths(features: int) -> tuple[int, int]:
        """See `ItemTransformer.widths`; kinds, and orders of bonds to all nine rows."""
        if features != FEATURES:
            raise ValueError(f"tables of molecules have {FEATURES} features, not {features}")
        return READ_FEATURES, READ_FEATURES

    def read(self, x: Tensor) -> Tensor:
        """Kinds, and bonds to the rows before and behind."""
        bonds = bond_scores(x)
        both = bonds + bonds.transpose(1, 2)
        return torch.cat([x[..., : len(ELEMENTS)], both.flatten(2)], 2)

    def logits(self, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Unnormalized log likelihoods of kinds, (batch, 9, 5), and orders, (batch, 9, 9, 4)."""
        kinds, bonds = prediction.float().tensor_split((len(ELEMENTS),), -1)
        sides = bonds.reshape(*bonds.shape[:-1], MOST_ATOMS, ORDERS)
        return kinds, sides + sides.transpose(1, 2)

    def finished(self, prediction: Tensor) -> Tensor:
        """The clean items that are expected."""
        kinds, orders = self.logits(prediction)
        return probabilities_to_items(kinds.softmax(-1), orders.softmax(-1))


class MotionTransformer(ItemTransformer):
    """Gives the flow of noisy frames, led by the image that they begin with.

    Each token of each frame is given the image's token of its place, and all tokens of the
    image stand before those of the frames, so that a thing can be looked up where it was.
    Attention runs over all places of all frames, as things move across places.

    Args:
        width, layers, heads, condition_width, classes, numbers, octaves: As of `ItemTransformer`.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        tokens: int = TOKENS,
        features: int = MOTION_FEATURES,
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
