"""Texts that images carry: in text chunks, EXIF, XMP, comments, and in their transparency.

nodegraph writes its own, such as the workflow, with `encode_with_texts`. Other tools write theirs
in these places:

- PNG text chunks: all of them.
- The user comment of EXIF: A1111, Fooocus, SwarmUI and Civitai in JPEG, WebP and AVIF, returned as
  ``parameters``.
- XMP: Draw Things, returned as ``xmp`` where PNG does not have a text chunk for it.
- The lowest bits of the alpha channel: NovelAI, and extensions of A1111.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, PngImagePlugin

from nodegraph.core.manifest import VERSION_KEY, WORKFLOW
from nodegraph.core.version import VERSION
from nodegraph.media.images.extended_xmp import xmp_texts
from nodegraph.media.images.images import (
    ASCII,
    DESCRIPTION,
    EXIF_IFD,
    OPAQUE_HINT,
    PARAMETERS,
    USER_COMMENT,
    ImageFormat,
    check_pixels,
    encode_image_file,
    is_transparent,
    open_image,
)
from nodegraph.media.images.pillow_files import DAMAGED, read_png_metadata

if TYPE_CHECKING:
    from torch import Tensor

XMP = "xmp"
"""Name of an XMP packet."""
_TAGGED = frozenset(("prompt", "workflow", "manifest", "nodegraph"))
_MODEL, _MAKER_NOTE = 0x0110, 0x927C
_LARGEST = 16 << 20
"""Bytes of one foreign text, and characters that hidden ones may unpack to."""
_MAX_HIDDEN_PIXELS = 1 << 26
"""Pixels of images that are decoded to look for hidden texts."""
_GENERATORS = frozenset(
    ("workflow", "prompt", PARAMETERS, "Comment", "comment", "invokeai_metadata", "sd-metadata")
)
"""Names of texts by which an image needs no others."""


def read_metadata(path: Path) -> dict[str, str]:
    """Read the texts that nodegraph, ComfyUI and other tools store in an image; empty without any.

    Images may have any size: pixels are read only of transparent ones of at most 64 million, whose
    alpha channel may hide texts.

    Raises:
        InvalidFile: It is missing or not an image.
    """
    with open_image(path, None) as opened:
        try:
            if isinstance(opened, PngImagePlugin.PngImageFile):
                texts = _png_texts(path)
            else:
                texts = _other_texts(opened)
            if not texts.keys() & _GENERATORS:
                texts = {**_hidden_texts(opened, path), **texts}
        except DAMAGED:
            # A foreign comment is no fault of the image.
            return {}
    if OWN_WORKFLOW in texts:
        texts[WORKFLOW] = texts.pop(OWN_WORKFLOW)
    return texts


def _png_texts(path: Path) -> dict[str, str]:
    metadata = read_png_metadata(path)
    texts = {str(key): str(value) for key, value in metadata.im_text.items()}
    exif = metadata.im_info.get("exif")
    if isinstance(exif, bytes) and not texts.keys() & _GENERATORS:
        block = Image.Exif()
        block.load(exif)
        texts = {**_exif_texts(block), **texts}
    return texts


def _other_texts(opened: Image.Image) -> dict[str, str]:
    """Texts of JPEG, WebP, AVIF, GIF and TIFF."""
    texts: dict[str, str] = {}
    if opened.format == "GIF":
        texts = _own_texts(bytes(opened.info.get("comment", b"")).decode("utf-8", "replace"))
    elif opened.format == "TIFF":
        texts = _own_texts(str(opened.getexif().get(DESCRIPTION, "")))
    texts = texts or _exif_texts(opened.getexif())
    if opened.format in ("JPEG", "MPO"):
        texts |= xmp_texts(getattr(opened, "applist", ()))
    packet = opened.info.get("xmp")
    # Photographs have packets, too; only Draw Things writes settings there, as a user comment.
    if isinstance(packet, bytes) and b"UserComment" in packet[:_LARGEST]:
        texts.setdefault(XMP, packet.decode("utf-8", "replace"))
    comment = opened.info.get("comment")
    if opened.format == "JPEG" and isinstance(comment, bytes) and comment.lstrip()[:1] == b"{":
        texts.setdefault("comment", comment.decode("utf-8", "replace"))
    return texts


def _exif_texts(exif: Image.Exif) -> dict[str, str]:
    inner = exif.get_ifd(EXIF_IFD)
    comment = _decode_comment(inner.get(USER_COMMENT, b""))
    # A TIFF of nodegraph's has them in its description, which stays there in converted images.
    description = str(exif.get(DESCRIPTION, ""))
    texts = _tagged(exif) or _own_texts(comment) or _own_texts(description)
    if texts:
        return {**texts, PARAMETERS: comment} if "Steps:" in comment else texts
    # A camera's comment is none of them.
    is_settings = "Steps:" in comment or comment.lstrip().startswith("{")
    texts = {PARAMETERS: comment} if is_settings else {}
    note = inner.get(_MAKER_NOTE)
    if texts and note in (b"fooocus", b"a1111", "fooocus", "a1111"):
        texts["fooocus_scheme"] = note.decode() if isinstance(note, bytes) else str(note)
    legacy = exif.get(_MODEL)
    if not texts and isinstance(legacy, str) and legacy.lstrip().startswith("{"):
        texts[PARAMETERS] = legacy.rstrip("\0")  # SwarmUI's first versions
    return texts


def _own_texts(comment: str) -> dict[str, str]:
    """The texts in a comment of nodegraph's, which is JSON with nothing but texts."""
    try:
        texts = json.loads(comment) if comment.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        return {}
    return {} if {"prompt", "negative_prompt"} <= texts.keys() else texts


