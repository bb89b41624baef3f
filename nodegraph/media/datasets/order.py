"""The order in which examples are learned from, by seed and epoch alone. Imports no torch."""

from __future__ import annotations

import random
from typing import NamedTuple

from nodegraph.core.training_values import Dataset, Split
from nodegraph.errors import InvalidValue
from nodegraph.media.datasets.reading import training_size


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
