"""Datasets: which examples are in them, in which split, and how often."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, Dataset, ImageEncoder, Plot, Range, Seed, node

from ._dataset_facts import check_likeness, check_shares


@node(category="dataset", validate=check_shares, tags=("train", "validation", "test", "holdout"))
def SplitDataset(
    dataset: Dataset,
    validation: Annotated[float, Range(0, 0.99, step=0.05)] = 0.1,
    test: Annotated[float, Range(0, 0.99, step=0.05)] = 0.1,
    seed: Annotated[int, Seed()] = 0,
    exact: bool = True,
) -> Dataset:
    """Put a dataset's examples into splits: to learn from, to choose by, to be judged by.

    Equal pictures always come into one split.

    Args:
        dataset: What it said of splits before is replaced.
        validation: Share of the examples.
        test: Share of the examples.
        seed: Another one splits otherwise.
        exact: So many of each class. Else each picture for itself: it stays in its split when
            others come or go, and shares hold roughly.
    """
    from nodegraph.media.datasets.editing import split_dataset

    return split_dataset(dataset, validation, test, seed=seed, exact=exact)


@node(category="dataset", tags=("merge", "combine", "concat", "mix", "regularization images"))
def JoinDatasets(
    first: Dataset,
    second: Dataset,
    third: Dataset | None = None,
    fourth: Dataset | None = None,
    name: str = "",
) -> Dataset:
    """Make one dataset of several, one after the other.

    Args:
        first: Says how all are read: sizes and changes at random.
        second: Follows it. An example whose name is taken gets a number behind it.
        third: Follows, too.
        fourth: Follows, too.
        name: Of the whole; empty takes the first one's.
    """
    from nodegraph.media.datasets.editing import join_datasets

    datasets = (each for each in (first, second, third, fourth) if each is not None)
    return join_datasets(list(datasets), name)


class SortedDataset(NamedTuple):
    """Examples that fit, and the others."""

    matching: Dataset
    others: Dataset


@node(category="dataset", tags=("select", "subset", "split", "class", "size", "tag", "where"))
def FilterDataset(
    dataset: Dataset,
    split: Literal["any", "train", "validation", "test"] = "any",
    labels: str = "",
    tags: str = "",
    caption: str = "",
    min_side: Annotated[int, Range(0, 16384)] = 0,
    max_side: Annotated[int, Range(0, 16384), Advanced()] = 0,
    max_aspect: Annotated[float, Range(0, 100), Advanced()] = 0.0,
) -> SortedDataset:
    """Sort out a dataset's examples by split, label, tag, caption or size.

    Args:
        dataset: All of the examples.
        split: Theirs.
        labels: One of these, with commas between; cat* fits cats, too.
        tags: All of these, with commas between, as tags or as words of the caption.
        caption: A text in the caption.
        min_side: Pixels of the shorter side, at least.
        max_side: Pixels of the longer side, at most; 0 is any.
        max_aspect: The longer side in shorter ones, at most; 0 is any.
    """
    from nodegraph.media.datasets.image_folder import parse_tags
    from nodegraph.media.datasets.subsets import ExampleFilter, partition

    wanted = ExampleFilter(
        split, parse_tags(labels), parse_tags(tags), caption, min_side, max_side, max_aspect
    )
    return SortedDataset(*partition(dataset, wanted))


@node(category="dataset", tags=("shuffle", "order", "first", "sample", "subset", "few", "limit"))
def TakeExamples(
    dataset: Dataset,
    count: Annotated[int, Range(0, 1_000_000)] = 10,
    order: Literal["as they are", "shuffled", "by name"] = "shuffled",
    per_label: bool = False,
    seed: Annotated[int, Seed()] = 0,
    start: Annotated[int, Range(0, 1_000_000), Advanced()] = 0,
) -> Dataset:
    """Take some of a dataset's examples, in an order.

    Args:
        dataset: What is taken from.
        count: How many; 0 is all.
        order: A shuffled one moves little when examples come or go.
        per_label: So many of each class.
        seed: Of the shuffling.
        start: The first that is taken, counted from 0.
    """
    from nodegraph.media.datasets.subsets import take

    return take(dataset, order, start=start, count=count, per_label=per_label, seed=seed)


@node(category="dataset", tags=("repeats", "oversample", "weight", "balance", "num_repeats"))
def RepeatExamples(
    dataset: Dataset,
    repeats: Annotated[int, Range(1, 10_000)] = 1,
    balance: bool = False,
    weight: Annotated[float, Range(0, 100), Advanced()] = 1.0,
) -> Dataset:
    """Say how often examples are learned from in an epoch, such as those of rare classes.

    Args:
        dataset: What it said before is replaced.
        repeats: Times.
        balance: Rare classes more often, so that each has about as much of an epoch.
        weight: What the loss of these examples is multiplied by.
    """
    from nodegraph.media.datasets.subsets import set_repeats

    return set_repeats(dataset, repeats, weight=weight, balance=balance)


class Deduplication(NamedTuple):
    """What is left and what went, with figures."""

    dataset: Dataset
    removed: Dataset
    report: str
    plot: Plot


@node(
    category="dataset",
    lane="gpu",
    validate=check_likeness,
    numerics=True,
    tags=("duplicates", "dedupe", "perceptual hash", "dhash", "similar", "clean", "embedding"),
)
def RemoveDuplicates(
    ctx: Context,
    dataset: Dataset,
    by: Literal["pixels", "structure", "meaning"] = "pixels",
    distance: Annotated[float, Range(0, 1, step=0.01)] = 0.05,
    encoder: ImageEncoder | None = None,
    within_label: Annotated[bool, Advanced()] = False,
) -> Deduplication:
    """Remove pictures that are nearly the same as one before them.

    Args:
        dataset: Its pictures are all read.
        by: Pixels compares small copies, structure where brightness rises and falls, whatever the
            colours and the size (dHash), meaning what an image encoder sees.
        distance: Up to which two count as the same: the mean difference of pixels, the share of 64
            bits, or 1 less the cosine of what is seen.
        encoder: For meaning: CLIP's, say.
        within_label: Compare only pictures of one class.
    """
    from nodegraph.media.datasets.subsets import remove_duplicates

    deduplicate = partial(
        remove_duplicates,
        dataset,
        by,
        distance,
        within_label=within_label,
        on_progress=ctx.progress,
    )
    if encoder is None or by != "meaning":
        return Deduplication(*deduplicate())
    from nodegraph.models.ip_adapters.image_prompts import embed_images

    with ctx.weights(encoder, calls_only=True) as eyes:
        return Deduplication(
            *deduplicate(embed=lambda it: embed_images(eyes, it, reads_patches=False)[0])
        )
