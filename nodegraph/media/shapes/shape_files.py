"""Shape files (GLB, PLY, OBJ): detect, count, read texts, check and write GLB containers.

`ShapeArrays` is what files are read into, and drawn from.

Imports no torch, and no package that reads shapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from nodegraph.core.text_format import format_size
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.input_files import guess_file_kind, translate_os_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ShapeArrays:
    """A mesh or points; see `Mesh` and `PointCloud`.

    Attributes:
        points: float32, shape (points, 3), finite.
        faces: int64, shape (faces, 3); None for points alone.
        colors: float32 in 0..1, shape (points, 3); None where they have none.
        uv: float32, shape (points, 2); None without a texture.
        texture: float32 in 0..1, shape (height, width, 3).
    """

    points: Numbers
    faces: NDArray[np.int64] | None = None
    colors: Numbers | None = None
    uv: Numbers | None = None
    texture: Numbers | None = None


def texture_colors(texture: Numbers, uv: Numbers) -> Numbers:
    """Colors at places of a texture, which begins anew beyond its edges; shape (places, 3)."""
    import numpy as np

    height, width, _ = texture.shape
    # What lies on the upper or right edge isn't beyond it.
    inside: Any = uv - (np.ceil(uv) - 1).clip(min=0) - np.floor(uv).clip(max=0)
    column = (inside[:, 0] * width).astype(np.int64).clip(0, width - 1)
    row = ((1 - inside[:, 1]) * height).astype(np.int64).clip(0, height - 1)
    colors: Numbers = texture[row, column]
    return colors


def srgb_to_linear(colors: Numbers) -> Numbers:
    """sRGB as amounts of light; both in 0..1.

    Source: IEC 61966-2-1.
    """
    import numpy as np

    light: Numbers = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def linear_to_srgb(light: Numbers) -> Numbers:
    """Amounts of light as sRGB; both in 0..1.

    Source: IEC 61966-2-1.
    """
    import numpy as np

    # In float64, that 1 stays 1.
    steep = 1.055 * light.astype(np.float64) ** (1 / 2.4) - 0.055
    colors: Numbers = np.where(light <= 0.0031308, light * 12.92, steep)
    return colors.astype(np.float32)


def glb_bytes(document: dict[str, Any], binary: bytes) -> bytes:
    """A GLB file of its JSON and of what its tables and images lie in."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = _chunk(JSON_CHUNK, text) + _chunk(BINARY_CHUNK, binary)
    return GLB + _uint(2) + _uint(12 + len(chunks)) + chunks


def name_materials(document: dict[str, Any]) -> bool:
    """Give parts that have colors but no material a plain one; whether there were any.

    Without, trimesh rounds colors to 8 bits. They are amounts of light, of which that leaves few
    dark ones.
    """
    parts = [part for mesh in document.get("meshes", ()) for part in mesh["primitives"]]
    bare = [part for part in parts if "COLOR_0" in part["attributes"] and "material" not in part]
    if bare:
        materials = document.setdefault("materials", [])
        materials.append({})
        for part in bare:
            part["material"] = len(materials) - 1
    return bool(bare)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return _uint(len(data)) + kind + data


def _uint(number: int) -> bytes:
    return number.to_bytes(4, "little")


MOST_NUMBERS = 1 << 29
"""Of all tables together: 2 GiB."""
MOST_TEXELS = 1 << 26
"""Pixels of all textures together."""
_PICTURES = ("PNG", "JPEG", "WEBP")
"""Pillow knows more formats, some of which start other programs."""
_MOST_NODES = 100_000
_DEEPEST = 1_000
"""Nodes within each other."""
_NUMBERS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


def check_glb(document: dict[str, Any], name: str) -> None:
    """Refuse what takes more than its size shows, and what lies in other files.

    A few bytes of JSON can claim tables of any size, meshes that are used a million times, and
    nodes within themselves.

    Raises:
        InvalidFile: It claims such a thing, or isn't of the form that the standard says.
    """
    try:
        _check_tables(document, name)
        _check_nodes(document, name)
    except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
        raise InvalidFile(f"{name} is damaged: its JSON is not glTF ({error!r})") from error


