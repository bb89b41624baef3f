"""A dataset of the pictures of a folder, with the texts and tables beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodegraph.core.confinement import is_readable
from nodegraph.core.dataset_values import Dataset, Example, ExampleFile, Split
from nodegraph.errors import InvalidFile
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.folder_files import FolderFiles, find_files
from nodegraph.media.datasets.pictures import example_file
from nodegraph.media.datasets.tables import TableRow, find_split, read_rows, read_text

if TYPE_CHECKING:
    from nodegraph.core.context import Environment

FolderMeaning = Literal["splits and labels", "labels", "repeats", "nothing"]
"""What the names of sub-folders say; ``repeats`` as in ``10_sks dog`` of kohya's scripts."""
CaptionSource = Literal["if there", "required", "file names", "none"]
_REPEATED = re.compile(r"(\d{1,4})_(.+)")


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """How a folder is read.

    Attributes:
        folders: What the names of sub-folders say.
        captions: Where captions come from: texts and tables ``if there``, or an error without
            one where ``required``.
        recursive, mask_suffix: See `find_files`.
        min_side: Pixels that the shorter side of a picture must have.
        decode: Whether each is decoded once, which finds those that are damaged.
    """

    folders: FolderMeaning = "splits and labels"
    captions: CaptionSource = "if there"
    recursive: bool = True
    mask_suffix: str = "_mask"
    min_side: int = 0
    decode: bool = True


def read_folder(
    pattern: str,
    environment: Environment,
    options: FolderOptions,
    faults: DatasetFaults,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Dataset:
    """The dataset of a folder.

    Args:
        pattern: A folder, or a path with ``*``, ``?`` or ``**``; relative ones start from the
            inputs folder.
        on_progress: Told how many pictures of how many were looked at.
    Raises:
        InvalidFile: There is no such folder, nothing in it can be used, or something can't and is
            to be refused.
    """
    files = find_files(
        pattern, environment, recursive=options.recursive, mask_suffix=options.mask_suffix
    )
    for path, why in files.unusable:
        faults.add(_relative_name(path, files), why)
    rows = dict(_rows(files, environment, faults))
    examples: list[Example] = []
    named: dict[str, Path] = {}
    masks = {Path(row.mask) for row in rows.values() if row.mask}
    for at, path in enumerate(files.pictures):
        if path in masks:
            continue
        with faults.collect(_relative_name(path, files), files.base):
            example = _example(path, files, rows.get(path), options, environment)
            if other := named.get(example.name):
                raise InvalidFile(f"it bears the name of {other.name}, but for the suffix")
            named[example.name] = path
            examples.append(example)
        on_progress(at + 1, len(files.pictures))
    faults.check(len(examples), pattern)
    return Dataset(tuple(examples), files.base.name)


def _relative_name(path: Path, files: FolderFiles) -> str:
    return path.relative_to(files.base).as_posix()


def _rows(
    files: FolderFiles, environment: Environment, faults: DatasetFaults
) -> Iterator[tuple[Path, TableRow]]:
    """What tables say, by the picture; a table deeper down counts more."""
    pictures = set(files.pictures)
    for table in sorted(files.tables, key=lambda path: len(path.parts)):
        shown = _relative_name(table, files)
        with faults.collect(shown, files.base):
            for row in read_rows(table):
                if isinstance(row, InvalidFile):
                    faults.add(shown, row.problem.message.replace(str(table), shown))
                    continue
                path = table.parent / row.file
                if path in pictures:
                    yield path, _resolve_mask_path(row, table.parent)
                elif why := _why_missing(path, row, files, environment):
                    faults.add(shown, f"{row.file}: {why}")


def _resolve_mask_path(row: TableRow, folder: Path) -> TableRow:
    """The row with its mask's whole path; like the picture's, it starts from the table."""
    return row._replace(mask=os.path.normpath(folder / row.mask)) if row.mask else row


def _why_missing(
    path: Path, row: TableRow, files: FolderFiles, environment: Environment
) -> str | None:
    if Path(row.file).is_absolute() or ".." in Path(row.file).parts:
        return "it leads out of the folder"
    if not is_readable(str(path), environment):
        return "it may not be read here"
    # One that the pattern leaves out is none of this dataset, but no fault.
    is_known = any(path == each for each, _ in files.unusable)
    return None if path.is_file() or is_known else "there is no such file"


def _example(
    path: Path,
    files: FolderFiles,
    row: TableRow | None,
    options: FolderOptions,
    environment: Environment,
) -> Example:
    most, names = environment.max_image_pixels, environment.readable is None
    kept = example_file(path, max_pixels=most, names=names)
    if min(kept.width, kept.height) < options.min_side:
        raise InvalidFile(
            "it is too small",
            given=f"{kept.width} x {kept.height} pixels",
            expected=f"sides of {options.min_side} at least",
        )
    if options.decode:
        from nodegraph.media.images.images import read_image

        read_image(path, max_pixels=most, names=names)
    relative_path = path.relative_to(files.base)
    split, label, repeats = _labels_from_folders(relative_path.parts[:-1], options.folders)
    row = row or TableRow("")
    return Example(
        kept,
        relative_path.with_suffix("").as_posix(),
        _caption(path, files, row, options.captions),
        row.tags,
        label if row.label is None else row.label,
        row.split or split,
        _mask(path, files, row, environment),
        row.boxes,
        repeats=repeats * row.repeats,
        weight=row.weight,
    )


def _labels_from_folders(parts: tuple[str, ...], meaning: FolderMeaning) -> tuple[Split, str, int]:
    """Split, label and repeats that the folders on the way to a picture say."""
    split: Split = "train"
    if not parts or meaning == "nothing":
        return split, "", 1
    if meaning == "repeats":
        match = _REPEATED.fullmatch(parts[-1])
        return (split, match[2], int(match[1])) if match else (split, parts[-1], 1)
    if meaning == "splits and labels" and (named := find_split(parts[0])):
        split, parts = named, parts[1:]
    return split, parts[-1] if parts else "", 1


def _caption(path: Path, files: FolderFiles, row: TableRow, source: CaptionSource) -> str:
    if source == "none":
        return ""
    if source == "file names":
        return re.sub(r"[\s_-]+", " ", path.stem).strip()
    text = files.captions.get(path)
    caption = row.caption if row.caption or text is None else " ".join(read_text(text).split())
    if source == "required" and not caption:
        raise InvalidFile(f"it has no caption: neither a table nor a {path.stem}.txt has one")
    return caption or ""


def _mask(
    path: Path, files: FolderFiles, row: TableRow, environment: Environment
) -> ExampleFile | None:
    mask = files.masks.get(path)
    if row.mask:
        mask = Path(row.mask)
        if not mask.resolve().is_relative_to(files.base.resolve()):
            raise InvalidFile(f"its mask {mask.name} leads out of the folder")
        if not is_readable(str(mask), environment):
            raise InvalidFile(f"its mask {mask.name} may not be read here")
    if mask is None:
        return None
    most, names = environment.max_image_pixels, environment.readable is None
    return example_file(mask, max_pixels=most, names=names)
