"""Examples as denoisers learn from them: latents and prompts, each encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nodegraph.core.dataset_values import Dataset
from nodegraph.core.values import ConditioningEntry
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.components import Autoencoder, TextModel
from nodegraph.families.prompts import escape_prompt
from nodegraph.families.registry import get_family
from nodegraph.media.datasets.augmenting import NO_AUGMENTATION
from nodegraph.media.datasets.order import Visit
from nodegraph.media.datasets.reading import read_example, read_training_picture, training_caption
from nodegraph.models.vae import downscale, encode_image
from nodegraph.training.drawing import BatchOrder

Prompts = Mapping[str, ConditioningEntry]
"""By their text."""


class LatentKey(NamedTuple):
    """Which reading of which example a latent is of."""

    example: int
    epoch: int
    repeat: int


@dataclass(frozen=True)
class DatasetReader:
    """What of a dataset is read in a training.

    Attributes:
        order: Its batches.
        variations: Ways that each picture is changed in at most: later epochs take up the first
            ones again, so that all can be encoded before.
    """

    dataset: Dataset
    order: BatchOrder
    variations: int

    def batch(self, number: int) -> list[LatentKey]:
        """What is read in a batch."""
        epoch, visits = self.order.batch(number)
        return [self._key(visit, epoch) for visit in visits]

    def _key(self, visit: Visit, epoch: int) -> LatentKey:
        example_index, repeat = visit
        if self.dataset.augmentation == NO_AUGMENTATION:
            return LatentKey(example_index, 0, 0)
        # Repeats are readings, too.
        times = self.dataset.examples[example_index].repeats
        epoch, repeat = divmod((epoch * times + repeat) % self.variations, times)
        return LatentKey(example_index, epoch, repeat)

    def keys(self, batches: Iterable[int]) -> list[LatentKey]:
        """All that is read in some batches, each once, in a fixed order."""
        return sorted({key for number in batches for key in self.batch(number)})

    def caption(self, key: LatentKey) -> str:
        """What is said of it."""
        return training_caption(self.dataset, key.example, epoch=key.epoch, repeat=key.repeat)

    def picture(self, key: LatentKey) -> Tensor:
        """float32 in 0..1, shape (3, height, width)."""
        return read_training_picture(self.dataset, key.example, epoch=key.epoch, repeat=key.repeat)

    def mask(self, key: LatentKey) -> Tensor | None:
        """The part that counts; float32 in 0..1, shape (height, width)."""
        if self.dataset.examples[key.example].mask is None:
            return None
        return read_example(self.dataset, key.example, epoch=key.epoch, repeat=key.repeat).mask


def encode_latents(
    autoencoder: Autoencoder,
    reading: DatasetReader,
    keys: Iterable[LatentKey],
    check_cancelled: Callable[[], object] = lambda: None,
) -> dict[LatentKey, Tensor]:
    """The latents of readings, scaled as models are trained on; each float32, (channels, …).

    Raises:
        InvalidFile: A picture can't be read.
        InvalidValue: A picture's size doesn't fit.
    """
    cell = downscale(autoencoder)
    latents = {}
    for key in keys:
        check_cancelled()
        picture = reading.picture(key)
        height, width = picture.shape[1:]
        if height % cell or width % cell or not picture.numel():
            name = reading.dataset.examples[key.example].name or f"example {key.example + 1}"
            raise InvalidValue(
                f"{name} is of a size that the VAE can't encode",
                port="dataset",
                given=f"{width} × {height} pixels",
                expected=f"sides that are multiples of {cell}",
                hint="Give the dataset a size, or sort it into buckets.",
            )
        latent = encode_image(autoencoder, picture.movedim(0, -1)[None])
        assert latent.samples is not None
        latents[key] = latent.samples[0]
    return latents


def encode_prompts(
    text_model: TextModel,
    texts: Iterable[str],
    check_cancelled: Callable[[], object] = lambda: None,
) -> dict[str, ConditioningEntry]:
    """Captions as the denoiser takes them."""
    family, prompts = get_family(text_model.family), {}
    with torch.no_grad():
        for text in texts:
            check_cancelled()
            with text_model.turn:
                prompts[text] = family.encode(text_model, plain_prompt(family, text))
    return prompts


def plain_prompt(family: Family, text: str) -> str:
    """A caption as a prompt: brackets in it are text."""
    return escape_prompt(text) if family.weighs_words else text
