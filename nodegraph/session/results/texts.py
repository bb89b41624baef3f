"""The texts that a file carries, whatever it is: by its workflow it can be made again.

What a file is, its bytes say; only where they could be anything (SMILES, OBJ) its name. Nothing is
decoded that the texts don't lie behind, and what is imported is what a kind needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import unescape
from pathlib import Path

from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidFile

HEAD = 64
"""Bytes by which a file is told."""
LARGEST = 64 << 20
"""Characters of all texts of a file; a small one can claim any size."""
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
_PLOT = b'"format": "nodegraph/plot/'
_SVG = b"<svg"
_LARGEST_PLOT = 16 << 20
"""Bytes of JSON or SVG."""


def result_texts(path: Path) -> Mapping[str, str] | None:
    """The texts that a result carries, by name; None of files that are no results.

    Images, videos, audio, meshes, points, molecules, plots and latents are.

    Raises:
        InvalidFile: It is damaged, can't be read, or has more text than anybody writes.
        OSError: It can't be opened.
    """
    with path.open("rb") as file:
        start = file.read(HEAD)
    texts = _texts_in(path, start)
    if texts is not None and sum(map(len, texts.values())) > LARGEST:
        raise InvalidFile(f"{path} has too much text", expected=f"at most {LARGEST:,} characters")
    return texts


def is_plot(start: bytes) -> bool:
    """Whether JSON is a plot's, by its beginning."""
    return _PLOT in start


def _texts_in(path: Path, start: bytes) -> Mapping[str, str] | None:
    from nodegraph.media.audio.audio_files import audio_texts, is_audio_header
    from nodegraph.media.molecules.molecule_files import READABLE_SUFFIXES, molecule_texts
    from nodegraph.media.shapes.shape_files import GLB, shape_texts
    from nodegraph.media.videos.video_files import is_video_header, video_texts
    from nodegraph.weights.file_kinds import SAFETENSORS, file_suffix

    suffix = path.suffix.lower()
    is_riff_picture = (start[:4], start[8:12]) == (b"RIFF", b"WEBP")
    is_avif = start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis")
    if start.startswith(_PICTURES) or is_riff_picture or is_avif:
        from nodegraph.media.images.embedded_texts import read_metadata

        return _only_texts(read_metadata(path))
    if is_video_header(start[:12]):
        return video_texts(path)
    if is_audio_header(start[:12]):
        return audio_texts(path)
    if start.startswith((GLB, b"ply")) or suffix == ".obj":
        return shape_texts(path)
    if suffix in READABLE_SUFFIXES:
        return molecule_texts(path)
    if file_suffix(path) == SAFETENSORS:
        from nodegraph.weights.safetensors_header import read_header

        return _only_texts(read_header(path).metadata)
    return _texts_of_plot(path, start)


def _texts_of_plot(path: Path, start: bytes) -> Mapping[str, str] | None:
    """Of a plot in JSON or SVG; None of anything else."""
    if not is_plot(start) and not start.startswith(_SVG):
        return None
    with path.open("rb") as file:
        data = file.read(_LARGEST_PLOT + 1)
    if len(data) > _LARGEST_PLOT:
        raise InvalidFile(f"{path} is too large", expected=f"at most {format_size(_LARGEST_PLOT)}")
    text = data.decode("utf-8", "replace")
    if start.startswith(_SVG):
        _, _, carried = text.rpartition("<metadata>")
        text = unescape(carried.partition("</metadata>")[0]) or "{}"
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{path} is damaged or truncated") from error
    return _only_texts(document) if isinstance(document, dict) else {}


def _only_texts(document: Mapping[str, object]) -> dict[str, str]:
    return {name: text for name, text in document.items() if isinstance(text, str)}
