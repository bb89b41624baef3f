"""Training examples: seeded batch order, and latents and prompts encoded once.

The order depends only on the seed and the step, so a training that continues after it was killed
draws the same batches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import torch
from torch import Tensor

from nodegraph.core.training_values import Dataset, Split
from nodegraph.core.values import ConditioningEntry
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.components import Autoencoder, TextModel
from nodegraph.families.prompts import escape_prompt
from nodegraph.families.registry import get_family
from nodegraph.media.datasets.reading import (
    NO_AUGMENTATION,
    read_example,
    read_training_picture,
    training_caption,
    training_size,
)
from nodegraph.models.vae import downscale, encode_image


def generator_of(seed: int, purpose: str, number: int = 0) -> torch.Generator:
    """A generator on the CPU of its own for each purpose and number.

    Args:
        seed: 0 to 2**64 - 1.
    """
    name = f"{seed}/{purpose}/{number}".encode()
    # 63 bits, as all of torch's generators take them.
    drawn = int.from_bytes(blake2b(name, digest_size=8).digest(), "big") >> 1
    return torch.Generator("cpu").manual_seed(drawn)


class BatchOrder:
    """Which examples of a dataset are in which batch: a function of seed and number alone.

    In an epoch each is read as often as its repeats say. Those of a batch are of one size; a last
    batch that isn't full is filled up with others of its size, as a smaller one would count for
    more.

    Args:
        size: Examples of a batch.
    Raises:
        InvalidValue: The dataset has nothing to learn from.
    """

    def __init__(self, dataset: Dataset, size: int, seed: int) -> None:
        self._dataset, self._size, self._seed = dataset, size, seed
        self._known = 0, self._epoch(0)
        self.batches = len(self._known[1])

    def batch(self, number: int) -> tuple[int, list[Visit]]:
        """The epoch of a batch, and what is read in it; both are counted from 0."""
        epoch, batch_index = divmod(number, self.batches)
        if self._known[0] != epoch:
            self._known = epoch, self._epoch(epoch)
        return epoch, self._known[1][batch_index]

    def _epoch(self, epoch: int) -> list[list[Visit]]:
        by_size: dict[tuple[int, int], list[Visit]] = {}
        for visit in epoch_visits(self._dataset, seed=self._seed, epoch=epoch):
            example_index, _ = visit
            by_size.setdefault(training_size(self._dataset, example_index), []).append(visit)
        batches = []
        for visits in by_size.values():
            # As often round as it takes: there may be fewer than a batch.
            missing = -len(visits) % self._size
            filled = visits + [visits[at % len(visits)] for at in range(missing)]
            batches += [filled[at : at + self._size] for at in range(0, len(filled), self._size)]
        generator = generator_of(self._seed, "batches", epoch)
        return [batches[at] for at in torch.randperm(len(batches), generator=generator).tolist()]


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
        variations: Ways that each image is changed in at most: later epochs take up the first
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
        InvalidFile: An image can't be read.
        InvalidValue: An image's size doesn't fit.
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
                f"{name} has a size that the VAE cannot encode",
                port="dataset",
                given=f"{width} × {height} pixels",
                expected=f"sides that are multiples of {cell}",
                hint="Set a size for the dataset, or sort it into buckets.",
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


class Visit(NamedTuple):
    """One reading of an example in an epoch; what `read_training_picture` takes.

    Attributes:
        example_index: Of the example in the dataset.
        repeat: How often it was read in this epoch before.
    """

    example_index: int
    repeat: int


def epoch_visits(
    dataset: Dataset, *, seed: int = 0, epoch: int = 0, split: Split = "train"
) -> list[Visit]:
    """Every reading of an epoch, in a random order; of other splits than ``train`` in theirs.

    Raises:
        InvalidValue: The split has no examples.
    """
    visits = [
        Visit(index, repeat)
        for index, example in enumerate(dataset.examples)
        if example.split == split
        for repeat in range(example.repeats)
    ]
    if not visits:
        raise InvalidValue(
            f"the dataset has no examples to {_USES[split]}",
            port="dataset",
            given=f"{len(dataset.examples)} examples of other splits",
            expected=f"examples of the split {split}",
        )
    if split == "train":
        random.Random(f"{seed} {epoch}").shuffle(visits)  # noqa: S311 - nothing secret
    return visits


def epoch_batches(
    dataset: Dataset, batch_size: int, *, seed: int = 0, epoch: int = 0, split: Split = "train"
) -> list[list[Visit]]:
    """The readings of an epoch in batches of images of one size.

    The last batch of a size may be smaller.

    Raises:
        InvalidValue: The split has no examples.
    """
    by_size: dict[tuple[int, int], list[Visit]] = {}
    for visit in epoch_visits(dataset, seed=seed, epoch=epoch, split=split):
        by_size.setdefault(training_size(dataset, visit.example_index), []).append(visit)
    batches = [
        visits[at : at + batch_size]
        for visits in by_size.values()
        for at in range(0, len(visits), batch_size)
    ]
    if split == "train":
        random.Random(f"{seed} {epoch} batches").shuffle(batches)  # noqa: S311
    return batches


_USES = {"train": "train on", "validation": "validate with", "test": "test with"}
