"""What a training draws: each number a pure function of the seed and the step.

So a training that goes on after it was killed draws what it would have drawn.
"""

from __future__ import annotations

from hashlib import blake2b

import torch

from nodegraph.core.dataset_values import Dataset
from nodegraph.media.datasets.order import Visit, epoch_visits
from nodegraph.media.datasets.reading import training_size


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
