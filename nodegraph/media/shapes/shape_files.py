"""Files of shapes: what they are by their bytes, and the texts in them.

Imports no torch, and no package that reads shapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Literal

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.input_files import guess_file_kind, translate_os_errors

ShapeFormat = Literal["glb", "ply", "obj"]
READABLE = "GLB, PLY or OBJ"
LARGEST = 1 << 30
"""Bytes of a file."""
GLB, JSON_CHUNK, BINARY_CHUNK = b"glTF", b"JSON", b"BIN\0"
MARK = "nodegraph:"
"""What a comment begins with that is a text of ours: a name and what it says follow."""
_LARGEST_JSON = 64 << 20
_HEAD = 1 << 12
_COMMENTS = 64 << 20
"""Bytes at the beginning of a PLY or OBJ in which texts are looked for."""
_NUMBER = rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_OBJ_LINE = re.compile(
    rb"v(n|t)?([ \t]+" + _NUMBER + rb"){2,7}[ \t]*"
    rb"|(f|l)([ \t]+[-\d/]+)+[ \t]*|(mtllib|usemtl|o|g|s)([ \t].*)?"
)


def check_shapes_installed() -> None:
    """Refuse to read shapes where trimesh is missing.

    Raises:
        InvalidValue: So it is.
    """
    if find_spec("trimesh") is None:
        raise InvalidValue(
            "meshes and clouds of points are read with the package trimesh, which isn't installed",
            hint="Run `pip install 'nodegraph[shapes]'`.",
        )


def shape_format(start: bytes) -> ShapeFormat | None:
    """What a file is by its first bytes; at least some lines of an OBJ are needed."""
    if start[:4] == GLB:
        return "glb"
    if start[:4] in (b"ply\n", b"ply\r"):
        return "ply"
    lines = [line.strip() for line in join_continued_lines(start).splitlines()]
    if len(start) >= _HEAD:
        lines = lines[:-1]  # it may be cut
    content_lines = [line for line in lines if line and not line.startswith(b"#")]
    begins_so = bool(content_lines) and all(_OBJ_LINE.fullmatch(line) for line in content_lines)
    # A comment alone may fill the beginning.
    is_ours = start.startswith(b"# " + MARK.encode())
    return "obj" if begins_so or is_ours else None


def join_continued_lines(text: bytes) -> bytes:
    """The text of an OBJ with lines that go on after a backslash as one; comments end anyway."""
    if b"\\" not in text:
        return text
    pieces: list[bytes] = []
    goes_on = False
    for line in text.splitlines():
        whole = line.rstrip()
        kept = whole.removesuffix(b"\\")
        is_comment = not goes_on and line.lstrip().startswith(b"#")
        goes_on = kept != whole and not is_comment
        pieces += (kept, b" " if goes_on else b"\n")
    return b"".join(pieces)


def open_shape(path: Path, *, names: bool = True) -> tuple[BinaryIO, ShapeFormat]:
    """A file of a shape, open at its beginning, and what it is.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, too large, or of no form that is read.
    """
    with translate_os_errors(path, names=names):
        file = path.open("rb")
        file_format = shape_format(file.read(_HEAD))
        size = file.seek(0, 2)
        file.seek(0)
    if file_format is None or size > LARGEST:
        file.close()
        fault = "is too large" if file_format else f"is none that is read: {guess_file_kind(path)}"
        raise InvalidFile(
            f"the shape {path} {fault}.",
            given=f"{size} bytes" if file_format else None,
            expected=READABLE,
        )
    return file, file_format


@dataclass(frozen=True, slots=True)
class ShapeCounts:
    """How much a file of a shape claims to hold; 0 of what isn't known.

    Attributes:
        parts: Pieces that are read one by one: primitives of a GLB wherever they stand, groups and
            materials of an OBJ.
    """

    parts: int = 0
    triangles: int = 0
    points: int = 0


def shape_counts(path: Path) -> ShapeCounts:
    """What a file claims to hold, by its own words; of what is no shape, nothing.

    What it says wrongly is told by whoever reads it.

    Raises:
        InvalidFile: It can't be read, or is damaged.
    """
    with path.open("rb") as file:
        kind = shape_format(file.read(_HEAD))
        file.seek(0)
        if kind == "glb":
            return _glb_counts(glb_json(file, path.name))
        if kind == "ply":
            head = file.read(_HEAD).partition(b"end_header")[0]
            return ShapeCounts(1, *(_elements(head, name) for name in (b"face", b"vertex")))
        if kind == "obj":
            lines = b"\n" + file.read()
            parts = sum(lines.count(b"\n" + word + b" ") for word in (b"o", b"g", b"usemtl"))
            return ShapeCounts(parts, lines.count(b"\nf "), lines.count(b"\nv "))
    return ShapeCounts()


def _glb_counts(document: Mapping[str, Any]) -> ShapeCounts:
    parts = triangles = points = 0
    try:
        accessors, meshes = document.get("accessors", ()), document.get("meshes", ())
        sizes = []
        for mesh in meshes:
            primitives = mesh["primitives"]
            corners = [accessors[each["attributes"]["POSITION"]]["count"] for each in primitives]
            indexed = [
                accessors[each["indices"]]["count"] if "indices" in each else count
                for each, count in zip(primitives, corners, strict=True)
            ]
            sizes.append((len(primitives), sum(indexed) // 3, sum(corners)))
        for node in document.get("nodes", ()):
            if "mesh" in node:
                more = sizes[node["mesh"]]
                parts, triangles, points = (
                    parts + more[0],
                    triangles + more[1],
                    points + more[2],
                )
    except (TypeError, KeyError, IndexError, AttributeError, ValueError):
        return ShapeCounts()  # `check_glb` tells what is wrong with it
    return ShapeCounts(parts, triangles, points)


def _elements(head: bytes, name: bytes) -> int:
    """How many of an element a PLY's head claims."""
    match = re.search(rb"^element[ \t]+" + name + rb"[ \t]+(\d{1,18})\s*$", head, re.MULTILINE)
    return 0 if match is None else int(match[1])


