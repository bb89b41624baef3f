"""A dataset in a few lines of text. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from nodegraph.core.dataset_values import Augmentation, Dataset

_MOST = 8
_LONGEST = 100


def described(dataset: Dataset) -> Iterator[str]:
    """Lines that say what a dataset holds, and its first examples; none tells where files lie."""
    examples = dataset.examples
    named = f" {dataset.name!r}" if dataset.name else ""
    readings = sum(each.repeats for each in examples if each.split == "train")
    yield f"Dataset{named} of {len(examples)} examples, {readings} readings an epoch"
    for title, values in (
        ("labels", (each.label for each in examples)),
        ("splits", (each.split for each in examples)),
        ("sizes", (f"{each.size[0]} x {each.size[1]}" for each in examples)),
    ):
        if counts := _counts(values):
            yield f"  {title}: {counts}"
    has = {
        "captions": sum(bool(each.caption) for each in examples),
        "tags": sum(bool(each.tags) for each in examples),
        "masks": sum(each.mask is not None for each in examples),
        "boxes": sum(bool(each.boxes) for each in examples),
    }
    told = ", ".join(f"{count} {name}" for name, count in has.items() if count)
    yield f"  with {told or 'pictures alone'}"
    goals = [each.bucket or dataset.size for each in examples]
    if sizes := _counts(f"{goal[0]} x {goal[1]}" for goal in goals if goal):
        yield f"  learned from at {sizes} ({dataset.fit})"
    if changes := _changes(dataset.augmentation):
        yield f"  changed at random: {changes}"
    for example in examples[:_MOST]:
        said = example.caption or ", ".join(example.tags) or example.label
        yield f"  {example.name}: {said[:_LONGEST]}"
    if len(examples) > _MOST:
        yield "  …"


def _counts(values: Iterable[str]) -> str:
    counts = Counter(value for value in values if value)
    told = [f"{value} {count}" for value, count in counts.most_common(_MOST)]
    more = [f"{len(counts) - _MOST} more"] if len(counts) > _MOST else []
    return ", ".join([*told, *more])


def _changes(settings: Augmentation) -> str:
    usual = Augmentation()
    names = [name for name in Augmentation.__slots__ if name != "seed"]
    told = (
        f"{name} {getattr(settings, name):g}"
        for name in names
        if getattr(settings, name) != getattr(usual, name)
    )
    return ", ".join(told)
