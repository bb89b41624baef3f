"""Input files: found by patterns, known by their first bytes, and errors of those that are no good.

Imports no torch.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nodegraph.core.file_access import is_readable
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidFile, InvalidValue

if TYPE_CHECKING:
    from nodegraph.core.context import Environment


def missing_file_error(path: Path, *, names: bool = True) -> InvalidFile:
    """The error that tells of a file that isn't there.

    Args:
        names: Whether it may name files like that one.
    """
    has_siblings = names and path.parent.is_dir()
    siblings = [item.name for item in path.parent.iterdir()] if has_siblings else []
    hint = did_you_mean(path.name, siblings)
    if not path.parent.is_dir():
        hint = f"There is no folder {path.parent}."
    return InvalidFile(f"there is no file {path}", hint=hint or None)


@contextmanager
def translate_os_errors(path: Path, *, names: bool = True) -> Iterator[None]:
    """What the system says of a file that is opened in the `with` is raised in words.

    Args:
        names: Whether these may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, or can't be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise missing_file_error(path, names=names) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidFile(f"cannot read {path}: {reason}") from error


def read_whole(path: Path, largest: int, *, names: bool = True) -> bytes:
    """All that is in a file.

    Args:
        largest: Bytes that it may have.
        names: See `opening`.
    Raises:
        InvalidFile: It is missing, too large, or can't be read.
    """
    with translate_os_errors(path, names=names), path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise InvalidFile(f"{path} is too large", expected=f"at most {format_size(largest)}")
    return data


OPENRASTER = b"image/openraster"
"""Content of the first file in an OpenRaster archive."""


def is_openraster(start: bytes) -> bool:
    """Whether a file is an OpenRaster file, by its first 64 bytes."""
    return start.startswith(b"PK\x03\x04") and start[30:].startswith(b"mimetype" + OPENRASTER)


_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"ID3", "music (MP3)"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)
_PICTURES = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"qoif", "QOI"),
)
PICTURE_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)
"""Of images in the container that MP4 has, too; of those that name several, the first here."""
_MARKUP = (
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"{", "JSON"),
)


def guess_file_kind(path: Path) -> str:
    """What a file might be that isn't what was expected, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return "an empty file"
    for beginning, title in _BEGINNINGS:
        if start.startswith(beginning):
            return title
    kind = _picture_kind(start)
    if kind is not None:
        return f"an image ({kind})"
    if start[4:8] == b"ftyp":
        return "a video (MP4)"
    if start.startswith(b"RIFF"):
        return "sound (WAV)" if start[8:12] == b"WAVE" else "a video (AVI)"
    text = start.lstrip().lower()
    for beginning, title in _MARKUP:
        if text.startswith(beginning):
            return title
    return "plain text" if _is_text(start) else "unknown binary data"


_SHOWN = 40
_LARGEST_TEXT = 96 << 20
"""Characters of an image as a text: 72 MB as a file."""
_DATA_URL = re.compile(r"data:([^,]{0,200}),")
_BASE64_ALPHABET = str.maketrans("-_", "+/", " \t\r\n")
LEFT_OUT = "left out: "
"""Beginning of what stands for a binary text in the workflow of a saved image."""


def decode_base64(text: str, port: str) -> bytes:
    """Return the bytes of a base64 text or a data URL. Line breaks and padding don't matter.

    Raises:
        InvalidValue: On the port: it is neither, is empty or too large, or was left out.
    """
    if text.startswith(LEFT_OUT):
        raise InvalidValue(
            "the image was left out of the workflow in a saved file",
            port=port,
            given=text,
            hint="Put the text of the image in again.",
        )
    expected = "base64 text, or a data URL: data:image/png;base64,…"
    if text.startswith(("http://", "https://")):
        raise InvalidValue(
            "this is an address, not an image as text",
            port=port,
            given=text[:_SHOWN],
            expected=expected,
        )
    if len(text) > _LARGEST_TEXT:
        raise InvalidValue(
            "the text of the image is too long",
            port=port,
            given=f"{len(text):,} characters",
            expected=f"at most {_LARGEST_TEXT:,}",
        )
    url = _DATA_URL.match(text)
    is_base64 = url is None or url[1].endswith(";base64")
    digits = text[url.end() if url else 0 :].translate(_BASE64_ALPHABET).rstrip("=")
    try:
        data = b64decode(digits + "=" * (-len(digits) % 4), validate=True) if is_base64 else b""
    except (BinasciiError, ValueError):
        data = b""
    if not data:
        raise InvalidValue(
            "the text is no base64", port=port, given=ascii(text[:_SHOWN]), expected=expected
        )
    return data


def image_format(path: Path) -> str | None:
    """The format of the image that a file is by its first bytes, as Pillow names it."""
    with path.open("rb") as file:
        return _picture_kind(file.read(512))


def _picture_kind(start: bytes) -> str | None:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:8] == b"ftyp":
        # The brand, its version, and others that it is true to.
        size = int.from_bytes(start[:4], "big")
        named = {start[at : at + 4] for at in (8, *range(16, min(size, len(start)), 4))}
        return next((kind for brand, kind in PICTURE_BRANDS.items() if brand in named), None)
    return next((kind for beginning, kind in _PICTURES if start.startswith(beginning)), None)


def _is_text(start: bytes) -> bool:
    decoded = start.decode("utf-8", errors="replace")
    return sum(letter.isprintable() or letter.isspace() for letter in decoded) > 0.95 * len(decoded)


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
