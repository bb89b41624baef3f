"""Dataset summaries: text, class balance, contact sheet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from nodegraph.core.plots import Plot, Series
from nodegraph.core.training_values import Augmentation, Dataset, Example, LabeledBox
from nodegraph.errors import InvalidValue
from nodegraph.media.datasets.reading import load_mask, load_picture, read_example

if TYPE_CHECKING:
    from torch import Tensor

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
    notes = (f"{left} less frequent ones are not shown.",) if left else ()
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
        f"{total} examples, {len(counts)} by {by}; the most frequent one has "
        f"{most / least:.3g} times the examples of the least frequent one, evenness "
        f"{_evenness(list(counts.values())):.3f}"
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


_MOST = 8
_LONGEST = 100


def describe_dataset(dataset: Dataset) -> Iterator[str]:
    """Lines that say what a dataset holds, and its first examples; none tells where files lie."""
    examples = dataset.examples
    named = f" {dataset.name!r}" if dataset.name else ""
    readings = sum(each.repeats for each in examples if each.split == "train")
    yield f"Dataset{named} of {len(examples)} examples, {readings} samples per epoch"
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
    contents = ", ".join(f"{count} {name}" for name, count in has.items() if count)
    yield f"  with {contents or 'images only'}"
    goals = [each.bucket or dataset.size for each in examples]
    if sizes := _counts(f"{goal[0]} x {goal[1]}" for goal in goals if goal):
        yield f"  trained at {sizes} ({dataset.fit})"
    if changes := _changes(dataset.augmentation):
        yield f"  augmented at random: {changes}"
    for example in examples[:_MOST]:
        caption = example.caption or ", ".join(example.tags) or example.label
        yield f"  {example.name}: {caption[:_LONGEST]}"
    if len(examples) > _MOST:
        yield "  …"


def _counts(values: Iterable[str]) -> str:
    counts = Counter(value for value in values if value)
    texts = [f"{value} {count}" for value, count in counts.most_common(_MOST)]
    more = [f"{len(counts) - _MOST} more"] if len(counts) > _MOST else []
    return ", ".join([*texts, *more])


def _changes(settings: Augmentation) -> str:
    usual = Augmentation()
    names = [name for name in Augmentation.__slots__ if name != "seed"]
    changes = (
        f"{name} {getattr(settings, name):g}"
        for name in names
        if getattr(settings, name) != getattr(usual, name)
    )
    return ", ".join(changes)


CaptionKind = Literal["caption", "label", "tags", "name", "split", "nothing"]
_BOX = (1.0, 0.2, 0.1, 1.0)
_HIDDEN = 0.65
"""How much of what a mask leaves out is shown darker."""


def dataset_sheet(
    dataset: Dataset,
    count: int = 16,
    *,
    columns: int = 0,
    size: int = 128,
    caption_kind: CaptionKind = "caption",
    show_annotations: bool = True,
    epoch: int | None = None,
) -> Tensor:
    """The first images of a dataset in one.

    Args:
        size: Of the longer side of each, in pixels.
        caption_kind: What stands under it.
        show_annotations: Whether boxes are drawn, and what masks leave out is darker.
        epoch: As they are learned from then; None: as they are kept.
    Returns:
        float32 in 0..1, shape (1, height, width, 3).
    Raises:
        InvalidValue: There are no examples.
        InvalidFile: A file is missing, damaged, or has changed.
    """
    from nodegraph.media.images.contact_sheets import contact_sheet

    shown = range(min(count, len(dataset.examples)))
    if not shown:
        raise InvalidValue("the dataset has no examples to show", port="dataset")
    pictures = [_thumbnail(dataset, at, size, epoch, show_annotations) for at in shown]
    captions = [_caption_of(dataset, at, caption_kind) for at in shown]
    return contact_sheet(pictures, columns=columns, captions=captions)


def _caption_of(dataset: Dataset, at: int, kind: CaptionKind) -> str:
    example = dataset.examples[at]
    texts = {"tags": ", ".join(example.tags), "nothing": ""}
    return texts[kind] if kind in texts else str(getattr(example, kind))


def _thumbnail(dataset: Dataset, at: int, size: int, epoch: int | None, parts: bool) -> Tensor:
    from nodegraph.media.images.resizing import resize_image

    picture, mask, boxes = _read(dataset, at, epoch)
    height, width = picture.shape[1:3]
    factor = size / max(width, height)
    to = max(1, round(width * factor)), max(1, round(height * factor))
    if parts and mask is not None:
        picture = picture * (1 - _HIDDEN * (1 - mask[..., None]))
    small = resize_image(picture, *to, method="nearest" if factor >= 2 else "lanczos")
    return _with_boxes(small, boxes, factor) if parts else small


def _read(
    dataset: Dataset, at: int, epoch: int | None
) -> tuple[Tensor, Tensor | None, tuple[LabeledBox, ...]]:
    """Shapes (1, height, width, 3) and (1, height, width)."""
    example = dataset.examples[at]
    if epoch is None:
        return load_picture(example), load_mask(example), example.boxes
    prepared = read_example(dataset, at, epoch=epoch)
    mask = None if prepared.mask is None else prepared.mask[None]
    return prepared.picture.movedim(0, -1)[None], mask, prepared.boxes


def _with_boxes(image: Tensor, boxes: tuple[LabeledBox, ...], factor: float) -> Tensor:
    from nodegraph.media.images.editing.annotations import draw_boxes

    if not boxes:
        return image
    places = [
        (box.x * factor, box.y * factor, box.width * factor, box.height * factor) for box in boxes
    ]
    return draw_boxes(image, places, [box.label for box in boxes], _BOX, line=2, size=11)
