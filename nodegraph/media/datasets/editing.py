"""Dataset edits: captions, tags, splits, sizes, aspect ratio buckets. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from string import Formatter

from blake3 import blake3

from nodegraph.core.digests import digest_tensor
from nodegraph.core.patterns import compile_pattern, search_with_timeout
from nodegraph.core.training_values import Dataset, Example, ExampleFile, Fit, Split
from nodegraph.errors import InvalidValue

Size = tuple[int, int]
"""Width and height in pixels."""


def bucket_sizes(resolution: int, multiple: int, max_aspect: float) -> list[Size]:
    """Sizes of about one area, from upright to lying: in steps of one side.

    Args:
        resolution: The area is that of a square with this side, in pixels; none is larger.
        multiple: What sides are multiples of.
        max_aspect: The longer side in shorter ones, at most.
    Source: NovelAI 2022, "NovelAI Improvements on Stable Diffusion", aspect ratio bucketing.
    """
    area, sizes = resolution * resolution, set()
    side = multiple
    while side * side <= area:
        other = area // side // multiple * multiple
        if other <= max_aspect * side:
            sizes |= {(side, other), (other, side)}
        side += multiple
    square = max(multiple, resolution // multiple * multiple)
    return sorted(sizes | {(square, square)}, key=lambda size: (size[0] / size[1], size))


def nearest_bucket(size: Size, buckets: list[Size]) -> Size:
    """The bucket whose proportions are nearest; of two as near the larger one."""

    def distance(bucket: Size) -> tuple[float, int]:
        away = abs(math.log(bucket[0] / bucket[1]) - math.log(size[0] / size[1]))
        return round(away, 9), -bucket[0] * bucket[1]

    return min(buckets, key=distance)


def resize_to_one(dataset: Dataset, width: int, height: int, fit: Fit) -> Dataset:
    """All images of one size."""
    examples = tuple(replace(example, bucket=None) for example in dataset.examples)
    return replace(dataset, examples=examples, size=(width, height), fit=fit)


def resize_to_buckets(
    dataset: Dataset,
    resolution: int,
    *,
    multiple: int = 64,
    max_aspect: float = 2.0,
    enlarge: bool = True,
) -> Dataset:
    """Each image in the bucket that its proportions are nearest to, cut to it.

    Args:
        resolution, multiple, max_aspect: See `bucket_sizes`.
        enlarge: Whether small images are made larger; else they come into buckets as much
            smaller.
    """
    known: dict[int, list[Size]] = {}

    def work(example: Example) -> Example:
        own = resolution
        if not enlarge:
            side = int(math.sqrt(math.prod(example.size)))
            own = max(multiple, min(resolution, side) // multiple * multiple)
        buckets = known.setdefault(own, bucket_sizes(own, multiple, max_aspect))
        return replace(example, bucket=nearest_bucket(example.size, buckets))

    examples = tuple(map(work, dataset.examples))
    return replace(dataset, examples=examples, size=None, fit="crop")


TEMPLATE_WORDS = ("caption", "tags", "label", "name")
"""What may stand in braces in a template of captions."""


def map_examples(dataset: Dataset, work: Callable[[Example], Example]) -> Dataset:
    """The same with each example changed."""
    return dataset.with_examples(tuple(map(work, dataset.examples)))


def check_template(template: str) -> None:
    """Refuse a template that can't be filled.

    Raises:
        InvalidValue: It names something else than `TEMPLATE_WORDS`, or its braces don't match.
    """
    try:
        words = [word for _, word, _, _ in Formatter().parse(template) if word is not None]
    except ValueError as error:
        raise InvalidValue(
            f"the template cannot be read: {error}", port="template", given=repr(template[:80])
        ) from error
    for word in words:
        if word not in TEMPLATE_WORDS:
            raise InvalidValue(
                "the template uses a placeholder that does not exist",
                port="template",
                given=f"{{{word}}}",
                expected=", ".join(f"{{{each}}}" for each in TEMPLATE_WORDS),
            )


def edit_captions(
    dataset: Dataset,
    template: str = "{caption}",
    *,
    find: str = "",
    replacement: str = "",
    is_pattern: bool = False,
) -> Dataset:
    """Captions written anew from what is said of each example.

    Args:
        template: Such as ``a photo of sks {label}, {caption}``; `find` is looked for in what comes
            of it. Commas and spaces that a missing part leaves behind go.
        is_pattern: `find` is a regular expression, and ``\\1`` in the replacement its first group.
    Raises:
        InvalidValue: The template or the pattern can't be, or the pattern takes for ever.
    """
    check_template(template)
    exchange = _build_replacer(find, replacement, is_pattern)

    def work(example: Example) -> Example:
        filled = template.format(
            caption=example.caption,
            tags=", ".join(example.tags),
            label=example.label,
            name=example.name.rsplit("/", 1)[-1],
        )
        return replace(example, caption=_clean_caption(exchange(filled)))

    return map_examples(dataset, work)


def _build_replacer(find: str, replacement: str, is_pattern: bool) -> Callable[[str], str]:
    if not find:
        return lambda text: text
    if not is_pattern:
        return lambda text: text.replace(find, replacement)
    from regex import error

    pattern = compile_pattern(find, port="find")
    try:
        # A replacement is looked at where something is found, and nothing is found everywhere.
        compile_pattern(f"{find}|", port="find").sub(replacement, "")
    except (error, IndexError) as fault:
        raise InvalidValue(
            f"refers to a group that does not exist: {fault}",
            port="replacement",
            given=replacement[:60],
        ) from None
    return lambda text: search_with_timeout(
        lambda limit: str(pattern.sub(replacement, text, timeout=limit)), "find"
    )


def _clean_caption(text: str) -> str:
    """Without what an empty part of a template leaves behind."""
    parts = (" ".join(part.split()) for part in text.split(","))
    return ", ".join(part for part in parts if part)


def tags_from_captions(dataset: Dataset) -> Dataset:
    """Captions with commas become tags, each once; the captions stay."""

    def work(example: Example) -> Example:
        parts = (part.strip() for part in example.caption.split(","))
        return replace(example, tags=tuple(dict.fromkeys(part for part in parts if part)))

    return map_examples(dataset, work)


def set_texts(
    dataset: Dataset,
    *,
    captions: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
) -> Dataset:
    """Captions and classes that come from elsewhere, such as a language model.

    Args:
        captions, labels: One an example in their order, or one for all; None leaves them.
    Raises:
        InvalidValue: Not as many as examples.
    """
    count = len(dataset.examples)

    def spread(texts: Sequence[str], port: str) -> Sequence[str]:
        if len(texts) not in (1, count):
            raise InvalidValue(
                f"the number of {port} differs from the number of examples",
                port=port,
                given=str(len(texts)),
                expected=f"{count}, or 1 for all",
            )
        return list(texts) * (count if len(texts) == 1 else 1)

    examples: Iterable[Example] = dataset.examples
    if captions is not None:
        pairs = zip(examples, spread(captions, "captions"), strict=True)
        examples = [replace(each, caption=text.strip()) for each, text in pairs]
    if labels is not None:
        pairs = zip(examples, spread(labels, "labels"), strict=True)
        examples = [replace(each, label=text.strip()) for each, text in pairs]
    return dataset.with_examples(tuple(examples))


def content_digest(example: Example) -> str:
    """Digest of an example's image: of the file, or of the numbers."""
    if isinstance(example.picture, ExampleFile):
        return example.picture.digest
    return digest_tensor(example.picture)


