"""The library c2pa-python: its import, its settings, and the files that it reads.

Nothing here uses the network: manifests and revocation lists elsewhere are not fetched. Only a time
stamp authority is asked, if a signature names one.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.input_files import translate_os_errors

SIDECAR = ".c2pa"
"""Suffix of a file with the manifest of another: ``mesh.glb.c2pa``."""
ANY_TYPE = "application/octet-stream"
"""Media type of files that the library can't embed a manifest in."""
LARGEST_MANIFEST = 32 << 20
"""Bytes of a manifest store that is read; real ones, with thumbnails, have less than one."""
_SUPERBOX = b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
"""Start of the description of a C2PA manifest store: ISO 19566-5 (JUMBF), UUID of C2PA 11.1.4."""
_HEADERS = 12
"""Bytes between the store's length and its description: two lengths and the type ``jumb``."""
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/avi"}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"mif1"), "image/heic"),
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
}


def is_c2pa_installed() -> bool:
    """Return whether the extra ``c2pa`` is installed; imports nothing."""
    return find_spec("c2pa") is not None


def load_c2pa() -> Any:
    """Import the library.

    Raises:
        InvalidValue: It is not installed.
    """
    if not is_c2pa_installed():
        raise InvalidValue(
            "Content Credentials need the package c2pa-python, which is not installed",
            hint="Run `pip install 'nodegraph[c2pa]'`.",
        )
    import c2pa

    return c2pa


def open_context(trusted: Sequence[str] = ()) -> Any:
    """Return the library's context: no network, no thumbnails.

    Args:
        trusted: Certificates in PEM whose signatures, and those of whom they certify, are trusted.
    Raises:
        InvalidFile: One of them is no certificate.
    """
    c2pa = load_c2pa()
    settings: dict[str, Any] = {
        # A file names any address. Whoever opens it must not visit that.
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
        "builder": {"thumbnail": {"enabled": False}},
    }
    if trusted:
        settings["trust"] = {"user_anchors": "\n".join(trusted)}
    try:
        return c2pa.Context(c2pa.Settings.from_dict(settings))
    except c2pa.C2paError as error:
        raise InvalidFile(
            f"the trusted certificates can't be read: {error}", expected="certificates in PEM"
        ) from error


def media_type(start: bytes) -> str:
    """Return the media type of a file by its first 12 bytes; `ANY_TYPE` of others.

    Others are those that a manifest can't be embedded in: meshes, Matroska, Ogg, weights.
    """
    for signature, kind in _IMAGES:
        if start.startswith(signature):
            return kind
    if start[:4] == b"RIFF":
        return _RIFF.get(start[8:12], ANY_TYPE)
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], "video/mp4")
    # A frame of MPEG audio, layer 3: eleven set bits, then version and layer.
    if len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2:
        return "audio/mpeg"
    return ANY_TYPE


def sidecar_of(path: Path) -> Path | None:
    """Return the file beside another that has its manifest; None without one."""
    for candidate in (path.with_name(path.name + SIDECAR), path.with_suffix(SIDECAR)):
        if candidate != path and candidate.is_file():
            return candidate
    return None


def embedded_size(path: Path) -> int:
    """Return the bytes of the manifest store embedded in a file; 0 without one.

    Only the mark of a store is searched, so this costs no more than reading the file.

    Raises:
        InvalidFile: The file can't be read.
    """
    with translate_os_errors(path), path.open("rb") as file:
        if not path.stat().st_size:
            return 0
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            at = data.find(_SUPERBOX)
            if at < _HEADERS:
                return 0
            return int.from_bytes(data[at - _HEADERS : at - _HEADERS + 4], "big") or len(data) - at


def has_credentials(path: Path) -> bool:
    """Return whether a file carries a manifest, or one lies beside it. Needs no library.

    Raises:
        InvalidFile: The file can't be read.
    """
    return bool(embedded_size(path)) or sidecar_of(path) is not None


def check_manifest_size(size: int) -> None:
    """Refuse a manifest store that nobody would write.

    Raises:
        InvalidFile: It is larger than `LARGEST_MANIFEST` bytes.
    """
    if size > LARGEST_MANIFEST:
        raise InvalidFile(
            "the file's C2PA manifest is too large to be checked",
            given=f"{size:,} bytes",
            expected=f"at most {LARGEST_MANIFEST:,} bytes",
        )
