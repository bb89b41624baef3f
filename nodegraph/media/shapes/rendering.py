"""Software rendering of meshes and point clouds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nodegraph.core.spatial_values import Mesh, PointCloud
from nodegraph.media.shapes.encoding import check_mesh, check_points
from nodegraph.media.shapes.shape_files import ShapeArrays, texture_colors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Numbers = NDArray[np.float32]
    Whole = NDArray[np.int64]

ELEVATION = 20.0
"""Degrees from which it is seen from above."""
_BACKGROUND = (0.09, 0.10, 0.13)
_PLAIN = (0.75, 0.76, 0.78)
_LIGHT = (-0.4, 0.6, 0.7)
_AMBIENT = 0.25
_FINER = 2
"""Pixels of the drawing on each side of one of the image, so that edges are smooth."""
_WITHIN = [(down, across) for down in range(_FINER) for across in range(_FINER)]
_MARGIN = 0.94
_EDGE = 1e-3
_FLAT = 1e-9
"""Pixels of a triangle that is seen from its side."""
_BITS = np.uint64(32)
_AT_ONCE = 1 << 21
"""Pixels of triangles that are looked at at a time, to bound memory."""


def turntable(
    shape: Mesh | PointCloud,
    frames: int = 24,
    size: int = 256,
    *,
    elevation: float = ELEVATION,
    on_progress: Callable[[int], None] | None = None,
) -> Tensor:
    """A shape from all sides, as it turns once about the axis that goes up.

    Args:
        size: Of the square images, in pixels.
        elevation: Degrees from which it is seen from above.
        on_progress: Told how many frames are done; may raise, to stop.
    Returns:
        float32 in 0..1, shape (frames, size, size, 3).
    Raises:
        InvalidValue, NumericalError: See `check_mesh` and `check_points`.
    """
    import torch

    scene = _scene(shape)
    pictures = np.empty((frames, size, size, 3), np.float32)
    for at in range(frames):
        pictures[at] = _drawn(scene, size, 360 * at / frames, elevation)
        if on_progress is not None:
            on_progress(at + 1)
    return torch.from_numpy(pictures)


def draw_shape(
    shape: Mesh | PointCloud, size: int = 512, *, angle: float = 30, elevation: float = ELEVATION
) -> Tensor:
    """A shape from one side.

    Args:
        size: Of the square image, in pixels.
        angle: Degrees by which it is turned.
        elevation: Degrees from which it is seen from above.
    Returns:
        Image, float32 in 0..1, shape (1, size, size, 3).
    Raises:
        InvalidValue, NumericalError: See `check_mesh` and `check_points`.
    """
    import torch

    return torch.from_numpy(_drawn(_scene(shape), size, angle, elevation)[None])


def shape_pixels(shape: ShapeArrays, size: int) -> Numbers:
    """What `draw_shape` gives, without torch; shape (size, size, 3)."""
    return _drawn(_scene_of(shape), size, 30, ELEVATION)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is drawn.

    Attributes:
        points: float32 (points, 3), within the unit ball.
        faces: int64 (faces, 3); None for points alone.
        colors: float32 (points, 3), in 0..1.
        texture, uv: Of a mesh that has them, see `Mesh`.
    """

    points: Numbers
    faces: Whole | None
    colors: Numbers
    texture: Numbers | None = None
    uv: Numbers | None = None


def _scene(shape: Mesh | PointCloud) -> _Scene:
    if not isinstance(shape, Mesh):
        check_points(shape)
        return _scene_of(ShapeArrays(_array(shape.points), colors=_array(shape.colors)))
    check_mesh(shape)
    points, colors, uv, texture = map(
        _array, (shape.vertices, shape.colors, shape.uv, shape.texture)
    )
    return _scene_of(ShapeArrays(points, shape.faces.cpu().numpy(), colors, uv, texture))


def _array(values: Any) -> Any:
    return None if values is None else values.detach().cpu().float().numpy()


def _scene_of(shape: ShapeArrays) -> _Scene:
    points = shape.points.astype(np.float64)
    middle = (points.min(0) + points.max(0)) / 2
    away = points - middle
    radius = float(np.sqrt((away**2).sum(1).max())) or 1.0
    if shape.colors is None:
        paint: Numbers = np.broadcast_to(np.array(_PLAIN, np.float32), points.shape)
    else:
        paint = shape.colors.clip(0, 1)
    unit = (away / radius).astype(np.float32)
    if shape.texture is None or shape.uv is None:
        return _Scene(unit, shape.faces, paint)
    return _Scene(unit, shape.faces, paint, shape.texture.clip(0, 1), shape.uv)