def _tagged(exif: Image.Exif) -> dict[str, str]:
    """Texts that stand in EXIF as ``prompt:{…}``, in one of its tags or another."""
    texts = {}
    for value in exif.values():
        name, colon, text = value.partition(":") if isinstance(value, str) else ("", "", "")
        if colon and name.lower() in _TAGGED:
            texts[name.lower()] = text.rstrip("\0")
    return texts


def _decode_comment(value: object) -> str:
    """A user comment, whose first eight bytes name the encoding."""
    if isinstance(value, str):
        return value.rstrip("\0")
    data = bytes(value) if isinstance(value, (bytes, bytearray, tuple)) else b""
    if len(data) > _LARGEST:
        return ""
    if data.startswith(b"UNICODE"):
        return _decode_utf16(data[8:]).rstrip("\0")
    text = data.removeprefix(ASCII)
    return text.removeprefix(b"\0" * 8).decode("utf-8", "replace").rstrip("\0")


def _decode_utf16(data: bytes) -> str:
    """UTF-16 of either byte order: the standard does not say which, and writers differ."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    start = data[:2000]
    # Of most scripts the high bytes are equal, mostly 0.
    is_big = start[::2].count(0) >= start[1::2].count(0)
    return data.decode("utf-16-be" if is_big else "utf-16-le", "replace")


_PACKED, _PLAIN = b"stealth_pngcomp", b"stealth_pnginfo"
_HEADER = len(_PACKED) + 4


def _hidden_texts(opened: Image.Image, path: Path) -> dict[str, str]:
    """Texts in the lowest bits of the alpha channel, column by column."""
    width, height = opened.size
    if opened.mode != "RGBA" or width * height > _MAX_HIDDEN_PIXELS:
        return {}
    check_pixels(opened, path, _MAX_HIDDEN_PIXELS)
    alpha = np.asarray(opened.getchannel("A"), np.uint8)
    bits = (alpha & 1).T.reshape(-1)
    header = np.packbits(bits[: _HEADER * 8]).tobytes()
    if len(header) < _HEADER or not header.startswith((_PACKED, _PLAIN)):
        return {}
    length = int.from_bytes(header[-4:], "big") // 8
    body = np.packbits(bits[_HEADER * 8 : (_HEADER + min(length, _LARGEST)) * 8]).tobytes()
    if len(body) < length:
        return {}  # a length that no pixels are left for
    text = _unpacked(body) if header.startswith(_PACKED) else body.decode("utf-8", "replace")
    return _named_texts(text)


def _unpacked(body: bytes) -> str:
    try:
        with gzip.GzipFile(fileobj=BytesIO(body)) as file:
            data = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error):
        return ""
    return data.decode("utf-8", "replace") if len(data) <= _LARGEST else ""


def _named_texts(text: str) -> dict[str, str]:
    """Hidden texts by name: NovelAI's are JSON, others are a text of A1111's form."""
    document: Any = None
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
    if not isinstance(document, Mapping):
        return {PARAMETERS: text} if text.strip() else {}
    return {
        str(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in document.items()
    }


OWN_WORKFLOW = "nodegraph_workflow"
"""Name of the workflow in an image made for a client of ComfyUI, whose own is at `WORKFLOW`."""
_CHUNK_NAME = re.compile(r"[A-Za-z0-9_.-]{1,79}")


def encode_with_texts(
    image: Tensor,
    texts: Mapping[str, str],
    format: ImageFormat = "png",
    quality: int = 95,
    *,
    bits: int = 8,
    warn: Callable[[str], None] | None = None,
    client: object = None,
) -> bytes:
    """An image as the bytes of a file that holds texts.

    Args:
        texts: By name, see `core.context.Context.file_metadata`. `PARAMETERS` is the settings in
            A1111's form.
        bits: Of each channel.
        warn: Called with what the format cannot hold: transparency.
        client: Texts by name that a client of ComfyUI's sent; only PNG holds them.
    Raises:
        InvalidValue: See `encode_image_file`.
    """
    if warn is not None and format == "jpeg" and is_transparent(image):
        warn(f"JPEG has no transparency, so it is dropped. {OPAQUE_HINT}")
    if format == "png":
        texts = _with_client_texts(texts, client)
    return encode_image_file(image, format, texts, quality, bits=bits)


def _with_client_texts(texts: Mapping[str, str], metadata: object) -> dict[str, str]:
    """The texts of an image, with those that a client sent to be kept in files.

    Other tools open the image by these, such as ComfyUI's page.
    """
    client_texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in (metadata.items() if isinstance(metadata, Mapping) else ())
        if isinstance(name, str) and _CHUNK_NAME.fullmatch(name)
    }
    own = dict(texts)
    if WORKFLOW in client_texts and WORKFLOW in own:
        own[OWN_WORKFLOW] = own.pop(WORKFLOW)
    return {**client_texts, **own}


def workflow_metadata(workflow: Mapping[str, Any]) -> dict[str, str]:
    """The texts that a file carries by which it can be made again, by name.

    Args:
        workflow: As it ran; left out if empty.
    """
    # In ASCII, with escapes, which every reader of PNG texts and EXIF understands.
    text = {WORKFLOW: json.dumps(dict(workflow))} if workflow else {}
    return {**text, VERSION_KEY: VERSION}
