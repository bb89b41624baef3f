"""How evenly a dataset is made: counts, in words and as a plot. Imports no torch."""

from __future__ import annotations

import math
from collections import Counter
from typing import Literal, NamedTuple

from nodegraph.core.dataset_values import Dataset, Example
from nodegraph.core.plots import Plot, Series

CountBy = Literal["label", "tag", "split", "size", "box label"]
_MOST_BARS = 40
_SPLITS = ("train", "validation", "test")


class Balance(NamedTuple):
    """How evenly a dataset is made.

    Attributes:
        report: In words, a line for each value.
        plot: Bars, one series a split.
        counts: Examples by value.
    """

    report: str
    plot: Plot
    counts: dict[str, int]


def measure_balance(dataset: Dataset, by: CountBy) -> Balance:
    """Examples counted by what is said of them; repeats don't count.

    Args:
        by: An example counts for each of its tags, and for each class of its boxes.
    """
    counts: Counter[str] = Counter()
    in_split: Counter[tuple[str, str]] = Counter()
    for example in dataset.examples:
        for value in _values(example, by):
            counts[value] += 1
            in_split[value, example.split] += 1
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    splits = [name for name in _SPLITS if any(split == name for _, split in in_split)]
    lines = [_heading(dataset, by, counts)]
    for value in ordered:
        parts = ", ".join(f"{name} {in_split[value, name]}" for name in splits)
        split_counts = f" ({parts})" if len(splits) > 1 and by != "split" else ""
        lines.append(f"{value or 'none'}: {counts[value]}{split_counts}")
    shown = ordered[:_MOST_BARS]
    series = tuple(
        Series(
            name if len(splits) > 1 else "",
            tuple(value or "none" for value in shown),
            tuple(float(in_split[value, name]) for value in shown),
            "bars",
        )
        for name in splits
    )
    left = len(ordered) - len(shown)
    notes = (f"{left} rarer ones are not shown.",) if left else ()
    plot = Plot(f"Examples by {by}", by, "examples", series, notes=notes)
    return Balance("\n".join(lines), plot, {value: counts[value] for value in ordered})


def _values(example: Example, by: CountBy) -> tuple[str, ...]:
    if by == "tag":
        return example.tags or ("",)
    if by == "box label":
        return tuple(sorted({box.label for box in example.boxes})) or ("",)
    if by == "size":
        width, height = example.bucket or example.size
        return (f"{width} x {height}",)
    return (example.label if by == "label" else example.split,)


def _heading(dataset: Dataset, by: CountBy, counts: Counter[str]) -> str:
    total = len(dataset.examples)
    if not counts:
        return "0 examples"
    most, least = max(counts.values()), min(counts.values())
    return (
        f"{total} examples, {len(counts)} by {by}; the most frequent has {most / least:.3g} times "
        f"the examples of the rarest, evenness {_evenness(list(counts.values())):.3f}"
    )


def _evenness(counts: list[int]) -> float:
    """Entropy as a share of what equal counts would have: 1 is balanced.

    Source: Pielou 1966, doi:10.1016/0022-5193(66)90013-0.
    """
    if len(counts) < 2:
        return 1.0
    total = sum(counts)
    entropy = -sum(count / total * math.log(count / total) for count in counts)
    return entropy / math.log(len(counts))