def _drawn(scene: _Scene, size: int, angle: float, elevation: float) -> Numbers:
    side = size * _FINER
    turned = scene.points @ _turn(angle, elevation).T
    # To pixels: x to the right, y down, z towards the camera.
    places = turned * (np.array([1, -1, 1], np.float32) * (_MARGIN * side / 2))
    places[:, :2] += (side - 1) / 2
    picture = np.empty((side * side, 3), np.float32)
    picture[:] = _BACKGROUND
    if scene.faces is None:
        _draw_points(scene, places, picture, side)
    else:
        _draw_faces(scene, turned, places, picture, side)
    fine = picture.reshape(side, side, 3)
    blocks = [fine[down::_FINER, across::_FINER] for down, across in _WITHIN]
    together: Any = sum(blocks[1:], start=blocks[0]) / len(blocks)
    averaged: Numbers = together.clip(0, 1)
    return averaged


def _turn(angle: float, elevation: float) -> Numbers:
    around, above = math.radians(angle), math.radians(elevation)
    cos, sin = math.cos(around), math.sin(around)
    yaw = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    cos, sin = math.cos(above), math.sin(above)
    pitch = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    rotation: Numbers = (pitch @ yaw).astype(np.float32)
    return rotation


class _DepthBuffer:
    """What lies nearest to the camera at each pixel: a number, or nothing."""

    def __init__(self, side: int) -> None:
        self._side = side
        self._held = np.zeros(side * side, np.uint64)

    def add(self, pixel: Whole, height: Numbers, number: Whole) -> None:
        """Put things at pixels, of which several may be one."""
        # How near it is stands above who it is, so that the greatest is the nearest.
        near = ((height / self._side + 1) * 2**30).astype(np.uint64)
        np.maximum.at(self._held, pixel, (near << _BITS) | (number + 1).astype(np.uint64))

    def visible(self) -> tuple[Whole, Whole]:
        """Pixels that something covers, and its number."""
        pixels = np.flatnonzero(self._held)
        numbers = self._held[pixels] & np.uint64(2**32 - 1)
        return pixels, numbers.astype(np.int64) - 1


