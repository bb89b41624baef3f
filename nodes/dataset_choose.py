"""Datasets: split, join and filter them, and set how often examples are used."""

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
    """Split a dataset into training, validation and test examples.

    Identical images always go into the same split.

    Args:
        dataset: The dataset. Its previous splits are replaced.
        validation: Share of the examples for validation.
        test: Share of the examples for testing.
        seed: Seed of the random split.
        exact: Take exactly this share of each class. Otherwise each image is assigned
            independently: it keeps its split when other images are added or removed, and the shares
            are approximate.
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
    """Concatenate several datasets.

    Args:
        first: The first dataset. Its sizes and augmentations apply to all.
        second: The next dataset. If an example's name is already in use, a number is appended.
        third: A further dataset, optional.
        fourth: A further dataset, optional.
        name: Name of the result. Empty keeps the name of the first.
    """
    from nodegraph.media.datasets.editing import join_datasets

    datasets = (each for each in (first, second, third, fourth) if each is not None)
    return join_datasets(list(datasets), name)


class SortedDataset(NamedTuple):
    """Examples that match, and the others."""

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
    """Filter a dataset's examples by split, label, tag, caption or size.

    Args:
        dataset: The dataset.
        split: Split of the examples.
        labels: Labels, separated by commas; any of them matches. cat* also matches cats.
        tags: Tags, separated by commas; all must be present as tags or as words of the caption.
        caption: Text that the caption must contain.
        min_side: Minimum length of the shorter side, in pixels.
        max_side: Maximum length of the longer side, in pixels. 0 means no limit.
        max_aspect: Maximum aspect ratio, longer to shorter side. 0 means no limit.
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
    """Take a number of a dataset's examples, in a given order.

    Args:
        dataset: The dataset.
        count: Number of examples. 0 takes all.
        order: Order of the examples. A shuffled order changes little when examples are added or
            removed.
        per_label: Take this number of each class.
        seed: Seed of the shuffling.
        start: Index of the first example, counted from 0.
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
    """Set how often examples are used per epoch, for example to repeat rare classes.

    Args:
        dataset: The dataset. Its previous repeats are replaced.
        repeats: Number of repeats per epoch.
        balance: Repeat rare classes more often, so that each class has about the same share of an
            epoch.
        weight: Loss weight of these examples.
    """
    from nodegraph.media.datasets.subsets import set_repeats

    return set_repeats(dataset, repeats, weight=weight, balance=balance)


class Deduplication(NamedTuple):
    """Kept and removed examples, with statistics."""

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
    """Remove near-duplicate images. The first of each group is kept.

    Args:
        dataset: The dataset. All of its images are read.
        by: Pixels compares small copies. Structure compares where brightness rises and falls,
            independent of color and size (dHash). Meaning compares image embeddings.
        distance: Maximum distance of duplicates: the mean difference of pixels, the share of 64
            hash bits, or 1 minus the cosine similarity of embeddings.
        encoder: Image encoder for meaning, for example CLIP's.
        within_label: Compare only images of the same class.
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