def _check_tables(document: dict[str, Any], name: str) -> None:
    accessors: Sequence[Any] = document.get("accessors", ())
    sizes = [accessor["count"] * _NUMBERS[accessor["type"]] for accessor in accessors]
    if any(size < 0 for size in sizes) or sum(sizes) > MOST_NUMBERS:
        raise InvalidFile(f"{name} is refused: it states {sum(sizes):,} numbers")
    for part in (*document.get("buffers", ()), *document.get("images", ())):
        if "uri" in part:
            raise InvalidFile(
                f"{name} is refused: parts of it are in other files",
                hint="Save it as one GLB, with textures inside.",
            )
    needed = document.get("extensionsRequired", ())
    if needed:
        raise InvalidFile(
            f"{name} needs glTF extensions that are not supported",
            given=", ".join(map(str, needed)),
            hint="Save it without compression.",
        )


def _check_nodes(document: dict[str, Any], name: str) -> None:
    nodes: Sequence[Any] = document.get("nodes", ())
    if len(nodes) > _MOST_NODES:
        raise InvalidFile(f"{name} is refused: it has {len(nodes):,} nodes")
    above: dict[int, int] = {}
    for at, node in enumerate(nodes):
        for child in node.get("children", ()):
            if not 0 <= child < len(nodes) or child in above:
                raise InvalidFile(f"{name} is damaged: its nodes do not form a tree")
            above[child] = at
    for start in range(len(nodes)):
        at, steps = start, 0
        while at in above:
            at, steps = above[at], steps + 1
            if steps > _DEEPEST:
                raise InvalidFile(f"{name} is refused: its nodes contain themselves")
    meshes, accessors = document.get("meshes", ()), document.get("accessors", ())
    drawn = sum(_corners(meshes[node["mesh"]], accessors) for node in nodes if "mesh" in node)
    if 3 * drawn > MOST_NUMBERS:
        raise InvalidFile(f"{name} is refused: it repeats its meshes too often")


def check_pictures(document: dict[str, Any], binary: bytes, name: str) -> None:
    """Refuse images within a GLB that are of other formats, or too large.

    Args:
        binary: What its tables and images lie in.
    Raises:
        InvalidFile: There is such an image.
    """
    from nodegraph.media.images.pillow_files import DAMAGED  # brings Pillow

    left = MOST_TEXELS
    try:
        for picture in document.get("images", ()):
            view = document["bufferViews"][picture["bufferView"]]
            begin = view.get("byteOffset", 0)
            left -= _decoded_pixel_count(binary[begin : begin + view["byteLength"]], left)
    except (*DAMAGED, AttributeError) as error:
        raise InvalidFile(
            f"{name} is refused: a texture is damaged, or not {', '.join(_PICTURES)}"
        ) from error
    if left < 0:
        raise InvalidFile(
            f"{name} is refused: its textures are too large",
            expected=f"at most {MOST_TEXELS:,} pixels",
        )


def _decoded_pixel_count(data: bytes, most: int) -> int:
    """How many pixels an image has; it is decoded, unless it has more than `most`.

    Raises:
        One of `DAMAGED`: It can't be.
    """
    from PIL import Image

    with Image.open(BytesIO(data), formats=_PICTURES) as picture:
        pixels = picture.width * picture.height
        if pixels <= most:
            picture.load()
        return pixels


def _corners(mesh: Any, accessors: Sequence[Any]) -> int:
    parts = mesh["primitives"]
    places = [accessors[part["attributes"]["POSITION"]]["count"] for part in parts]
    return sum(places)


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
            "meshes and point clouds need the package trimesh, which is not installed",
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
            f"the shape {path} {fault}",
            given=format_size(size) if file_format else None,
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
        raise InvalidFile(f"{name} is damaged, or not GLB version 2")
    try:
        document = json.loads(file.read(size))
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{name} is damaged or truncated: its JSON cannot be read") from error
    if not isinstance(document, dict):
        raise InvalidFile(f"{name} is damaged: its JSON is not an object")
    return document
