"""Datasets: made of files or pictures, edited, shown, and written for other tools."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, NamedTuple

from nodegraph import (
    Advanced,
    Augmentation,
    Context,
    Dataset,
    File,
    Image,
    ImageEncoder,
    Mask,
    Multiline,
    Plot,
    Range,
    Seed,
    node,
)

from ._beside import save_picture
from ._dataset_facts import (
    check_captions,
    check_dataset_path,
    check_likeness,
    check_shares,
    dataset_state,
)
from ._facts import check_result_name


class LoadedDataset(NamedTuple):
    """A dataset, and what of its source can't be used."""

    dataset: Dataset
    skipped: str


@node(
    category="dataset",
    lane="io",
    validate=check_dataset_path,
    fingerprint=dataset_state,
    tags=(
        "folder",
        "directory",
        "training images",
        "image folder",
        "kohya",
        "captions",
        "coco",
        "webdataset",
        "tar",
        "huggingface",
        "metadata.jsonl",
        "csv",
        "LoadImageSetFromFolderNode",
        "LoadImageTextSetFromFolderNode",
    ),
)
def LoadDataset(
    ctx: Context,
    path: Annotated[str, File("folder")],
    folders: Literal["splits and labels", "labels", "repeats", "nothing"] = "splits and labels",
    captions: Literal["if there", "required", "file names", "none"] = "if there",
    on_error: Literal["refuse", "skip"] = "refuse",
    format: Annotated[Literal["auto", "folder", "coco", "webdataset"], Advanced()] = "auto",
    recursive: Annotated[bool, Advanced()] = True,
    mask_suffix: Annotated[str, Advanced()] = "_mask",
    min_side: Annotated[int, Range(0, 16384), Advanced()] = 0,
    decode: Annotated[bool, Advanced()] = True,
) -> LoadedDataset:
    """Make a dataset of a folder of pictures, of a COCO file, or of WebDataset's tar files.

    Captions come from a .txt or .caption beside each picture, from metadata.jsonl, or from a CSV.

    Args:
        path: A folder, a pattern such as photos/**/*.jpg, a JSON or a tar file; relative ones start
            from the inputs folder.
        folders: What names of sub-folders say; repeats are kohya's, as in 10_sks dog.
        captions: Required ones are missing by an error.
        on_error: Whether to refuse all, or go on without what can't be used; each is named.
        format: Auto goes by what is there.
        recursive: Folders in the folder count, too.
        mask_suffix: Of a picture apple.png the mask is apple_mask.png; empty for no masks.
        min_side: Pixels that the shorter side of a picture must have.
        decode: Decode each picture once: damaged ones are found now, not in the training.
    """
    from nodegraph.datasets.faults import Faults
    from nodegraph.datasets.folders import FolderOptions
    from nodegraph.datasets.loading import load_dataset

    faults = Faults(on_error, lambda said: ctx.log(said, "warning"))
    options = FolderOptions(folders, captions, recursive, mask_suffix, min_side, decode)
    found = load_dataset(path, ctx.environment, options, faults, format, ctx.progress)
    return LoadedDataset(found, "\n".join(faults.said))


@node(category="dataset", tags=("make", "list", "synthetic", "generated", "training images"))
def DatasetFromImages(
    images: list[Image],
    captions: list[str] | None = None,
    labels: list[str] | None = None,
    masks: list[Mask] | None = None,
    boxes: bool = False,
    name: str = "",
) -> Dataset:
    """Make a dataset of pictures that the workflow made.

    Args:
        images: Of any sizes; each picture of a batch is an example.
        captions: One a picture, or one for all.
        labels: Classes, one a picture, or one for all.
        masks: Where the thing is in each picture.
        boxes: Put a box around each mask, with the picture's label.
        name: Of the dataset.
    """
    from nodegraph.datasets.making import dataset_of_pictures

    return dataset_of_pictures(
        images, captions or (), labels or (), masks or (), boxes=boxes, name=name
    )


class DatasetParts(NamedTuple):
    """A dataset's pictures, and what is said of them."""

    images: list[Image]
    masks: list[Mask]
    captions: list[str]
    labels: list[str]
    names: list[str]


@node(category="dataset", lane="io", tags=("unpack", "apart", "list", "pictures", "to images"))
def DatasetImages(
    ctx: Context, dataset: Dataset, resized: bool = False, epoch: Annotated[int, Advanced()] = -1
) -> DatasetParts:
    """Take a dataset apart into lists, such as for a language model to write captions.

    Args:
        dataset: All of its pictures are brought into memory.
        resized: At the sizes that they are learned from.
        epoch: From 0: with what is changed at random in that epoch.
    """
    from nodegraph.datasets.making import parts_of

    return DatasetParts(*parts_of(dataset, resized=resized, epoch=epoch, told=ctx.progress))


