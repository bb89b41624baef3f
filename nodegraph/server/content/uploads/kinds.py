"""What may be uploaded, and what a file is by its bytes; what it calls itself doesn't count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from nodegraph.core.json_text import read_json
from nodegraph.core.text_format import format_excess
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile
from nodegraph.media.audio.audio_files import is_audio_header
from nodegraph.media.images.input_files import is_openraster
from nodegraph.media.molecules.molecule_files import molecule_format
from nodegraph.media.shapes.shape_files import shape_format
from nodegraph.media.videos.containers import MATROSKA
from nodegraph.media.videos.video_files import is_video_header
from nodegraph.server.http.errors import TooLarge, UnsupportedType
from nodegraph.server.http.limits.body import JsonGauge
from nodegraph.server.settings import UploadLimits, UploadType
from nodegraph.server.workflows.checks import check_size
from nodegraph.weights.safetensors_header import read_open_header

_DAY = 86_400.0
_PICTURES: tuple[tuple[UploadType, bytes], ...] = (
    ("png", b"\x89PNG\r\n\x1a\n"),
    ("jpeg", b"\xff\xd8\xff"),
    ("gif", b"GIF8"),
)
_AUDIO: Mapping[bytes, UploadType] = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg"}
_READ_BY_WORKERS: Mapping[UploadType, str] = {
    "ora": "application/x-openraster",
    "psd": "application/x-photoshop",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "glb": "model/gltf-binary",
    "ply": "model/ply",
    "obj": "model/obj",
    "sdf": "chemical/x-mdl-sdfile",
    "pdb": "chemical/x-pdb",
}
"""Media types of what is read by workers only, and for thumbnails in a process of its own."""
_HEAD = 4096
_LARGEST_HEADER = 16 << 20
"""Bytes of JSON before the weights in a safetensors file."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What may be uploaded, and how long it is kept.

    Attributes:
        types: What is taken in. Weights aren't, unless they are named here; pickle never is.
        bytes: Of one file.
        pixels: Of an image.
        json_bytes, json_depth, json_values, nodes: Of a workflow.
        held: Bytes of all uploads together.
        seconds: Without being used, after which an upload is deleted; None to keep it.
        spared_seconds: Without being used, before which it isn't deleted to make room either.
    """

    types: frozenset[UploadType] = frozenset(UploadLimits().types)
    bytes: int = 512 << 20
    pixels: int = 64_000_000
    json_bytes: int = 32 << 20
    json_depth: int = 64
    json_values: int = 1_000_000
    nodes: int = 10_000
    held: int = 20 << 30
    seconds: float | None = 30 * _DAY
    spared_seconds: float = 3_600.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is.

    Attributes:
        width, height: Of an image, in pixels.
    """

    type: UploadType
    media_type: str
    width: int | None = None
    height: int | None = None


class PickleRefused(UnsupportedType):
    """A file that runs code when it is opened."""

    code = "unsafe-file"


def recognise(file: BinaryIO, size: int, rules: UploadRules) -> Kind:
    """What a file is, if it may be uploaded.

    Raises:
        UnsupportedType: It is nothing that is taken in.
        InvalidFile, InvalidWorkflow: It is damaged, or not of its form.
        TooLarge: It has too many pixels, levels, values or nodes.
    """
    file.seek(0)
    head = file.read(_HEAD)
    file_type = _type(head)
    if file_type is None:
        _refuse_pickle(head)
    if file_type not in rules.types:
        raise UnsupportedType(
            "files of this type are not accepted"
            if file_type
            else "this is not a file of a known type",
            given=file_type,
            expected=", ".join(sorted(rules.types)),
            hint="Put models into a models folder instead." if file_type == "safetensors" else None,
        )
    if file_type in _READ_BY_WORKERS:
        return Kind(file_type, _READ_BY_WORKERS[file_type])
    if file_type == "workflow":
        _check_workflow(file, size, rules)
        return Kind(file_type, "application/json")
    file.seek(0)
    if file_type == "safetensors":
        read_open_header(file, size, "the file", most=_LARGEST_HEADER)
        return Kind(file_type, "application/vnd.safetensors")
    # The server's start has no use for Pillow.
    from nodegraph.server.content.files.pictures import read_picture

    picture = read_picture(file, pixels=rules.pixels)
    return Kind(file_type, picture.media_type, picture.width, picture.height)


def _type(head: bytes) -> UploadType | None:
    for kind, mark in _PICTURES:
        if head.startswith(mark):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if is_openraster(head):
        return "ora"
    if head.startswith(b"8BPS"):
        return "psd"
    if is_video_header(head):
        is_matroska = head.startswith(MATROSKA)
        return ("webm" if b"webm" in head[:64] else "mkv") if is_matroska else "mp4"
    if is_audio_header(head):
        return _AUDIO.get(head[:4], "mp3")
    if (shape := shape_format(head)) is not None:
        return shape
    molecule = molecule_format(head)
    if molecule in ("sdf", "pdb"):
        return molecule
    if head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < 1 << 40:
        return "safetensors"
    return "workflow" if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{" else None


def _refuse_pickle(head: bytes) -> None:
    """Tell of checkpoints in particular: people do try to bring these."""
    is_pickle = head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if is_pickle or head[:4] == b"PK\x03\x04":
        raise PickleRefused(
            "this looks like a pickle or an archive, which can run code when opened",
            hint="Convert the checkpoint to safetensors.",
        )


def _check_workflow(file: BinaryIO, size: int, rules: UploadRules) -> None:
    if size > rules.json_bytes:
        amount, most = format_excess(size, rules.json_bytes)
        raise TooLarge("the workflow is too large", given=amount, expected=f"at most {most}")
    file.seek(0)
    data = file.read(size)
    JsonGauge(rules.json_depth, rules.json_values).feed(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(f"this is not UTF-8 text (byte {error.start})") from error
    check_size(Workflow.from_dict(read_json(text)), rules.nodes)
