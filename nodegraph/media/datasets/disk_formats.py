"""Datasets on disk: load any supported format, save as a numbered folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nodegraph.core.digests import digest_value
from nodegraph.core.file_access import is_readable
from nodegraph.core.training_values import Dataset
from nodegraph.errors import InvalidFile, InvalidValue, OutputError, at_port
from nodegraph.media.datasets.coco import (
    ANNOTATIONS,
    SegmentForm,
    coco_files,
    picture_paths,
    read_coco,
)
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.folders import FolderOptions, find_files, read_folder
from nodegraph.media.datasets.image_folder import image_folder_files, resize_for_training
from nodegraph.media.datasets.shards import read_shards, shard_files
from nodegraph.media.images.input_files import missing_file_error
from nodegraph.media.images.output_files import check_inside
from nodegraph.media.images.output_names import check_name
from nodegraph.media.images.picture_folders import matching_paths

if TYPE_CHECKING:
    from nodegraph.core.context import Environment

SourceFormat = Literal["auto", "folder", "coco", "webdataset"]
_SHARD = (".tar", ".tgz", ".tar.gz")


def load_dataset(
    pattern: str,
    environment: Environment,
    options: FolderOptions,
    faults: DatasetFaults,
    format: SourceFormat = "auto",
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Dataset:
    """The dataset that a path stands for.

    Args:
        pattern: A folder of images, of shards or with an ``annotations.json``; a JSON file; a tar
            file; or a pattern of images or tar files.
        options: Of folders of images.
        on_progress: Told how much of how much was looked at.
    Raises:
        InvalidFile: There is no such thing, nothing in it can be used, or something can't and is to
            be refused.
    """
    with at_port("path"):
        kind, files = detect_source(pattern, environment, format)
        if kind == "coco":
            return read_coco(files[0], environment, faults, on_progress)
        if kind == "webdataset":
            most = environment.max_image_pixels
            return read_shards(files, faults, on_progress, max_pixels=most)
        return read_folder(pattern, environment, options, faults, on_progress)


def detect_source(
    pattern: str, environment: Environment, format: SourceFormat = "auto"
) -> tuple[SourceFormat, list[Path]]:
    """The form of what a path stands for, and its files; none of a folder of images.

    Raises:
        InvalidFile: There is no such thing, or it isn't of the form that is asked for.
    """
    try:
        path = environment.inputs / Path(pattern).expanduser()
    except RuntimeError as error:
        raise InvalidFile(f"{pattern} cannot be read: {error}") from None
    is_pattern = any(sign in pattern for sign in "*?[")
    try:
        if not is_pattern and not path.exists():
            raise missing_file_error(path, names=environment.readable is None)
    except OSError as error:  # such as a name that is longer than names can be
        raise InvalidFile(f"{path} cannot be read: {error.strerror or error}") from error
    if format in ("auto", "coco"):
        table = path / ANNOTATIONS if path.is_dir() else path
        if table.suffix == ".json" and table.is_file():
            return "coco", [table]
    if format in ("auto", "webdataset"):
        shards = list(_shards(pattern, path, environment))
        if shards:
            return "webdataset", shards
    if format in ("coco", "webdataset"):
        wanted = ANNOTATIONS if format == "coco" else "tar files"
        raise InvalidFile(f"{pattern} holds no {wanted}", port="path")
    return "folder", []


def _shards(pattern: str, path: Path, environment: Environment) -> Iterator[Path]:
    paths = [path] if path.is_file() else sorted(matching_paths(pattern, environment))
    for each in paths:
        if each.name.endswith(_SHARD) and each.is_file() and is_readable(str(each), environment):
            yield each


def source_files(
    pattern: str,
    environment: Environment,
    *,
    format: SourceFormat = "auto",
    recursive: bool = True,
    mask_suffix: str = "_mask",
) -> Iterator[Path]:
    """Every file that `load_dataset` reads, to see whether one changes.

    Raises:
        InvalidFile: There is no such thing.
    """
    kind, files = detect_source(pattern, environment, format)
    if kind == "folder":
        yield from find_files(
            pattern, environment, recursive=recursive, mask_suffix=mask_suffix
        ).all
        return
    yield from files
    if kind == "coco":
        yield from (path for path in picture_paths(files[0]) if path.is_file())


DatasetFormat = Literal["image folder", "coco", "webdataset"]
CARD = "dataset.json"
"""The file that says what a folder holds, and by which workflow it was made."""
_MOST = 100_000


class SavedDataset(NamedTuple):
    """A dataset on disk.

    Attributes:
        files: What others begin reading at: tables, annotations or shards; last the card.
        pictures: How many there are.
        existed: A folder with the same was there already, and was left as it is.
    """

    folder: Path
    files: tuple[Path, ...]
    pictures: int
    existed: bool


def save_dataset(
    dataset: Dataset,
    outputs: Path,
    name: str,
    format: DatasetFormat,
    *,
    resized: bool = False,
    segments: SegmentForm = "rle",
    per_shard: int = 1000,
    workflow: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], object] = lambda files: None,
) -> SavedDataset:
    """Write a dataset into a folder of its own, with the next free number.

    Args:
        outputs: Everything stays inside.
        name: What the folder's name begins with; may have sub-folders.
        resized: At the sizes that images are learned from, instead of as they are.
        segments: How masks are written, in COCO.
        per_shard: Examples in a file, of WebDataset.
        workflow: Is told in the card.
        on_progress: Told how many files are written.
    Raises:
        InvalidFile: A file of the dataset is missing, damaged, or has changed.
        InvalidValue: There are no examples, or the name leads out of the folder or can't be a
            file's.
        OutputError: No permission, no space.
    """
    check_name(name)
    if not dataset.examples:
        # A folder of none is nothing that any tool reads, and looks as if all went well.
        raise InvalidValue(
            "the dataset has no examples to write",
            port="dataset",
            hint="Put a DatasetReport before this node to see what is left.",
        )
    stem = outputs / name
    digest = digest_value([format, resized, segments, per_shard, dataset])
    try:
        known = next((each for each in _existing_folders(stem) if _digest_of(each) == digest), None)
        if known is not None:
            return _saved(known, dataset, existed=True)
        stem.parent.mkdir(parents=True, exist_ok=True)
        check_inside(outputs, stem)
        written = resize_for_training(dataset) if resized else dataset
        files = _files(written, format, segments, per_shard)
        card = {
            "format": format,
            "name": dataset.name,
            "examples": len(dataset.examples),
            "labels": list(dataset.labels),
            "digest": digest,
            "workflow": workflow,
        }
        folder = _write(stem, files, json.dumps(card), on_progress)
    except OSError as error:
        raise OutputError(f"cannot write to {stem.parent}: {error.strerror or error}") from error
    return _saved(folder, dataset, existed=False)


def _files(
    dataset: Dataset, format: DatasetFormat, segments: SegmentForm, per_shard: int
) -> Iterator[tuple[str, bytes]]:
    if format == "coco":
        return coco_files(dataset, segments)
    if format == "webdataset":
        return shard_files(dataset, per_shard)
    return image_folder_files(dataset)


def _existing_folders(stem: Path) -> Iterator[Path]:
    """Folders of that name that are there."""
    for number in range(1, _MOST):
        folder = stem.with_name(f"{stem.name}_{number:05}")
        if not folder.exists():
            return
        yield folder


def _digest_of(folder: Path) -> str | None:
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return card.get("digest") if isinstance(card, dict) else None


def _write(
    stem: Path, files: Iterator[tuple[str, bytes]], card: str, on_progress: Callable[[int], object]
) -> Path:
    # Under another name until all is there: nobody takes a part for the whole.
    part = Path(mkdtemp(prefix=".dataset-", dir=stem.parent))
    try:
        for number, (name, content) in enumerate(files, 1):
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            on_progress(number)
        (part / CARD).write_text(card, "utf-8")
        part.chmod(0o755)
        for number in range(1, _MOST):
            folder = stem.with_name(f"{stem.name}_{number:05}")
            if not folder.exists():
                part.rename(folder)
                return folder
        raise OutputError(f"there are too many folders named {stem.name} in {stem.parent}")
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _saved(folder: Path, dataset: Dataset, *, existed: bool) -> SavedDataset:
    wanted = ("*/metadata.jsonl", "annotations.json", "*.tar", CARD)
    files = tuple(path for pattern in wanted for path in sorted(folder.glob(pattern)))
    return SavedDataset(folder, files, len(dataset.examples), existed)
