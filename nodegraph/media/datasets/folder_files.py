"""Which files of a folder make a dataset, found without opening one. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.core.confinement import is_readable
from nodegraph.media.images.picture_folders import MEDIA_TYPES, matching_paths

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
        masks: Of the pictures that have one.
        captions: Texts beside pictures.
        tables: Of all folders with pictures, and of `base`.
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
        mask_suffix: What the name of a picture's mask has behind the picture's; empty for none.
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
        return "it is a link that leads nowhere, or in a circle"
    if not path.is_file():
        return "it is no file but a device or a pipe"
    return "" if is_readable(str(path), environment) else "it may not be read here"


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
    """Folders on the way from the base to pictures."""
    for folder in {path.parent for path in pictures}:
        yield from (each for each in folder.parents if each.is_relative_to(base))
