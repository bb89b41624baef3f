"""Some of a dataset's examples: by what they are, by their number, at random. Imports no torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from nodegraph.core.dataset_values import Dataset, Example, Split
from nodegraph.errors import InvalidValue
from nodegraph.media.datasets.editing import hash_to_fraction

TakeOrder = Literal["as they are", "shuffled", "by name"]


@dataclass(frozen=True, slots=True)
class ExampleFilter:
    """What examples are looked for; one that is empty or 0 asks for nothing.

    Attributes:
        split: Theirs.
        labels: Patterns such as ``cat*``; one of them fits the class.
        tags: Each fits one of the tags, or one of the words of the caption.
        caption: A text in the caption; upper and lower case are one.
        min_side, max_side: Pixels of the shorter and the longer side.
        max_aspect: The longer side in shorter ones.
    """

    split: Split | Literal["any"] = "any"
    labels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    caption: str = ""
    min_side: int = 0
    max_side: int = 0
    max_aspect: float = 0.0

    def matches(self, example: Example) -> bool:
        """Whether an example is one of them."""
        short, long = sorted(example.size)
        return (
            self.split in ("any", example.split)
            and (not self.labels or _matches_any(example.label, self.labels))
            and all(_has(example, tag) for tag in self.tags)
            and self.caption.lower() in example.caption.lower()
            and short >= self.min_side
            and (not self.max_side or long <= self.max_side)
            and (not self.max_aspect or long <= self.max_aspect * short)
        )


def _matches_any(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)


def _has(example: Example, tag: str) -> bool:
    words = "".join(sign if sign.isalnum() else " " for sign in example.caption).split()
    return any(_matches_any(each, (tag,)) for each in (*example.tags, *words))


def partition(dataset: Dataset, wanted: ExampleFilter) -> tuple[Dataset, Dataset]:
    """The examples that are wanted, and the others."""
    fits = [wanted.matches(example) for example in dataset.examples]
    pairs = list(zip(dataset.examples, fits, strict=True))
    return (
        dataset.with_examples(tuple(each for each, is_wanted in pairs if is_wanted)),
        dataset.with_examples(tuple(each for each, is_wanted in pairs if not is_wanted)),
    )


def take(
    dataset: Dataset,
    order: TakeOrder,
    *,
    start: int = 0,
    count: int = 0,
    per_label: bool = False,
    seed: int = 0,
) -> Dataset:
    """Some examples, in an order.

    Args:
        order: ``shuffled`` goes by content and seed, so that one that comes or goes moves no other.
        start: The first that is taken, counted from 0.
        count: How many; 0 for all from there.
        per_label: `start` and `count` are of each class.
    Raises:
        InvalidValue: There is none.
    """
    examples = list(dataset.examples)
    if order == "shuffled":
        examples.sort(key=lambda example: (hash_to_fraction(example, seed), example.name))
    elif order == "by name":
        examples.sort(key=lambda example: example.name)
    group_counts: Counter[str] = Counter()
    chosen = []
    for example in examples:
        group = example.label if per_label else ""
        if start <= group_counts[group] and (not count or group_counts[group] < start + count):
            chosen.append(example)
        group_counts[group] += 1
    if not chosen:
        raise InvalidValue(
            "there are fewer examples",
            port="start",
            given=str(start),
            expected=f"0 to {len(examples) - 1}",
        )
    return dataset.with_examples(tuple(chosen))


def set_repeats(
    dataset: Dataset, repeats: int = 1, *, weight: float = 1.0, balance: bool = False
) -> Dataset:
    """How often each example is learned from in an epoch, and how much it counts.

    Args:
        repeats: Times.
        weight: What its loss is multiplied by.
        balance: Examples of rare classes more often, so that each class is learned from about as
            often as the one that is most frequent.
    """
    counts = Counter(each.label for each in dataset.examples if each.split == "train")
    most = max(counts.values(), default=1)

    def work(example: Example) -> Example:
        own = counts.get(example.label, 0)
        times = round(most / own) if balance and own else 1
        return replace(example, repeats=repeats * times, weight=weight)

    return dataset.with_examples(tuple(map(work, dataset.examples)))
