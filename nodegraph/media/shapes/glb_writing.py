"""The bytes of GLB files: put together, and made such that trimesh loses nothing of them."""

from __future__ import annotations

import json
from typing import Any

from nodegraph.media.shapes.shape_files import BINARY_CHUNK, GLB, JSON_CHUNK


def glb_bytes(document: dict[str, Any], binary: bytes) -> bytes:
    """A GLB file of its JSON and of what its tables and pictures lie in."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = _chunk(JSON_CHUNK, text) + _chunk(BINARY_CHUNK, binary)
    return GLB + _uint(2) + _uint(12 + len(chunks)) + chunks


def name_materials(document: dict[str, Any]) -> bool:
    """Give parts that have colours but no material a plain one; whether there were any.

    Without, trimesh rounds colours to 8 bits. They are amounts of light, of which that leaves few
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
