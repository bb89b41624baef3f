"""Datasets: made of files or pictures, taken apart, shown, and written for other tools."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, Dataset, File, Image, Mask, Plot, Range, node

from ._dataset_facts import check_dataset_path, dataset_state
from ._facts import check_result_name
from ._result_files import save_picture


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
    from nodegraph.media.datasets.disk_formats import load_dataset
    from nodegraph.media.datasets.faults import DatasetFaults
    from nodegraph.media.datasets.folders import FolderOptions

    faults = DatasetFaults(on_error, lambda message: ctx.log(message, "warning"))
    options = FolderOptions(folders, captions, recursive, mask_suffix, min_side, decode)
    dataset = load_dataset(path, ctx.environment, options, faults, format, ctx.progress)
    return LoadedDataset(dataset, "\n".join(faults.messages))


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
    from nodegraph.media.datasets.image_lists import dataset_from_images

    return dataset_from_images(
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
    from nodegraph.media.datasets.image_lists import dataset_to_lists

    return DatasetParts(
        *dataset_to_lists(dataset, resized=resized, epoch=epoch, on_progress=ctx.progress)
    )


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
    from nodegraph.media.datasets.summary import measure_balance

    return Counted(*measure_balance(dataset, by))


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
    from nodegraph.media.datasets.summary import dataset_sheet

    return dataset_sheet(
        dataset,
        count,
        columns=columns,
        size=size,
        caption_kind=below,
        show_annotations=parts,
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
    from nodegraph.media.datasets.disk_formats import save_dataset
    from nodegraph.media.datasets.summary import dataset_sheet

    saved = save_dataset(
        dataset,
        ctx.environment.outputs,
        name,
        format,
        resized=resized,
        segments=segments,
        per_shard=per_shard,
        workflow=ctx.workflow,
        on_progress=lambda _: ctx.check_cancelled(),
    )
    for path in saved.files:
        ctx.wrote(path, kind="dataset", existed=saved.existed)
    ctx.log(f"{saved.pictures} pictures in {saved.folder}")
    if picture:
        save_picture(ctx, name, dataset_sheet(dataset))
