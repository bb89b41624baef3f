"""Images in folders, found by patterns. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodegraph.core.file_access import is_readable
from nodegraph.errors import InvalidFile
from nodegraph.media.images.memory_checks import check_memory

if TYPE_CHECKING:
    from nodegraph.core.context import Environment

PictureOrder = Literal["name", "oldest first", "newest first"]
MEDIA_TYPES: Mapping[str, str] = {
    ".png": "image/png",
    ".apng": "image/apng",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jfif": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".ppm": "image/x-portable-pixmap",
    ".pgm": "image/x-portable-graymap",
    ".qoi": "image/qoi",
    ".tga": "image/x-tga",
}
"""Of files that are taken for images, by suffix."""
_MOST = 100_000
"""Files that are looked at."""
_DIGITS = re.compile(r"(\d+)")


def find_pictures(
    pattern: str, environment: Environment, order: PictureOrder = "name"
) -> list[Path]:
    """Images in a folder, or those that a pattern fits.

    What may not be read isn't found, wherever links lead. Files whose names begin with a dot don't
    count.

    Args:
        pattern: A folder, or a path with ``*``, ``?``, ``[a-z]`` or ``**``; relative ones start
            from the inputs folder.
    Raises:
        InvalidFile: There is no such folder, it holds too many files, or no image.
    """
    paths = [
        path
        for path in matching_paths(pattern, environment)
        if path.suffix.lower() in MEDIA_TYPES
        and not path.name.startswith(".")
        and path.is_file()
        and is_readable(str(path), environment)
    ]
    if not paths:
        raise InvalidFile(
            f"no image matches {pattern}",
            expected="a folder, or a pattern, for example photos/*.png",
        )
    if order == "name":
        return sorted(paths, key=lambda path: _natural(str(path)))
    by_time = sorted(paths, key=lambda path: (path.stat().st_mtime_ns, str(path)))
    return by_time if order == "oldest first" else by_time[::-1]


def check_folder_memory(files: Sequence[Path], *, max_pixels: int, names: bool = True) -> None:
    """Refuse images that take more memory together than there is, before one is decoded.

    Args:
        max_pixels: Of each.
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: One is damaged, or no image.
        InvalidValue: They are too large together.
    """
    from nodegraph.media.images.images import picture_size

    sizes = [picture_size(file, max_pixels=max_pixels, names=names) for file in files]
    pixels = sum(width * height for width, height in sizes)
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    # Three channels and the mask, as float32.
    check_memory(width, height, len(sizes), 16 * pixels, port="path")


def matching_paths(pattern: str, environment: Environment) -> Iterator[Path]:
    """All that lies in a folder, or that a pattern fits, in no order; links to folders stay shut.

    Args:
        pattern: See `find_pictures`.
    Raises:
        InvalidFile: There is no such folder, it may not be read, or holds too many files.
    """
    try:
        whole = environment.inputs / Path(pattern).expanduser()
    except RuntimeError as error:
        raise InvalidFile(f"{pattern} cannot be read: {error}") from None
    folder, glob_pattern = whole, "*"
    if not whole.is_dir():
        parts = whole.parts
        first = next((at for at, part in enumerate(parts) if re.search(r"[*?\[]", part)), None)
        if first is None:
            if whole.is_file():
                return iter((whole,))
            raise InvalidFile(f"there is no folder {whole}")
        folder, glob_pattern = Path(*parts[:first]), str(Path(*parts[first:]))
        if ".." in parts[first:]:
            raise InvalidFile(f"{pattern} contains links that lead back to itself")
    if not is_readable(str(folder), environment):
        # Nor is it looked through.
        raise InvalidFile(f"reading {pattern} is not allowed")
    looked = list(islice(folder.glob(glob_pattern), _MOST + 1))
    if len(looked) > _MOST:
        raise InvalidFile(f"{pattern} matches more than {_MOST:,} files")
    return iter(looked)


def _natural(text: str) -> list[tuple[int, str]]:
    """What sorts ``2`` before ``10``."""
    return [
        (int(part), "") if part.isdigit() else (-1, part.lower())
        for part in _DIGITS.split(text)
        if part
    ]
