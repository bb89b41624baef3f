"""Datasets of image folders: find files, captions, masks and tables, and read them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodegraph.core.file_access import is_readable
from nodegraph.core.training_values import Dataset, Example, ExampleFile, Split
from nodegraph.errors import InvalidFile
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.image_folder import TableRow, find_split, read_rows, read_text
from nodegraph.media.datasets.reading import example_file
from nodegraph.media.images.input_files import MEDIA_TYPES, matching_paths

if TYPE_CHECKING:
    from nodegraph.core.context import Environment

CAPTION_SUFFIXES = (".txt", ".caption")
TABLE_NAMES = ("metadata.jsonl", "metadata.csv", "captions.csv", "labels.csv")


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """What a folder, or a pattern, holds.

    Attributes:
        base: The folder that names start from.
        pictures: Sorted by name.
        masks: Of the images that have one.
        captions: Texts beside images.
        tables: Of all folders with images, and of `base`.
        unusable: What can't be looked at, and why.
    """

    base: Path
    pictures: tuple[Path, ...]
    masks: dict[Path, Path]
    captions: dict[Path, Path]
    tables: tuple[Path, ...]
    unusable: tuple[tuple[Path, str], ...]

    @property
    def all(self) -> Iterator[Path]:
        """Every file that is read."""
        yield from self.pictures
        yield from self.masks.values()
        yield from self.captions.values()
        yield from self.tables


def find_files(
    pattern: str, environment: Environment, *, recursive: bool = True, mask_suffix: str = "_mask"
) -> FolderFiles:
    """The files of a dataset.

    Links to folders aren't followed, so a loop of them is harmless.

    Args:
        pattern: A folder, or a path with ``*``, ``?`` or ``**``.
        recursive: Whether a folder's own folders count.
        mask_suffix: What the name of an image's mask has behind the image's; empty for none.
    Raises:
        InvalidFile: There is no such folder, it may not be read, or holds too many files.
    """
    base = base_folder(pattern, environment)
    is_folder = (environment.inputs / Path(pattern).expanduser()).is_dir()
    whole = str(Path(pattern) / "**" / "*") if recursive and is_folder else pattern
    candidates = sorted(
        path for path in matching_paths(whole, environment) if _may_be_picture(path)
    )
    unusable = tuple(
        (path, why) for path in candidates if (why := _unreadable_reason(path, environment))
    )
    left_out = {path for path, _ in unusable}
    kept = [path for path in candidates if path not in left_out]
    masks = _masks(kept, mask_suffix)
    are_masks = set(masks.values())
    pictures = tuple(path for path in kept if path not in are_masks)
    folders = sorted({base, *(path.parent for path in pictures), *_folders_between(base, pictures)})
    return FolderFiles(
        base,
        pictures,
        masks,
        {path: text for path in pictures if (text := _caption_path(path, environment))},
        tuple(
            table
            for folder in folders
            for name in TABLE_NAMES
            if (table := folder / name).is_file() and is_readable(str(table), environment)
        ),
        unusable,
    )


def base_folder(pattern: str, environment: Environment) -> Path:
    """The part of a pattern before its first sign that stands for others."""
    parts = (environment.inputs / Path(pattern).expanduser()).parts
    first = next((at for at, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    base = Path(*parts[:first])
    return base if first < len(parts) or not base.is_file() else base.parent


def _may_be_picture(path: Path) -> bool:
    return (
        path.suffix.lower() in MEDIA_TYPES and not path.name.startswith(".") and not path.is_dir()
    )


def _unreadable_reason(path: Path, environment: Environment) -> str:
    """Why a file can't be looked at; empty if it can."""
    if path.is_symlink() and not path.exists():
        return "it is a broken or circular link"
    if not path.is_file():
        return "it is not a file but a device or a pipe"
    return "" if is_readable(str(path), environment) else "reading it is not allowed"


def _masks(paths: list[Path], suffix: str) -> dict[Path, Path]:
    if not suffix:
        return {}
    by_stem = {path.with_suffix(""): path for path in reversed(paths)}
    masks = {}
    for path in paths:
        owner = path.stem.removesuffix(suffix)
        if owner != path.stem and (picture := by_stem.get(path.with_name(owner))):
            masks[picture] = path
    return masks


def _caption_path(picture: Path, environment: Environment) -> Path | None:
    for suffix in CAPTION_SUFFIXES:
        text = picture.with_suffix(suffix)
        if text.is_file() and is_readable(str(text), environment):
            return text
    return None


def _folders_between(base: Path, pictures: tuple[Path, ...]) -> Iterator[Path]:
    """Folders on the way from the base to images."""
    for folder in {path.parent for path in pictures}:
        yield from (each for each in folder.parents if each.is_relative_to(base))


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
        min_side: Pixels that the shorter side of an image must have.
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
        on_progress: Told how many images of how many were looked at.
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
                raise InvalidFile(f"it has the same name as {other.name} without the suffix")
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
    """What tables say, by the image; a table deeper down counts more."""
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
    """The row with its mask's whole path; like the image's, it starts from the table."""
    return row._replace(mask=os.path.normpath(folder / row.mask)) if row.mask else row


def _why_missing(
    path: Path, row: TableRow, files: FolderFiles, environment: Environment
) -> str | None:
    if Path(row.file).is_absolute() or ".." in Path(row.file).parts:
        return "it is outside the folder"
    if not is_readable(str(path), environment):
        return "reading it is not allowed"
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
            expected=f"sides of at least {options.min_side}",
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
    """Split, label and repeats that the folders on the way to an image say."""
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
        raise InvalidFile(f"it has no caption in a table and no {path.stem}.txt")
    return caption or ""


def _mask(
    path: Path, files: FolderFiles, row: TableRow, environment: Environment
) -> ExampleFile | None:
    mask = files.masks.get(path)
    if row.mask:
        mask = Path(row.mask)
        if not mask.resolve().is_relative_to(files.base.resolve()):
            raise InvalidFile(f"its mask {mask.name} is outside the folder")
        if not is_readable(str(mask), environment):
            raise InvalidFile(f"reading its mask {mask.name} is not allowed")
    if mask is None:
        return None
    most, names = environment.max_image_pixels, environment.readable is None
    return example_file(mask, max_pixels=most, names=names)
