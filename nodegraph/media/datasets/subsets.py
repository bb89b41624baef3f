"""Subsets of a dataset: filter, take, repeat, remove near duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import sqrt
from typing import TYPE_CHECKING, Literal, NamedTuple

from nodegraph.core.plots import Plot, Series
from nodegraph.core.training_values import Dataset, Example, Split
from nodegraph.errors import InvalidValue
from nodegraph.media.datasets.editing import hash_to_fraction
from nodegraph.media.datasets.reading import load_picture

if TYPE_CHECKING:
    from torch import Tensor

SimilarityBy = Literal["structure", "pixels", "meaning"]
_SIDE = 8
_THUMBNAIL = 16
_BARS = 20


class Deduplicated(NamedTuple):
    """What is left, what went, and figures of it.

    Attributes:
        kept, removed: Examples.
        report: In words.
        distances: How far each image is from the nearest one before it.
    """

    kept: Dataset
    removed: Dataset
    report: str
    distances: Plot


def remove_duplicates(
    dataset: Dataset,
    by: SimilarityBy,
    distance: float,
    *,
    within_label: bool = False,
    embed: Callable[[Tensor], Tensor] | None = None,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Deduplicated:
    """A dataset without the images that are nearly the same as one before them.

    Args:
        by: ``structure`` compares where brightness rises and falls (dHash), whatever the size and
            the colors; ``pixels`` the colors of small copies; ``meaning`` what `embed` gives.
        distance: Up to which two count as the same, 0 to 1: the share of differing bits, the root
            of the mean square of differences, or 1 less the cosine of embeddings.
        within_label: Only images of one class are compared.
        embed: Numbers of any length that tell what an image, (1, height, width, 3), shows.
    Raises:
        InvalidFile: A file is missing, damaged, or has changed.
        InvalidValue: There is nothing to embed by.
    """
    import torch

    describe = _feature_extractor(by, embed)
    count = len(dataset.examples)
    rows = []
    for at, example in enumerate(dataset.examples):
        rows.append(describe(load_picture(example)))
        on_progress(at + 1, count)
    described = torch.stack(rows) if rows else torch.zeros(0, 1)
    nearest, original = _find_duplicates(
        described, dataset.examples, distance, within_label, is_squared=by != "pixels"
    )
    pairs = list(zip(dataset.examples, original, strict=True))
    kept = dataset.with_examples(tuple(each for each, other in pairs if other is None))
    removed = dataset.with_examples(tuple(each for each, other in pairs if other is not None))
    return Deduplicated(kept, removed, _report(dataset, original, by, distance), _plot(nearest))


def _feature_extractor(
    by: SimilarityBy, embed: Callable[[Tensor], Tensor] | None
) -> Callable[[Tensor], Tensor]:
    if by != "meaning":
        return _dhash if by == "structure" else _pixels
    if embed is None:
        raise InvalidValue(
            "comparing images by meaning needs an image encoder, and none is linked",
            port="encoder",
            expected="an image encoder",
            hint="Link a LoadImageEncoder, or compare by pixels.",
        )
    return lambda picture: _unit(embed(picture))


def _unit(row: Tensor) -> Tensor:
    """Squared distances of such rows are 1 less the cosine."""
    flat = row.flatten()
    length = float(flat.norm()) or 1.0
    return flat / (length * sqrt(2))


def _dhash(picture: Tensor) -> Tensor:
    """64 bits as 0 and 1 over 8: of which neighbors in a row the right one is brighter.

    Distances of such rows, squared, are shares of bits. Source: Krawetz 2013, "Kind of Like That".
    """
    from nodegraph.media.images.editing.pixel_formats import luma
    from nodegraph.media.images.resizing import resize_image

    small = luma(resize_image(picture, _SIDE + 1, _SIDE, method="area"))[0, ..., 0]
    # A flat ground rises nowhere: what scaling leaves in the last bits is no rise.
    rises = (small[:, 1:] - small[:, :-1]) > 1 / 512
    bits: Tensor = rises.float().flatten() / _SIDE
    return bits


def _pixels(picture: Tensor) -> Tensor:
    """A small copy, scaled so that distances are roots of mean squares."""
    from nodegraph.media.images.resizing import resize_image

    small = resize_image(picture, _THUMBNAIL, _THUMBNAIL, method="area").flatten()
    return small / sqrt(len(small))


def _find_duplicates(
    rows: Tensor,
    examples: tuple[Example, ...],
    distance: float,
    within_label: bool,
    *,
    is_squared: bool,
) -> tuple[list[float], list[int | None]]:
    """Of each the distance to the nearest one that was kept, and which that is, if it is near."""
    import torch

    nearest: list[float] = []
    original: list[int | None] = []
    kept: list[int] = []
    squared = (rows * rows).sum(1)
    for at, example in enumerate(examples):
        rivals = [
            other for other in kept if not within_label or examples[other].label == example.label
        ]
        if not rivals:
            kept.append(at)
            original.append(None)
            continue
        chosen = torch.tensor(rivals)
        # |a - b|² = |a|² + |b|² - 2ab: one product of a matrix, not a difference for each pair.
        away = squared[chosen] + squared[at] - 2 * rows[chosen] @ rows[at]
        lowest, index = away.clamp(min=0).min(0)
        lowest_distance = float(lowest) if is_squared else float(lowest) ** 0.5
        nearest.append(lowest_distance)
        is_same = lowest_distance <= distance + 1e-6
        original.append(rivals[int(index)] if is_same else None)
        if not is_same:
            kept.append(at)
    return nearest, original


def _report(dataset: Dataset, original: list[int | None], by: SimilarityBy, distance: float) -> str:
    gone = [(at, other) for at, other in enumerate(original) if other is not None]
    lines = [
        f"{len(original)} images, {len(original) - len(gone)} kept, {len(gone)} removed "
        f"(by {by}, up to {distance:g})"
    ]
    examples = dataset.examples
    lines += [
        f"{examples[at].name} is nearly the same as {examples[other].name}" for at, other in gone
    ]
    return "\n".join(lines)


def _plot(nearest: list[float]) -> Plot:
    top = max([*nearest, 1e-6])
    counts = [0] * _BARS
    for value in nearest:
        counts[min(_BARS - 1, int(value / top * _BARS))] += 1
    places = [(at + 0.5) / _BARS * top for at in range(_BARS)]
    return Plot(
        "Similarity of the images",
        "distance to the nearest image kept before",
        "images",
        (Series("", tuple(places), tuple(map(float, counts)), "bars"),),
    )


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
