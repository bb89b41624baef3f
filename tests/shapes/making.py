"""Small shapes, and files of them."""

from __future__ import annotations

from pathlib import Path

import torch

from nodegraph import Mesh, PointCloud
from nodegraph.media.shapes.encoding import SHAPE_SUFFIXES, encode_mesh
from nodegraph.media.shapes.shape_files import ShapeFormat

FORMATS: list[ShapeFormat] = ["glb", "ply", "obj"]
_CORNERS = [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
_SIDES = [
    *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
    *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
]


def box(*, is_colored: bool = False) -> Mesh:
    """A box of eight corners at odd places, one of another color each."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.tensor(_CORNERS, dtype=torch.float32)
    corners = corners + torch.rand(8, 3, generator=generator) / 3
    colors = torch.randint(0, 256, (8, 3), generator=generator) / 255
    return Mesh(corners, torch.tensor(_SIDES), colors if is_colored else None)


def square() -> Mesh:
    """Two triangles with a texture: red on the left, blue on the right, dark above."""
    texture = torch.zeros(4, 4, 3)
    texture[:, :2, 0] = 1
    texture[:, 2:, 2] = 1
    texture[:2] *= 0.2
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    uv = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    return Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), None, uv, texture)


def cloud(points: int = 200, *, is_colored: bool = True) -> PointCloud:
    """Random points."""
    generator = torch.Generator().manual_seed(0)
    colors = torch.randint(0, 256, (points, 3), generator=generator) / 255
    places = torch.randn(points, 3, generator=generator)
    return PointCloud(places, colors if is_colored else None)


def written(folder: Path, made: Mesh, format: ShapeFormat = "glb") -> Path:
    """The mesh in a file."""
    path = folder / f"mesh{SHAPE_SUFFIXES[format]}"
    path.write_bytes(encode_mesh(made, format))
    return path
