"""The values that travel on links and are more than a plain number, text or tensor.

They hold tensors but never import torch. Values on links are shared and read-only: make a
changed copy with `dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

NOT_CONTENT: dict[str, Any] = {"content": False}
"""Field metadata: the field does not enter the value's digest."""


@dataclass(frozen=True, slots=True)
class Latent:
    """A batch of latents, or the size of one that is still to be drawn.

    Attributes:
        samples: float32 on the CPU, shape (batch, channels, height / f, width / f) where f is the
            family's downscale factor; None for an empty latent, which takes its channels and
            factor from the model that samples it.
        width, height: Size in pixels.
        batch_size: Number of pictures.
        noise_mask: float32 in 0..1, shape (1 or batch, height, width) in pixels; 1 is denoised
            anew, 0 is kept.
        family: Model family whose VAE made the samples, such as ``sd1``; None if empty.
        batch_index: Place of each item in the batch that it comes from: item i draws its noise
            from a generator seeded with seed + batch_index[i]. None means 0, 1, 2, ….
    """

    samples: Tensor | None
    width: int
    height: int
    batch_size: int = 1
    noise_mask: Tensor | None = None
    family: str | None = None
    batch_index: tuple[int, ...] | None = None

    @property
    def noise_indices(self) -> tuple[int, ...]:
        """What is added to the seed for each item, one per item."""
        if self.batch_index is not None:
            return self.batch_index
        return tuple(range(self.batch_size))


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound as samples.

    Attributes:
        samples: float32 in -1..1 on the CPU, shape (channels, samples).
        rate: Samples a second.
    """

    samples: Tensor
    rate: int

    @property
    def seconds(self) -> Fraction:
        """How long it is."""
        return Fraction(self.samples.shape[1], self.rate)


@dataclass(frozen=True, slots=True)
class Video:
    """Pictures that follow each other, and the sound to them.

    Attributes:
        frames: float32 in 0..1 on the CPU, sRGB, shape (frames, height, width, 3).
        rate: Frames a second, exactly: 24000/1001 is no 23.976.
        sound: Begins with the first frame.
    """

    frames: Tensor
    rate: Fraction
    sound: Sound | None = None

    @property
    def seconds(self) -> Fraction:
        """How long its pictures are shown."""
        return self.frames.shape[0] / self.rate


@dataclass(frozen=True, slots=True)
class ConditioningEntry:
    """One prompt's embeddings and how they apply.

    Attributes:
        embeddings: float32 on the CPU, shape (1, tokens, width).
        pooled: float32, shape (1, width), for families that use one.
        strength: Weight among the entries that apply at the same place and step.
        mask: float32 in 0..1, shape (1, height, width) in pixels: where the entry applies.
        start, end: Part of the sampling it applies to, 0 (first step) to 1 (last).
    """

    embeddings: Tensor
    pooled: Tensor | None = None
    strength: float = 1.0
    mask: Tensor | None = None
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the model is to be conditioned on: at least one entry, all of one family.

    Attributes:
        unconditional: The empty prompt's embeddings by the same encoder, shape (1, tokens, width);
            stands in where guidance needs a negative prompt and none is given.
    """

    entries: tuple[ConditioningEntry, ...]
    family: str | None = None
    unconditional: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """Small weights that change what a model does, put on top of its own.

    Attributes:
        kind: How they apply, such as ``lora``.
        source: The file that holds them.
        digest: blake3 of the file's content, hexadecimal.
        strength: How strongly they apply; 1 is as they were trained.
    """

    kind: str
    source: str = field(metadata=NOT_CONTENT)
    digest: str
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """An immutable description of a model component, not its weights.

    A residency manager turns it into a module when a node needs it. Two recipes with the same
    content give the same weights wherever their files lie.

    Attributes:
        family: Architecture, such as ``sd1``.
        source: Folder or single file that holds the weights.
        digest: blake3 of the files' content, hexadecimal.
        dtype: Precision of the weights in memory: ``float32``, ``float16``, ``bfloat16``.
        options: Anything else that changes the module, as sorted (name, value) pairs.
        adapters: What is put on top of the weights, in this order. Recipes that differ in nothing
            else share the weights.
    """

    family: str
    source: str = field(metadata=NOT_CONTENT)
    digest: str
    dtype: str = "float32"
    options: tuple[tuple[str, str], ...] = ()
    adapters: tuple[Adapter, ...] = ()

    @property
    def base(self) -> Recipe:
        """The recipe without adapters: what the shared weights are of."""
        return replace(self, adapters=()) if self.adapters else self

    def option(self, name: str, default: str = "") -> str:
        """The value of an option, or `default`."""
        return dict(self.options).get(name, default)


@dataclass(frozen=True, slots=True)
class DiffusionModel(Recipe):
    """Recipe of a denoiser: a UNet or transformer with its noise schedule."""


@dataclass(frozen=True, slots=True)
class TextEncoder(Recipe):
    """Recipe of a text encoder with its tokenizer."""


@dataclass(frozen=True, slots=True)
class Vae(Recipe):
    """Recipe of a variational autoencoder between pixels and latents."""