@node(
    category="dataset",
    validate=check_captions,
    tags=("caption", "prefix", "suffix", "trigger word", "replace", "tags", "instance prompt"),
)
def EditCaptions(
    dataset: Dataset,
    template: Annotated[str, Multiline()] = "{caption}",
    find: str = "",
    replacement: str = "",
    is_pattern: Annotated[bool, Advanced()] = False,
    tags: Annotated[Literal["keep", "from captions"], Advanced()] = "keep",
) -> Dataset:
    """Write captions anew: with a trigger word before them, from tags or labels, words replaced.

    Args:
        dataset: Its captions; in files they stay as they are.
        template: What each caption becomes; {caption}, {tags}, {label} and {name} are filled in, as
            in sks style, {caption}.
        find: A text in what came of that.
        replacement: What is put in its place.
        is_pattern: It is a regular expression.
        tags: Also make tags of captions that are lists with commas.
    """
    from nodegraph.datasets.editing import edit_captions, tags_from_captions

    found = edit_captions(
        dataset, template, find=find, replacement=replacement, is_pattern=is_pattern
    )
    return tags_from_captions(found) if tags == "from captions" else found


@node(category="dataset", tags=("caption", "class", "language model", "blip", "wd14", "tagger"))
def SetCaptions(
    dataset: Dataset, captions: list[str] | None = None, labels: list[str] | None = None
) -> Dataset:
    """Give a dataset's examples captions or labels from elsewhere, such as a language model.

    Args:
        dataset: Its other texts stay.
        captions: One an example, in their order, or one for all.
        labels: The same of classes.
    """
    from nodegraph.datasets.editing import set_texts

    return set_texts(dataset, captions=captions, labels=labels)


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
    from nodegraph.datasets.editing import split_dataset

    return split_dataset(dataset, validation, test, seed=seed, exact=exact)


@node(category="dataset", tags=("bucket", "aspect ratio", "resolution", "crop", "scale", "ARB"))
def ResizeDataset(
    dataset: Dataset,
    mode: Literal["one size", "buckets"] = "buckets",
    width: Annotated[int, Range(1, 16384)] = 512,
    height: Annotated[int, Range(0, 16384)] = 0,
    fit: Literal["crop", "pad", "stretch"] = "crop",
    multiple: Annotated[int, Range(1, 1024)] = 64,
    max_aspect: Annotated[float, Range(1, 16), Advanced()] = 2.0,
    enlarge: Annotated[bool, Advanced()] = True,
) -> Dataset:
    """Say to what size pictures are brought when they are learned from: one, or the nearest bucket.

    Args:
        dataset: Its files stay as they are.
        mode: Buckets are sizes of about one area and many proportions, so little is cut off.
        width: In pixels; of buckets the side of the square.
        height: In pixels; 0 is as wide. Of one size alone.
        fit: How a picture comes to one size.
        multiple: What the sides of buckets are multiples of.
        max_aspect: Of buckets: the longer side in shorter ones.
        enlarge: Of buckets: make small pictures larger.
    """
    from nodegraph.datasets.buckets import resize_to_buckets, resize_to_one

    if mode == "one size":
        return resize_to_one(dataset, width, height or width, fit)
    return resize_to_buckets(
        dataset, width, multiple=multiple, max_aspect=max_aspect, enlarge=enlarge
    )


@node(category="dataset", tags=("flip", "mirror", "random crop", "color jitter", "rotate"))
def AugmentDataset(
    dataset: Dataset,
    flip: Annotated[float, Range(0, 1, step=0.1)] = 0.5,
    crop: Annotated[float, Range(0.05, 1, step=0.05)] = 1.0,
    rotate: Annotated[float, Range(0, 180, step=1)] = 0.0,
    brightness: Annotated[float, Range(0, 1, step=0.05)] = 0.0,
    contrast: Annotated[float, Range(0, 1, step=0.05)] = 0.0,
    saturation: Annotated[float, Range(0, 1, step=0.05)] = 0.0,
    hue: Annotated[float, Range(0, 180, step=1)] = 0.0,
    seed: Annotated[int, Seed()] = 0,
    flip_vertical: Annotated[float, Range(0, 1, step=0.1), Advanced()] = 0.0,
    shuffle_tags: Annotated[bool, Advanced()] = False,
    drop_caption: Annotated[float, Range(0, 1, step=0.05), Advanced()] = 0.0,
) -> Dataset:
    """Say what is changed at random in pictures to learn from, anew in each epoch.

    Args:
        dataset: What it said before is replaced; its splits validation and test stay as they are.
        flip: Share of the pictures that are mirrored.
        crop: Smallest share of a picture that is cut out; 1 cuts nothing more.
        rotate: Degrees, at most, to either side.
        brightness: More or less of it, as a share, at most.
        contrast: The same of contrast.
        saturation: The same of colours.
        hue: Degrees, at most, to either side.
        seed: The same one gives the same changes.
        flip_vertical: Share of the pictures that are turned upside down, as in a mirror.
        shuffle_tags: Let tags change places, where they stand in for a caption.
        drop_caption: Share of the captions that are left out, which guidance needs.
    """
    from dataclasses import replace

    drawn = Augmentation(flip, flip_vertical, crop, rotate, brightness, contrast, saturation, hue)
    changes = replace(drawn, shuffle_tags=shuffle_tags, drop_caption=drop_caption, seed=seed)
    return replace(dataset, augmentation=changes)


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
    from nodegraph.datasets.editing import join_datasets

    given = (each for each in (first, second, third, fourth) if each is not None)
    return join_datasets(list(given), name)


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
    from nodegraph.datasets.choosing import ExampleFilter, sorted_out
    from nodegraph.datasets.tables import tags_of

    wanted = ExampleFilter(
        split, tags_of(labels), tags_of(tags), caption, min_side, max_side, max_aspect
    )
    return SortedDataset(*sorted_out(dataset, wanted))


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
    from nodegraph.datasets.choosing import taken

    return taken(dataset, order, start=start, count=count, per_label=per_label, seed=seed)


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
    from nodegraph.datasets.choosing import repeated

    return repeated(dataset, repeats, weight=weight, balance=balance)


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
    from nodegraph.datasets.duplicates import without_duplicates

    found = partial(
        without_duplicates, dataset, by, distance, within_label=within_label, told=ctx.progress
    )
    if encoder is None or by != "meaning":
        return Deduplication(*found())
    from nodegraph.diffusion.ip_adapters.applying import seen_by

    with ctx.weights(encoder, calls_only=True) as eyes:
        return Deduplication(*found(embed=lambda it: seen_by(eyes, it, reads_patches=False)[0]))


