"""What a GLB file claims of itself, looked over before anything is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from PIL import Image

from nodegraph.errors import InvalidFile
from nodegraph.media.images.picture_files import DAMAGED

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
        raise InvalidFile(f"{name} is damaged: its JSON is no glTF ({error!r}).") from error


def _check_tables(document: dict[str, Any], name: str) -> None:
    accessors: Sequence[Any] = document.get("accessors", ())
    sizes = [accessor["count"] * _NUMBERS[accessor["type"]] for accessor in accessors]
    if any(size < 0 for size in sizes) or sum(sizes) > MOST_NUMBERS:
        raise InvalidFile(f"{name} is refused: it claims {sum(sizes):,} numbers.")
    for part in (*document.get("buffers", ()), *document.get("images", ())):
        if "uri" in part:
            raise InvalidFile(
                f"{name} is refused: parts of it lie in other files.",
                hint="Save it as one GLB, with textures inside.",
            )
    needed = document.get("extensionsRequired", ())
    if needed:
        raise InvalidFile(
            f"{name} needs extensions of glTF that aren't read here.",
            given=", ".join(map(str, needed)),
            hint="Save it without compression.",
        )


def _check_nodes(document: dict[str, Any], name: str) -> None:
    nodes: Sequence[Any] = document.get("nodes", ())
    if len(nodes) > _MOST_NODES:
        raise InvalidFile(f"{name} is refused: it has {len(nodes):,} nodes.")
    above: dict[int, int] = {}
    for at, node in enumerate(nodes):
        for child in node.get("children", ()):
            if not 0 <= child < len(nodes) or child in above:
                raise InvalidFile(f"{name} is damaged: its nodes are no tree.")
            above[child] = at
    for start in range(len(nodes)):
        at, steps = start, 0
        while at in above:
            at, steps = above[at], steps + 1
            if steps > _DEEPEST:
                raise InvalidFile(f"{name} is refused: its nodes lie within themselves.")
    meshes, accessors = document.get("meshes", ()), document.get("accessors", ())
    drawn = sum(_corners(meshes[node["mesh"]], accessors) for node in nodes if "mesh" in node)
    if 3 * drawn > MOST_NUMBERS:
        raise InvalidFile(f"{name} is refused: it shows its meshes too often.")


def check_pictures(document: dict[str, Any], binary: bytes, name: str) -> None:
    """Refuse pictures within a GLB that are of other formats, or too large.

    Args:
        binary: What its tables and pictures lie in.
    Raises:
        InvalidFile: There is such a picture.
    """
    left = MOST_TEXELS
    try:
        for picture in document.get("images", ()):
            view = document["bufferViews"][picture["bufferView"]]
            begin = view.get("byteOffset", 0)
            left -= _decoded_pixel_count(binary[begin : begin + view["byteLength"]], left)
    except (*DAMAGED, AttributeError) as error:
        raise InvalidFile(
            f"{name} is refused: a texture is damaged, or no {', '.join(_PICTURES)}."
        ) from error
    if left < 0:
        raise InvalidFile(
            f"{name} is refused: its textures are too large.",
            expected=f"at most {MOST_TEXELS:,} pixels",
        )


def _decoded_pixel_count(data: bytes, most: int) -> int:
    """How many pixels a picture has; it is decoded, unless it has more than `most`.

    Raises:
        One of `DAMAGED`: It can't be.
    """
    with Image.open(BytesIO(data), formats=_PICTURES) as picture:
        pixels = picture.width * picture.height
        if pixels <= most:
            picture.load()
        return pixels


def _corners(mesh: Any, accessors: Sequence[Any]) -> int:
    parts = mesh["primitives"]
    places = [accessors[part["attributes"]["POSITION"]]["count"] for part in parts]
    return sum(places)
