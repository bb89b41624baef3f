"""Datasets read from what a path stands for: a folder of pictures, a COCO file, shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodegraph.core.confinement import is_readable
from nodegraph.core.dataset_values import Dataset
from nodegraph.errors import InvalidFile, at_port
from nodegraph.media.datasets.coco import ANNOTATIONS, picture_paths, read_coco
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.folder_files import find_files
from nodegraph.media.datasets.folders import FolderOptions, read_folder
from nodegraph.media.datasets.shards import read_shards
from nodegraph.media.images.input_files import missing_file_error
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
        pattern: A folder of pictures, of shards or with an ``annotations.json``; a JSON file; a tar
            file; or a pattern of pictures or tar files.
        options: Of folders of pictures.
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
    """The form of what a path stands for, and its files; none of a folder of pictures.

    Raises:
        InvalidFile: There is no such thing, or it isn't of the form that is asked for.
    """
    try:
        path = environment.inputs / Path(pattern).expanduser()
    except RuntimeError as error:
        raise InvalidFile(f"{pattern} can't be read: {error}") from None
    is_pattern = any(sign in pattern for sign in "*?[")
    try:
        if not is_pattern and not path.exists():
            raise missing_file_error(path, names=environment.readable is None)
    except OSError as error:  # such as a name that is longer than names can be
        raise InvalidFile(f"{path} can't be read: {error.strerror or error}") from error
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
        raise InvalidFile(f"{pattern} holds no {wanted}.", port="path")
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