class Counted(NamedTuple):
    """How evenly a dataset is made."""

    report: str
    plot: Plot
    counts: dict  # type: ignore[type-arg]


@node(category="dataset", tags=("balance", "count", "statistics", "histogram", "classes", "info"))
def DatasetReport(
    dataset: Dataset, by: Literal["label", "tag", "split", "size", "box label"] = "label"
) -> Counted:
    """Count a dataset's examples, and tell how evenly they are spread.

    Args:
        dataset: What is counted through.
        by: What is counted; sizes are those that pictures are learned from.
    """
    from nodegraph.datasets.balance import balance_of

    return Counted(*balance_of(dataset, by))


@node(category="dataset", lane="io", tags=("preview", "show", "sheet", "contact sheet", "grid"))
def DatasetSheet(
    dataset: Dataset,
    count: Annotated[int, Range(1, 1000)] = 16,
    columns: Annotated[int, Range(0, 100)] = 0,
    size: Annotated[int, Range(16, 2048)] = 128,
    below: Literal["caption", "label", "tags", "name", "split", "nothing"] = "caption",
    parts: Annotated[bool, Advanced()] = True,
    epoch: Annotated[int, Range(-1, 1_000_000), Advanced()] = -1,
) -> Image:
    """Show a dataset's first pictures in one, with captions, boxes and masks.

    Args:
        dataset: What is shown.
        count: How many.
        columns: Pictures in a row; 0 makes about a square.
        size: Longer side of each in pixels.
        below: What stands under each.
        parts: Draw boxes, and darken what masks leave out.
        epoch: From 0: as they are learned from in that epoch; -1: as they are kept.
    """
    from nodegraph.datasets.showing import dataset_sheet

    return dataset_sheet(
        dataset,
        count,
        columns=columns,
        size=size,
        told=below,
        parts=parts,
        epoch=None if epoch < 0 else epoch,
    )


@node(
    category="dataset",
    lane="io",
    output="files",
    validate=check_result_name,
    tags=("write", "export", "image folder", "coco", "webdataset", "huggingface", "tar", "labels"),
)
def SaveDataset(
    ctx: Context,
    dataset: Dataset,
    name: str = "dataset",
    format: Literal["image folder", "coco", "webdataset"] = "image folder",
    resized: bool = False,
    segments: Annotated[Literal["rle", "polygons"], Advanced()] = "rle",
    per_shard: Annotated[int, Range(1, 1_000_000), Advanced()] = 1000,
    picture: Annotated[bool, Advanced()] = True,
) -> None:
    """Write a dataset into a folder of the outputs, in a form that other tools read.

    Folders are numbered: dataset_00001. One with the same content is not written again.

    Args:
        dataset: Files are copied as they are, what was made here becomes PNG.
        name: What the folder's name begins with; sets/fruit makes a sub-folder.
        format: Folders of classes with metadata.jsonl (Hugging Face, torchvision), COCO's
            annotations of boxes and masks, or WebDataset's tar files.
        resized: At the sizes that pictures are learned from.
        segments: How COCO's masks are written.
        per_shard: Examples in one tar file.
        picture: Also write a picture of the first examples, beside the folder.
    """
    from nodegraph.datasets.saving import save_dataset
    from nodegraph.datasets.showing import dataset_sheet

    saved = save_dataset(
        dataset,
        ctx.environment.outputs,
        name,
        format,
        resized=resized,
        segments=segments,
        per_shard=per_shard,
        workflow=ctx.workflow,
        told=lambda _: ctx.check_cancelled(),
    )
    for path in saved.files:
        ctx.wrote(path, kind="dataset", existed=saved.existed)
    ctx.log(f"{saved.pictures} pictures in {saved.folder}")
    if picture:
        save_picture(ctx, name, dataset_sheet(dataset))