def shape_texts(path: Path) -> dict[str, str]:
    """The texts that a file of a shape carries, by name.

    Raises:
        InvalidFile: It is missing, or of no form that is read.
    """
    file, kind = open_shape(path)
    with file:
        if kind == "glb":
            asset = glb_json(file, str(path)).get("asset")
            extras = asset.get("extras") if isinstance(asset, dict) else None
            texts = extras if isinstance(extras, dict) else {}
            return {name: text for name, text in texts.items() if isinstance(text, str)}
        return dict(_commented(file, b"comment " if kind == "ply" else b"# "))


def comment_lines(texts: Mapping[str, str], beginning: str) -> list[str]:
    """Lines of comments that carry texts; each text of one line."""
    return [f"{beginning}{MARK} {name} {text}" for name, text in texts.items()]


def _commented(file: BinaryIO, beginning: bytes) -> Iterator[tuple[str, str]]:
    left = _COMMENTS
    begins = beginning + MARK.encode()
    while left > 0 and (line := file.readline(left)):
        left -= len(line)
        if line.startswith(begins):
            words = line.decode("utf-8", "replace")[len(begins) :].strip().split(" ", 1)
            if len(words) == 2:
                yield words[0], words[1]
        elif line.startswith((b"end_header", b"v ")):
            return


def glb_json(file: BinaryIO, name: str) -> dict[str, Any]:
    """The JSON of a GLB file that is open at its beginning.

    Raises:
        InvalidFile: It is damaged.
    """
    head = file.read(20)
    size = int.from_bytes(head[12:16], "little")
    if head[16:20] != JSON_CHUNK or size > _LARGEST_JSON:
        raise InvalidFile(f"{name} is damaged, or no GLB of version 2.")
    try:
        document = json.loads(file.read(size))
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{name} is damaged or cut short: its JSON is none.") from error
    if not isinstance(document, dict):
        raise InvalidFile(f"{name} is damaged: its JSON is no object.")
    return document
