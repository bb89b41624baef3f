"""Datasets: build them from files or images, unpack, preview and export them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, Dataset, ExampleFile, File, Image, Mask, Plot, Range, node

from ._credentials import warn_if_changed
from ._dataset_facts import check_dataset_path, dataset_state
from ._facts import check_result_name
from ._result_files import save_picture


class LoadedDataset(NamedTuple):
    """A dataset, and the source files that were skipped."""

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
    """Load a dataset from a folder of images, a COCO file, or WebDataset tar files.

    Captions come from a .txt or .caption file next to each image, from metadata.jsonl, or from a
    CSV file.

    Args:
        path: A folder, a pattern like photos/**/*.jpg, a JSON file or a tar file. Relative paths
            start from the inputs folder.
        folders: Meaning of the subfolder names. Repeats follow the kohya form, for example 10_sks
            dog.
        captions: Where captions come from. With required, a missing caption is an error.
        on_error: Refuse the whole dataset, or skip unusable files. Each skipped file is listed.
        format: Format of the source. Auto detects it.
        recursive: Include subfolders.
        mask_suffix: The mask of the image apple.png is apple_mask.png. Empty means no masks.
        min_side: Minimum length of an image's shorter side, in pixels.
        decode: Decode each image once, so that damaged files are found now and not during training.
    """
    from nodegraph.media.datasets.disk_formats import load_dataset
    from nodegraph.media.datasets.faults import DatasetFaults
    from nodegraph.media.datasets.folders import FolderOptions

    faults = DatasetFaults(on_error, lambda message: ctx.log(message, "warning"))
    options = FolderOptions(folders, captions, recursive, mask_suffix, min_side, decode)
    dataset = load_dataset(path, ctx.environment, options, faults, format, ctx.progress)
    pictures = [example.picture for example in dataset.examples]
    files = [Path(each.path) for each in pictures if isinstance(each, ExampleFile)]
    warn_if_changed(ctx, *files)
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
    """Build a dataset from images of the workflow, for example generated ones.

    Args:
        images: Images of any sizes. Each image of a batch is one example.
        captions: One caption per image, or one for all.
        labels: One class label per image, or one for all.
        masks: Mask of the object in each image.
        boxes: Add a bounding box around each mask, with the image's label.
        name: Name of the dataset.
    """
    from nodegraph.media.datasets.image_lists import dataset_from_images

    return dataset_from_images(
        images, captions or (), labels or (), masks or (), boxes=boxes, name=name
    )


class DatasetParts(NamedTuple):
    """A dataset's images, masks and texts as lists."""

    images: list[Image]
    masks: list[Mask]
    captions: list[str]
    labels: list[str]
    names: list[str]


@node(category="dataset", lane="io", tags=("unpack", "apart", "list", "pictures", "to images"))
def DatasetImages(
    ctx: Context, dataset: Dataset, resized: bool = False, epoch: Annotated[int, Advanced()] = -1
) -> DatasetParts:
    """Unpack a dataset into lists, for example to caption its images with a language model.

    Args:
        dataset: The dataset. All of its images are loaded into memory.
        resized: Return images at the training size.
        epoch: Epoch whose random augmentations are applied, counted from 0.
    """
    from nodegraph.media.datasets.image_lists import dataset_to_lists

    return DatasetParts(
        *dataset_to_lists(dataset, resized=resized, epoch=epoch, on_progress=ctx.progress)
    )


class Counted(NamedTuple):
    """Counts of a dataset's examples, and how balanced they are."""

    report: str
    plot: Plot
    counts: dict  # type: ignore[type-arg]


@node(category="dataset", tags=("balance", "count", "statistics", "histogram", "classes", "info"))
def DatasetReport(
    dataset: Dataset, by: Literal["label", "tag", "split", "size", "box label"] = "label"
) -> Counted:
    """Count a dataset's examples by label, tag, split or size, and report how balanced they are.

    Args:
        dataset: The dataset.
        by: Property to count. Sizes are those used in training.
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
    """Show a dataset's first images in one contact sheet, with captions, boxes and masks.

    Args:
        dataset: The dataset.
        count: Number of images.
        columns: Images per row. 0 makes the sheet about square.
        size: Longer side of each image in pixels.
        below: Text below each image.
        parts: Draw boxes, and darken the area outside the masks.
        epoch: From 0: images as used in that training epoch. -1: images as stored.
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
    """Export a dataset to a folder in the outputs, in a format that other tools read.

    Folders are numbered: dataset_00001. A folder with the same content is not written again.

    Args:
        dataset: The dataset. Files are copied unchanged. Generated images are saved as PNG.
        name: Start of the folder name. sets/fruit makes a subfolder.
        format: A folder per class with metadata.jsonl (Hugging Face, torchvision), COCO annotations
            with boxes and masks, or WebDataset tar files.
        resized: Save images at the training size.
        segments: How COCO masks are written.
        per_shard: Examples per tar file.
        picture: Also save a contact sheet of the first examples next to the folder.
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
        texts=ctx.file_metadata(),
        on_progress=lambda _: ctx.check_cancelled(),
    )
    for path in saved.files:
        ctx.wrote(path, kind="dataset", existed=saved.existed)
    ctx.log(f"{saved.pictures} images in {saved.folder}")
    if picture:
        save_picture(ctx, name, dataset_sheet(dataset))
