"""OpenRaster files (ORA): a zip archive with a PNG of each layer and a description in XML.

Files may come from anyone: no name in the archive becomes a path, documents with a DTD are refused,
and sizes are checked before anything is decoded.

Source: OpenRaster specification, https://www.openraster.org.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from nodegraph.errors import InvalidFile
from nodegraph.media.images.input_files import OPENRASTER, guess_file_kind, translate_os_errors
from nodegraph.media.images.layers import (
    FARTHEST,
    MAX_DEPTH,
    MAX_LAYERS,
    Extent,
    Layer,
    LayerGroup,
    Layers,
    extent_box,
    joined_extent,
)
from nodegraph.media.images.memory_checks import check_memory
from nodegraph.media.images.resizing import MAX_SIDE

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from nodegraph.media.images.editing.compositing import BlendMode

_STACK, _MERGED, _THUMBNAIL = "stack.xml", "mergedimage.png", "Thumbnails/thumbnail.png"
_THUMBNAIL_SIDE = 256
_XMLNS = "urn:nodegraph:layers"
"""Namespace of the attributes that tell where the file's corner lies on the canvas."""
_OPS: Mapping[BlendMode, str] = {
    "normal": "svg:src-over",
    "multiply": "svg:multiply",
    "screen": "svg:screen",
    "overlay": "svg:overlay",
    "darken": "svg:darken",
    "lighten": "svg:lighten",
    "color dodge": "svg:color-dodge",
    "color burn": "svg:color-burn",
    "hard light": "svg:hard-light",
    "soft light": "svg:soft-light",
    "difference": "svg:difference",
    "add": "svg:plus",
    "hue": "svg:hue",
    "saturation": "svg:saturation",
    "color": "svg:color",
    "luminosity": "svg:luminosity",
    # The specification has no names for these.
    "exclusion": "krita:exclusion",
    "subtract": "krita:subtract",
    "divide": "krita:divide",
}
_MODES: Mapping[str, BlendMode] = {op: mode for mode, op in _OPS.items()} | {
    "svg:add": "add",
    "svg:exclusion": "exclusion",
    "krita:soft_light": "soft light",
}
_NO_TEXT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""
_LARGEST_XML = 8 << 20
_LARGEST_FLAT = 256 << 20
"""Bytes of the flattened image. Its texts come first."""
_MOST_ENTRIES = 4 * MAX_LAYERS
_PNG_HEAD = struct.Struct(">8s4x4sIIB")
_OVERHEAD = 1 << 20
"""Bytes of a PNG besides its pixels."""
_UNREADABLE = (
    BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What zipfile raises on damaged and encrypted archives."""


def encode_openraster(
    layers: Layers, bits: int = 8, metadata: Mapping[str, str] | None = None
) -> bytes:
    """Layers as the bytes of an OpenRaster file; the same layers give the same bytes.

    Layers that are scaled or rotated become pictures as they look on the canvas.

    Args:
        bits: Bits per channel of the pictures, 8 or 16.
        metadata: Texts by name, for the flattened image.
    Raises:
        InvalidValue: There are no layers, or they are too far apart.
    """
    from nodegraph.media.images.images import encode_image_file
    from nodegraph.media.images.layer_compositing import flatten_layers, rasterize
    from nodegraph.media.images.resizing import resize_image

    box = extent_box(layers.extent)
    flat = flatten_layers(layers, box)[0]
    lines: list[str] = []
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:

        def write(name: str, data: bytes, method: int = ZIP_STORED) -> None:
            # Without a date, the same layers give the same bytes.
            archive.writestr(ZipInfo(name), data, method)

        def add(items: tuple[Layer | LayerGroup, ...], indent: str) -> None:
            for item in reversed(items):  # the file has the top layer first
                if isinstance(item, LayerGroup):
                    lines.append(f'{indent}<stack isolation="isolate"{_attributes(item)}>')
                    add(item.items, indent + " ")
                    lines.append(f"{indent}</stack>")
                    continue
                x, y, picture = rasterize(item)
                name = f"data/layer{len(archive.namelist()) - 1:03}.png"
                write(name, encode_image_file(picture, bits=bits))
                at = f' src="{name}" x="{x - box.x}" y="{y - box.y}"'
                lines.append(f"{indent}<layer{at}{_attributes(item)}/>")

        write("mimetype", OPENRASTER)
        add(layers.items, "  ")
        head = f'<image version="0.0.3" w="{box.width}" h="{box.height}"'
        corner = f'xmlns:nodegraph="{_XMLNS}" nodegraph:x="{box.x}" nodegraph:y="{box.y}"'
        opened = ["<?xml version='1.0' encoding='UTF-8'?>", f"{head} {corner}>", " <stack>"]
        document = "\n".join([*opened, *lines, " </stack>", "</image>", ""])
        write(_STACK, document.encode(), ZIP_DEFLATED)
        write(_MERGED, encode_image_file(flat, metadata=metadata))
        if max(box.size) > _THUMBNAIL_SIDE:
            flat = resize_image(flat, _THUMBNAIL_SIDE, _THUMBNAIL_SIDE, fit="inside")
        write(_THUMBNAIL, encode_image_file(flat))
    return buffer.getvalue()


def _attributes(item: Layer | LayerGroup) -> str:
    values = {
        "name": _NO_TEXT.sub("", item.name),
        "opacity": repr(float(item.opacity)),
        "visibility": "visible" if item.visible else "hidden",
        "composite-op": _OPS[item.mode],
    }
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items())


@dataclass(slots=True)
class _Element:
    """Element of an XML document."""

    tag: str
    attributes: Mapping[str, str]
    children: list[_Element] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Picture:
    """PNG of a layer: its entry in the archive, and its size in pixels."""

    entry: ZipInfo
    width: int
    height: int


@dataclass(slots=True)
class _Document:
    """What an OpenRaster file describes, before any pixel is decoded.

    Attributes:
        stack: The root stack.
        x, y: Corner of the file on the canvas.
        pictures: The PNGs, by their names.
        left_out: Messages about parts that are not read.
    """

    stack: _Element
    x: int
    y: int
    pictures: dict[str, _Picture] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def read_openraster(
    path: Path, folder: Path, *, max_pixels: int, names: bool = True
) -> tuple[Layers, list[str]]:
    """Read the layers of an OpenRaster file.

    Args:
        folder: For temporary files.
        max_pixels: Of each layer.
        names: Whether an error may name files like one that is missing.
    Returns:
        The layers, and messages about what was left out.
    Raises:
        InvalidFile: It is missing, damaged, unsafe, or no OpenRaster file.
        InvalidValue: It needs more memory than available.
    """
    from nodegraph.media.images.images import read_image_bytes

    with _opened(path, names) as archive:
        document = _describe(archive, path, max_pixels)
        _check_size(document)
        images: dict[str, Tensor] = {}
        for name, picture in document.pictures.items():
            what = f"the layer {name} in {path}"
            data = _content(archive, picture.entry, picture.entry.file_size)
            image, _ = read_image_bytes(data, folder, what, alpha=True, max_pixels=max_pixels)
            images[name] = image[0]
    return Layers(tuple(_items(document, document.stack, images))), document.left_out


def openraster_extent(path: Path, *, max_pixels: int, names: bool = True) -> Extent | None:
    """The rectangle around all layers of a file, without decoding them; None without layers.

    Raises:
        InvalidFile, InvalidValue: As of `read_openraster`, as far as no pixels are read.
    """
    with _opened(path, names) as archive:
        document = _describe(archive, path, max_pixels)
        _check_size(document)
    return joined_extent(_extents(document, document.stack))


def openraster_texts(path: Path) -> dict[str, str]:
    """The texts of the flattened image in a file, by name.

    Raises:
        InvalidFile: It is damaged.
    """
    picture = _flat_picture(path, _MERGED)
    info = {} if picture is None else picture.info
    return {str(name): str(text) for name, text in info.items() if isinstance(text, str)}


def openraster_thumbnail(path: Path) -> Image.Image:
    """The small image of a file, at most 512 pixels wide and high.

    Raises:
        InvalidFile: It is damaged, or has none.
    """
    picture = _flat_picture(path, _THUMBNAIL)
    if picture is None or max(picture.size) > 512:
        raise InvalidFile(f"{path} has no small image", expected=_THUMBNAIL)
    return picture


def _flat_picture(path: Path, name: str) -> Image.Image | None:
    """A PNG in the archive that is no layer, of which only the header is read."""
    from PIL import Image

    from nodegraph.media.images.pillow_files import DAMAGED, allow_pixels

    with _opened(path, names=False) as archive:
        if name not in archive.namelist():
            return None
        data = _content(archive, archive.getinfo(name), _LARGEST_FLAT)
        try:
            with allow_pixels(math.inf):
                return Image.open(BytesIO(data), formats=("PNG",))
        except DAMAGED as error:
            raise InvalidFile(f"{name} in {path} is damaged: {error}") from error


@contextmanager
def _opened(path: Path, names: bool) -> Iterator[ZipFile]:
    """The archive; what zipfile raises on damaged ones becomes an `InvalidFile`."""
    with translate_os_errors(path, names=names):
        kind = guess_file_kind(path)
    try:
        with ZipFile(path) as archive:
            yield archive
    except _UNREADABLE as error:
        expected = "an OpenRaster file (.ora)"
        other = None if kind == "a zip archive" else kind
        raise InvalidFile(f"cannot read {path}: {error}", given=other, expected=expected) from error


def _describe(archive: ZipFile, path: Path, max_pixels: int) -> _Document:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(archive.infolist()) > _MOST_ENTRIES:
        raise InvalidFile(
            f"{path} has too many files in it",
            given=str(len(archive.infolist())),
            expected=f"at most {_MOST_ENTRIES}",
        )
    mime = entries.get("mimetype")
    if mime is None or _content(archive, mime, 64).strip() != OPENRASTER or _STACK not in entries:
        raise InvalidFile(
            f"{path} is no OpenRaster file", given="another zip archive", expected=".ora or .psd"
        )
    if entries[_STACK].file_size > _LARGEST_XML:
        raise InvalidFile(f"{_STACK} in {path} is too large", expected="at most 8 MiB")
    root = _parse(_content(archive, entries[_STACK], _LARGEST_XML), path)
    stack = next((child for child in root.children if child.tag == "stack"), None)
    if root.tag != "image" or stack is None:
        raise InvalidFile(f"{_STACK} in {path} describes no image with layers")
    attributes = root.attributes
    x, y = (_whole(attributes.get(f"nodegraph:{side}", "0"), path) for side in ("x", "y"))
    document = _Document(stack, x, y)
    elements = list(_layers(stack))
    if len(elements) > MAX_LAYERS:
        raise InvalidFile(
            f"{path} has too many layers",
            given=str(len(elements)),
            expected=f"at most {MAX_LAYERS}",
        )
    for element in elements:
        name = element.attributes.get("src", "")
        if name not in document.pictures:
            document.pictures[name] = _picture(archive, entries, name, path, max_pixels)
        for side in ("x", "y"):
            _whole(element.attributes.get(side, "0"), path)
    return document


def _layers(stack: _Element) -> Iterator[_Element]:
    for child in stack.children:
        if child.tag == "stack":
            yield from _layers(child)
        elif child.tag == "layer":
            yield child


def _content(archive: ZipFile, entry: ZipInfo, most: int) -> bytes:
    """The first bytes of an entry, in bounded memory: its stream may hold more than it says."""
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise BadZipFile(f"{entry.filename[:80]} is compressed in an unknown way")
    with archive.open(entry) as file:
        return file.read(min(most, entry.file_size))


def _picture(
    archive: ZipFile, entries: Mapping[str, ZipInfo], name: str, path: Path, max_pixels: int
) -> _Picture:
    entry = entries.get(name)
    parts = name.replace("\\", "/").split("/")
    if entry is None or ".." in parts or name.startswith("/") or ":" in name:
        raise InvalidFile(
            f"a layer of {path} names a file that is not in the archive", given=repr(name[:80])
        )
    head = _content(archive, entry, _PNG_HEAD.size)
    if len(head) < _PNG_HEAD.size:
        raise InvalidFile(f"the layer {name} in {path} is cut short")
    signature, chunk, width, height, bits = _PNG_HEAD.unpack(head)
    if signature != b"\x89PNG\r\n\x1a\n" or chunk != b"IHDR":
        raise InvalidFile(f"the layer {name} in {path} is no PNG image")
    most = f"sides of at most {MAX_SIDE}, and {max_pixels} pixels"
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= max_pixels):
        size = f"{width} x {height} pixels"
        raise InvalidFile(f"the layer {name} in {path} is too large", given=size, expected=most)
    # Deflated PNGs are about as large as the pixels at the most. More would be a zip bomb.
    if entry.file_size > width * height * bits // 2 + height + width * height // 100 + _OVERHEAD:
        raise InvalidFile(
            f"the layer {name} in {path} is larger than its pixels",
            given=f"{entry.file_size} bytes",
        )
    return _Picture(entry, width, height)


def _check_size(document: _Document) -> None:
    pictures = list(document.pictures.values())
    if pictures:
        largest = max(pictures, key=lambda picture: picture.width * picture.height)
        # Four channels of float32.
        needed = sum(16 * picture.width * picture.height for picture in pictures)
        check_memory(largest.width, largest.height, len(pictures), needed, port="path")


def _items(
    document: _Document, stack: _Element, images: Mapping[str, Tensor]
) -> Iterator[Layer | LayerGroup]:
    for element in reversed(stack.children):
        shared = _shared(document, element)
        if element.tag == "stack":
            items = tuple(_items(document, element, images))
            _note_isolation(document, element, items)
            yield LayerGroup(items, **shared)
        elif element.tag == "layer":
            image = images[element.attributes.get("src", "")]
            left, top, right, bottom = _edges(document, element)
            yield Layer(image, left, top, right - left, bottom - top, **shared)
        else:
            document.left_out.append(f"An element <{element.tag[:40]}> is left out.")


def _edges(document: _Document, element: _Element) -> Extent:
    picture = document.pictures[element.attributes.get("src", "")]
    x = document.x + int(float(element.attributes.get("x", "0")))
    y = document.y + int(float(element.attributes.get("y", "0")))
    return x, y, x + picture.width, y + picture.height


def _extents(document: _Document, stack: _Element) -> Iterator[Extent]:
    return (_edges(document, element) for element in _layers(stack))


def _shared(document: _Document, element: _Element) -> dict[str, Any]:
    """What layers and groups have in common."""
    attributes = element.attributes
    name = attributes.get("name", "")
    try:
        opacity = float(attributes.get("opacity", "1"))
    except ValueError:
        opacity = 1.0
    op = attributes.get("composite-op", "svg:src-over")
    mode = _MODES.get(op)
    if mode is None:
        document.left_out.append(
            f"The blend mode {op[:40]} of layer {name[:80]!r} is replaced by normal."
        )
    return {
        "opacity": min(max(opacity, 0.0), 1.0) if math.isfinite(opacity) else 1.0,
        "mode": mode or "normal",
        "visible": attributes.get("visibility", "visible") != "hidden",
        "name": name,
    }


def _note_isolation(
    document: _Document, element: _Element, items: tuple[Layer | LayerGroup, ...]
) -> None:
    """Tell of groups whose layers would blend with what lies below the group."""
    attributes = element.attributes
    is_alone = attributes.get("isolation", "isolate") != "auto"
    is_plain = attributes.get("composite-op", "svg:src-over") == "svg:src-over"
    if not is_alone and is_plain and any(item.mode != "normal" for item in items):
        name = attributes.get("name", "")[:80]
        document.left_out.append(
            f"The group {name!r} is isolated: its blend modes no longer reach the layers below it."
        )


def _whole(text: str, path: Path) -> int:
    """A coordinate; some programs write 12.0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= FARTHEST:
        raise InvalidFile(
            f"a layer of {path} has no valid position",
            given=repr(text[:40]),
            expected=f"a number from -{FARTHEST} to {FARTHEST}",
        )
    return int(value)


def _parse(data: bytes, path: Path) -> _Element:
    """The root element of an XML document.

    Raises:
        InvalidFile: It is not well-formed, has a DTD or entities, or too many elements.
    """
    parser = expat.ParserCreate()
    top = _Element("", {})
    opened, count = [top], 0

    def refuse(*_: object) -> None:
        # Entities of a DTD may read other files, or expand to gigabytes.
        raise InvalidFile(f"{_STACK} in {path} has a document type, which is not allowed")

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        nonlocal count
        count += 1
        # Around the groups are the image and its stack; within the last one, its layers.
        deepest = 2 + MAX_DEPTH + (tag != "stack")
        if count > _MOST_ENTRIES or len(opened) > deepest:
            raise InvalidFile(
                f"{_STACK} in {path} has too many or too deeply nested layers",
                expected=f"at most {MAX_LAYERS} layers in {MAX_DEPTH} levels of groups",
            )
        element = _Element(tag, attributes)
        opened[-1].children.append(element)
        opened.append(element)

    def end(tag: str) -> None:
        opened.pop()

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError, TypeError) as error:
        # A text in an encoding that Python has not, or that is none of texts.
        raise InvalidFile(f"{_STACK} in {path} is not well-formed XML: {error}") from error
    return top.children[0]
