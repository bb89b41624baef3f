"""Files of shapes: what they are by their bytes, and the texts in them.

Imports no torch, and no package that reads shapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Literal

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.images.input_files import looks_like, opening

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
            hint="pip install 'nodegraph[shapes]'",
        )


def shape_format(start: bytes) -> ShapeFormat | None:
    """What a file is by its first bytes; at least some lines of an OBJ are needed."""
    if start[:4] == GLB:
        return "glb"
    if start[:4] in (b"ply\n", b"ply\r"):
        return "ply"
    lines = [line.strip() for line in start.splitlines()]
    if len(start) >= _HEAD:
        lines = lines[:-1]  # it may be cut
    told = [line for line in lines if line and not line.startswith(b"#")]
    begins_so = bool(told) and all(_OBJ_LINE.fullmatch(line) for line in told)
    # A comment alone may fill the beginning.
    is_ours = start.startswith(b"# " + MARK.encode())
    return "obj" if begins_so or is_ours else None


def open_shape(path: Path, *, names: bool = True) -> tuple[BinaryIO, ShapeFormat]:
    """A file of a shape, open at its beginning, and what it is.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, too large, or of no form that is read.
    """
    with opening(path, names=names):
        file = path.open("rb")
        found = shape_format(file.read(_HEAD))
        size = file.seek(0, 2)
        file.seek(0)
    if found is None or size > LARGEST:
        file.close()
        fault = "is too large" if found else f"is none that is read: {looks_like(path)}"
        raise InvalidFile(
            f"the shape {path} {fault}.",
            given=f"{size} bytes" if found else None,
            expected=READABLE,
        )
    return file, found


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
            found = extras if isinstance(extras, dict) else {}
            return {name: text for name, text in found.items() if isinstance(text, str)}
        return dict(_commented(file, b"comment " if kind == "ply" else b"# "))


def commented(texts: Mapping[str, str], beginning: str) -> list[str]:
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
        found = json.loads(file.read(size))
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{name} is damaged or cut short: its JSON is none.") from error
    if not isinstance(found, dict):
        raise InvalidFile(f"{name} is damaged: its JSON is no object.")
    return found
