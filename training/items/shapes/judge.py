"""How right shapes are: against solids that are drawn by their formulas."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from torch import Tensor

from nodegraph.core.spatial_values import Mesh
from nodegraph.media.shapes.distance_grids import COLOURS, KINDS, surface_points
from training.items.shapes.solids import surface

POINTS = 256
"""Of each cloud that is compared."""


@dataclass(frozen=True)
class Asked:
    """What shapes were asked for: places of kinds and colours, and how tall; each (count,)."""

    kinds: Tensor
    colours: Tensor
    tall: Tensor


def asked_for(count: int, seed: int) -> Asked:
    """As many of each kind; of colours and heights by chance."""
    rng = np.random.default_rng(seed)
    return Asked(
        torch.arange(count) % len(KINDS),
        torch.from_numpy(rng.integers(0, len(COLOURS), count)),
        torch.from_numpy(rng.uniform(-1, 1, count).astype(np.float32)),
    )


def rendered(asked: Asked, seed: int) -> Tensor:
    """Clouds of the solids themselves, (count, 256, 3); what nobody is told is drawn by chance."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    pairs = zip(asked.kinds.tolist(), asked.tall.tolist(), strict=True)
    return torch.stack(
        [surface(KINDS[kind], tall, float(rng.random()), POINTS, generator) for kind, tall in pairs]
    )


def clouds_of(meshes: Sequence[Mesh]) -> Tensor:
    """Clouds of meshes, (count, 256, 3), z being up."""
    points = torch.stack([surface_points(mesh, POINTS).points for mesh in meshes])
    return torch.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def chamfer(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distances to the nearest, both ways.

    Args:
        first, second: Shapes (n, points, 3) and (m, points, 3).
    Returns:
        Shape (n, m).
    """
    rows = []
    for cloud in first:
        apart = torch.cdist(cloud.expand(len(second), -1, -1), second)
        rows.append(apart.amin(2).square().mean(1) + apart.amin(1).square().mean(1))
    return torch.stack(rows)


class ShapeJudge:
    """Compares clouds with a library of solids, and with as many that weren't told.

    Args:
        asked: What is judged.
        seed: Of the library and of the solids that are to be covered.
    """

    def __init__(self, asked: Asked, seed: int) -> None:
        self._asked = asked
        twice = asked_for(2 * len(asked.kinds), seed)
        self._kinds = twice.kinds
        self._library = rendered(twice, seed + 1)
        self.renders = rendered(asked, seed + 2)
        self._palette = torch.tensor(list(COLOURS.values()))

    def figures(self, clouds: Tensor, held: Sequence[int]) -> dict[str, float]:
        """Of clouds of those that were asked for at some places.

        Returns:
            ``nearest_right``, ``coverage`` of the renders (two thirds for equal distributions),
            ``chamfer``, and ``proportion_error`` in octaves.
        """
        places = torch.tensor(held)
        near = chamfer(clouds, self._library)
        kinds = self._kinds[near.argmin(1)]
        covered = set(chamfer(clouds, self.renders).argmin(1).tolist())
        error = (_tallness(clouds) - _tallness(self.renders[places])).abs()
        return {
            "nearest_right": float((kinds == self._asked.kinds[places]).float().mean()),
            "coverage": len(covered) / len(self.renders),
            "chamfer": float(near.amin(1).mean()),
            "proportion_error": float(error.mean()),
        }

    def colours_right(self, colours: Tensor, held: Sequence[int]) -> float:
        """Share of colours, (count, 3), that are nearest to the one asked for."""
        nearest = torch.cdist(colours, self._palette).argmin(1)
        return float((nearest == self._asked.colours[torch.tensor(held)]).float().mean())


def _tallness(clouds: Tensor) -> Tensor:
    size = clouds.amax(1) - clouds.amin(1)
    return (size[:, 2] / size[:, 0]).log2()


def soundness(meshes: Sequence[Mesh]) -> dict[str, float]:
    """Share of meshes that are closed, and pieces of each, as trimesh counts them."""
    opened = [
        trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False) for mesh in meshes
    ]
    return {
        "watertight": float(np.mean([item.is_watertight for item in opened])),
        "outward": float(
            np.mean([item.is_winding_consistent and item.volume > 0 for item in opened])
        ),
        "pieces": float(np.mean([item.body_count for item in opened])),
    }
