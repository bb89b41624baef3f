"""Twelve solids as signed distances, each as wide as it is tall until it is stretched.

Formulas of distances as in https://iquilezles.org/articles/distfunctions.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from nodegraph.media.shapes.distance_grids import BAND, GRID, KINDS

Corner = tuple[float, float, float]
Distance = Callable[[Tensor, float], Tensor]
"""Of points, (…, 3), and a number from 0 to 1 that no model is told: distances, below 0 inside."""

_WIDE = 0.7
"""Half the width of a solid before it is scaled."""

_ROOM = 1.2
"""By which it is scaled: 0.84 of 1 in the end."""


def _norm(p: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(p, dim=-1)
    return length


def _outside(q: Tensor) -> Tensor:
    """The distance, by how far points lie beyond each of some bounds."""
    return _norm(q.clamp_min(0)) + q.amax(-1).clamp_max(0)


def _box(p: Tensor, half: Corner, at: Corner = (0, 0, 0)) -> Tensor:
    q = (p - torch.tensor(at)).abs() - torch.tensor(half)
    return _outside(q)


def _ball(p: Tensor, radius: float, at: Corner = (0, 0, 0)) -> Tensor:
    return _norm(p - torch.tensor(at)) - radius


def _cylinder(p: Tensor, radius: float, half: float) -> Tensor:
    d = torch.stack([_norm(p[..., :2]) - radius, p[..., 2].abs() - half], -1)
    return _outside(d)


def _cone(p: Tensor, *, square: bool) -> Tensor:
    across = p[..., :2].abs().amax(-1) if square else _norm(p[..., :2])
    slope = float(np.hypot(_WIDE, 2 * _WIDE))
    side = (across * 2 * _WIDE + (p[..., 2] - _WIDE) * _WIDE) / slope
    return torch.maximum(side, -p[..., 2] - _WIDE)


def _torus(p: Tensor, k: float) -> Tensor:
    thick = 0.14 + 0.1 * k
    ring = _norm(p[..., 0::2]) - _WIDE + thick
    return _norm(torch.stack([ring, p[..., 1]], -1)) - thick


def _capsule(p: Tensor, k: float) -> Tensor:
    half, p = 0.1 + 0.1 * k, p * torch.tensor([1, 1, 0.6])
    z = p[..., 2] - p[..., 2].clamp(-half, half)
    return _norm(torch.stack([p[..., 0], p[..., 1], z], -1)) - 0.42


def _legs(p: Tensor, x: float, y: float, thick: float, high: float) -> Tensor:
    """Four, from the ground up to some height."""
    middle = (high - _WIDE) / 2
    q = torch.stack([p[..., 0].abs() - x, p[..., 1].abs() - y, p[..., 2] - middle], -1)
    return _box(q, (thick, thick, (high + _WIDE) / 2))


def _joined(*distances: Tensor) -> Tensor:
    return torch.stack(distances).amin(0)


def _table(p: Tensor, k: float) -> Tensor:
    top = _box(p, (_WIDE, 0.5, 0.1), (0, 0, 0.6))
    return _joined(top, _legs(p, 0.6, 0.4, 0.07 + 0.04 * k, 0.6))


def _chair(p: Tensor, k: float) -> Tensor:
    seat = _box(p, (_WIDE, 0.6, 0.09), (0, 0, -0.05))
    back = _box(p, (_WIDE, 0.09, 0.4), (0, 0.51, 0.3))
    return _joined(seat, back, _legs(p, 0.6, 0.5, 0.08 + 0.03 * k, 0.0))


def _cross(p: Tensor, k: float) -> Tensor:
    thick = 0.18 + 0.08 * k
    return _joined(_box(p, (_WIDE, thick, thick)), _box(p, (thick, thick, _WIDE)))


def _dumbbell(p: Tensor, k: float) -> Tensor:
    bar = _box(p, (0.4, 0.1 + 0.06 * k, 0.1 + 0.06 * k))
    return _joined(_ball(p, 0.3, (-0.4, 0, 0)), _ball(p, 0.3, (0.4, 0, 0)), bar)


def _tube(p: Tensor, k: float) -> Tensor:
    return torch.maximum(_cylinder(p, _WIDE, _WIDE), 0.3 + 0.2 * k - _norm(p[..., :2]))


SOLIDS: dict[str, Distance] = {
    "ball": lambda p, k: _ball(p, _WIDE),
    "box": lambda p, k: _box(p, (_WIDE, 0.4 + 0.3 * k, _WIDE)),
    "cylinder": lambda p, k: _cylinder(p, _WIDE, _WIDE),
    "cone": lambda p, k: _cone(p, square=False),
    "pyramid": lambda p, k: _cone(p, square=True),
    "torus": _torus,
    "capsule": _capsule,
    "tube": _tube,
    "table": _table,
    "chair": _chair,
    "cross": _cross,
    "dumbbell": _dumbbell,
}
assert tuple(SOLIDS) == KINDS


def distance(p: Tensor, kind: str, tall: float, k: float) -> Tensor:
    """Distances of points from a solid that is stretched.

    Args:
        p: Shape (…, 3).
        tall: log2 of its height by its width, -1 to 1.
        k: What no model is told, such as how thick legs are; 0 to 1.
    """
    wide, high = (2.0**-tall, 1.0) if tall > 0 else (1.0, 2.0**tall)
    scale = torch.tensor([wide, wide, high]) * _ROOM
    return SOLIDS[kind](p / scale, k) * scale.min()


def grid_points() -> Tensor:
    """The middles of the grid's cells, (32, 32, 32, 3)."""
    axis = (torch.arange(GRID) + 0.5) / GRID * 2 - 1
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)


def grid_of(points: Tensor, kind: str, tall: float, k: float) -> Tensor:
    """A solid's distances in parts of the band, -1 to 1, at some points."""
    return (distance(points, kind, tall, k) / BAND).clamp(-1, 1)


def surface(kind: str, tall: float, k: float, count: int, rng: torch.Generator) -> Tensor:
    """Points on a solid, (count, 3): chance ones near it, drawn to it along the slope."""
    found: list[Tensor] = []
    while sum(map(len, found)) < count:
        p = torch.rand(8192, 3, generator=rng) * 2 - 1
        p = p[distance(p, kind, tall, k).abs() < 0.06]
        for _ in range(2):
            p = p.detach().requires_grad_(True)
            away = distance(p, kind, tall, k)
            (slope,) = torch.autograd.grad(away.sum(), p)
            p = p - (away / slope.square().sum(-1).clamp_min(0.1))[:, None] * slope
        found.append(p.detach())
    return torch.cat(found)[:count]