def _draw_points(scene: _Scene, places: Numbers, picture: Numbers, side: int) -> None:
    """Each as a small square, darker the farther away it is."""
    width = min(max(3, round(side / (2 * len(places) ** 0.5))), side // 12 + 1)
    nearest, numbers = _DepthBuffer(side), np.arange(len(places))
    for at in range(width * width):
        middle = (width - 1) / 2
        column = np.rint(places[:, 0] + (at % width - middle)).astype(np.int64)
        row = np.rint(places[:, 1] + (at // width - middle)).astype(np.int64)
        is_in = (column >= 0) & (column < side) & (row >= 0) & (row < side)
        nearest.add((row * side + column)[is_in], places[is_in, 2], numbers[is_in])
    pixels, point_numbers = nearest.visible()
    shades = (0.7 + 0.6 * places[point_numbers, 2] / side)[:, None]
    picture[pixels] = scene.colors[point_numbers] * shades


def _draw_faces(
    scene: _Scene, turned: Numbers, places: Numbers, picture: Numbers, side: int
) -> None:
    """Triangles, as bright as they face the light, from whichever side."""
    assert scene.faces is not None
    nearest = _DepthBuffer(side)
    for numbers in _chunks(places, scene.faces, side):
        _rasterize(nearest, places[scene.faces[numbers]], numbers, side)
    pixels, face_numbers = nearest.visible()
    corners = scene.faces[face_numbers]
    parts = _barycentric(places[corners], pixels % side, pixels // side)
    picture[pixels] = (
        _paint(scene, corners, parts) * _shades(turned[scene.faces])[face_numbers, None]
    )


def _paint(scene: _Scene, corners: Whole, parts: Numbers) -> Numbers:
    """Colors within triangles, by the parts that their corners have; shape (pixels, 3)."""
    if scene.texture is None or scene.uv is None:
        colors: Numbers = np.einsum("fk,fkc->fc", parts, scene.colors[corners])
        return colors
    places = np.einsum("fk,fkc->fc", parts, scene.uv[corners])
    return texture_colors(scene.texture, places)


def _shades(corners: Numbers) -> Numbers:
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.sqrt(np.einsum("fc,fc->f", normals, normals))
    light = np.array(_LIGHT, np.float32) / math.hypot(*_LIGHT)
    facing = np.abs(normals @ light) / np.maximum(lengths, 1e-20)
    shades: Numbers = (_AMBIENT + (1 - _AMBIENT) * facing).astype(np.float32)
    return shades


def _chunks(places: Numbers, faces: Whole, side: int) -> Iterator[Whole]:
    """Numbers of triangles whose boxes together have a bounded number of pixels."""
    size = (_most(places[faces]) - _least(places[faces]) + 1).clip(0, side)
    pixels = np.cumsum(size[:, 0] * size[:, 1], dtype=float)
    edges = np.flatnonzero(np.diff(pixels // _AT_ONCE)) + 1
    yield from np.split(np.arange(len(faces)), edges)


def _rasterize(nearest: _DepthBuffer, corners: Numbers, numbers: Whole, side: int) -> None:
    """Put triangles at the pixels that they cover, row by row from left to right."""
    first = np.ceil(_least(corners)[:, 1]).astype(np.int64).clip(0, side)
    after = np.floor(_most(corners)[:, 1]).astype(np.int64).clip(-1, side - 1) + 1
    face, row = _runs(first, np.maximum(after - first, 0))
    left, right = _spans(corners[face], row)
    left = left.clip(0, side).astype(np.int64)
    right = right.clip(-1, side - 1).astype(np.int64)
    line, column = _runs(left, np.maximum(right - left + 1, 0))
    at, lines = face[line], row[line]
    # How near it is changes evenly along a row.
    begin = _height(corners[face], left, row)
    step = _height(corners[face], left + 1, row) - begin
    height = begin[line] + step[line] * (column - left[line])
    # Of triangles that are seen from their sides it may be anything.
    height = height.clip(_least(corners)[at, 2], _most(corners)[at, 2])
    nearest.add(lines * side + column, height, numbers[at])


def _runs(first: Whole, counts: Whole) -> tuple[Whole, Whole]:
    """For each of several runs of whole numbers its own number again and again, and these."""
    which = np.repeat(np.arange(len(first)), counts)
    return which, np.arange(len(which)) - (np.cumsum(counts) - counts - first)[which]


def _spans(corners: Numbers, row: Whole) -> tuple[NDArray[Any], NDArray[Any]]:
    """The first and the last column of a triangle in a row; the last before the first for none.

    Each edge leaves what is on its inner side.
    """
    x, y = corners[:, :, 0].astype(float), corners[:, :, 1].astype(float)
    left, right = np.full(len(row), -np.inf), np.full(len(row), np.inf)
    ahead = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0])
    for at in range(3):
        near, far = at, (at + 1) % 3
        down = y[:, far] - y[:, near]
        with np.errstate(divide="ignore", invalid="ignore"):
            cut = x[:, near] + (row - y[:, near]) / down * (x[:, far] - x[:, near])
        np.maximum(left, cut, out=left, where=down * ahead < 0)
        np.minimum(right, cut, out=right, where=down * ahead > 0)
    # A bit of each edge belongs to both sides, so that no gap shows.
    left, right = np.ceil(left - _EDGE), np.floor(right + _EDGE)
    is_flat = ahead == 0
    return np.where(is_flat, 1, left), np.where(is_flat, 0, right)


def _height(corners: Numbers, column: Whole, row: Whole) -> Numbers:
    height: Numbers = np.einsum("fk,fk->f", corners[:, :, 2], _barycentric(corners, column, row))
    return height


def _least(corners: Numbers) -> Numbers:
    least: Numbers = np.minimum(np.minimum(corners[:, 0], corners[:, 1]), corners[:, 2])
    return least


def _most(corners: Numbers) -> Numbers:
    greatest: Numbers = np.maximum(np.maximum(corners[:, 0], corners[:, 1]), corners[:, 2])
    return greatest


def _barycentric(corners: Numbers, column: Whole, row: Whole) -> Numbers:
    """The parts that a triangle's corners have in a pixel; shape (pixels, 3).

    Source: Pineda 1988, A Parallel Algorithm for Polygon Rasterization.
    """
    (ax, ay), (bx, by), (cx, cy) = (corners[:, at, :2].T for at in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    area = np.where(np.abs(area) < _FLAT, np.inf, area)
    second = ((column - ax) * (cy - ay) - (row - ay) * (cx - ax)) / area
    third = ((bx - ax) * (row - ay) - (by - ay) * (column - ax)) / area
    return np.stack([1 - second - third, second, third], axis=1).astype(np.float32)