def hash_to_fraction(example: Example, seed: int) -> float:
    """A number from 0 up to 1 that looks random and is the image's own, whatever is beside it."""
    return int(blake3(f"{seed} {content_digest(example)}".encode()).hexdigest()[:13], 16) / 16**13


def split_dataset(
    dataset: Dataset,
    validation: float,
    test: float,
    *,
    seed: int = 0,
    exact: bool = True,
) -> Dataset:
    """Examples put into splits at random.

    Equal images always come into one split, so nothing that is learned from is judged by.

    Args:
        validation, test: Shares.
        exact: So many of each class, rounded; else each image by itself, so that it stays in its
            split whatever comes or goes.
    Raises:
        InvalidValue: The shares leave nothing to learn from.
    """
    if validation + test >= 1:
        raise InvalidValue(
            "the shares leave no training examples",
            port="validation",
            given=f"{validation:g} + {test:g}",
            expected="together less than 1",
        )
    places = [hash_to_fraction(example, seed) for example in dataset.examples]
    if exact:
        places = _stratified_ranks(dataset, places)
    ends: list[tuple[float, Split]] = [(test, "test"), (test + validation, "validation")]

    def split(position: float) -> Split:
        return next((name for end, name in ends if position < end), "train")

    pairs = zip(dataset.examples, places, strict=True)
    return dataset.with_examples(tuple(replace(each, split=split(at)) for each, at in pairs))


def _stratified_ranks(dataset: Dataset, places: Sequence[float]) -> list[float]:
    """Places spread evenly within each class, in the order that they have; equal ones stay so."""
    spread = list(places)
    for label in {example.label for example in dataset.examples}:
        members = [at for at, each in enumerate(dataset.examples) if each.label == label]
        ordered = sorted({places[at] for at in members})
        # The middle of its own part of 0..1: a share of a half of five takes two or three.
        ranks = {position: (rank + 0.5) / len(ordered) for rank, position in enumerate(ordered)}
        for at in members:
            spread[at] = ranks[places[at]]
    return spread


def join_datasets(datasets: Sequence[Dataset], name: str = "") -> Dataset:
    """The examples of several, one after the other; read as the first says.

    One whose name is taken gets a number behind it.
    """
    taken: set[str] = set()
    examples = []
    for example in (each for dataset in datasets for each in dataset.examples):
        free = _free_name(example.name, taken)
        taken.add(free)
        examples.append(example if free == example.name else replace(example, name=free))
    first = datasets[0]
    return replace(first, examples=tuple(examples), name=name or first.name)


def _free_name(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"
