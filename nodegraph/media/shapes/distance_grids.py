"""Signed distance grids: tokens for diffusion, surface meshes, surface points."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, get_args

from nodegraph.core.spatial_values import Mesh, PointCloud
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from torch import Tensor

GRID = 32
"""Cells along a side of the grid, which spans -1 to 1 in each direction; z is up."""

BAND = 0.15
"""Distances are cut off there, and told in parts of it."""

SMOOTH = 0.7
"""Standard deviation, in cells, of the blur that takes away seams where cubes meet."""

CUBE = 8
SIDE = GRID // CUBE
TOKENS, FEATURES = SIDE**3, CUBE**3 + 3

Solid = Literal[
    "ball",
    "box",
    "cylinder",
    "cone",
    "pyramid",
    "torus",
    "capsule",
    "tube",
    "table",
    "chair",
    "cross",
    "dumbbell",
]
KINDS: tuple[Solid, ...] = get_args(Solid)

SolidColour = Literal["red", "orange", "yellow", "green", "blue", "purple", "white", "black"]
COLOURS: dict[SolidColour, tuple[float, float, float]] = {
    "red": (0.85, 0.15, 0.15),
    "orange": (0.95, 0.55, 0.1),
    "yellow": (0.95, 0.85, 0.2),
    "green": (0.2, 0.7, 0.3),
    "blue": (0.15, 0.35, 0.85),
    "purple": (0.55, 0.25, 0.75),
    "white": (0.95, 0.95, 0.95),
    "black": (0.1, 0.1, 0.1),
}


def to_tokens(grids: Tensor, colours: Tensor) -> Tensor:
    """Grids and their colors as tokens.

    Args:
        grids: Distances in parts of the band, -1 (inside) to 1; shape (batch, 32, 32, 32).
        colours: In 0..1, shape (batch, 3).
    Returns:
        Shape (batch, 64, 515).
    """
    import torch

    tint = (colours * 2 - 1)[:, None].expand(-1, TOKENS, 3)
    return torch.cat([_cubes(grids), tint], -1)


def from_tokens(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """What `to_tokens` made tokens of: grids, and colors in 0..1."""
    colours = (tokens[..., CUBE**3 :].mean(1) + 1) / 2
    return _grids(tokens[..., : CUBE**3]), colours.clamp(0, 1)


def _cubes(grids: Tensor) -> Tensor:
    cut = grids.reshape(-1, SIDE, CUBE, SIDE, CUBE, SIDE, CUBE).permute(0, 1, 3, 5, 2, 4, 6)
    return cut.reshape(len(grids), TOKENS, CUBE**3)


def _grids(cubes: Tensor) -> Tensor:
    cut = cubes.reshape(-1, SIDE, SIDE, SIDE, CUBE, CUBE, CUBE).permute(0, 1, 4, 2, 5, 3, 6)
    return cut.reshape(-1, GRID, GRID, GRID)


def depth_views(tokens: Tensor) -> Tensor:
    """What is seen of shapes from the front, the darker the farther away.

    Args:
        tokens: Shape (batch, 64, 515).
    Returns:
        In -1..1, shape (batch, 3, 32, 32).
    """
    import torch

    grids, colours = from_tokens(tokens)
    inside = grids < 0
    # The front is where y is least; argmax of booleans is the first that is true.
    depth = inside.to(torch.uint8).argmax(2).float() / GRID
    shade = torch.where(inside.any(2), 1 - 0.7 * depth, 0.0)
    upright = shade.transpose(1, 2).flip(1)
    return (colours[:, :, None, None] * upright[:, None]) * 2 - 1


def check_meshing_installed() -> None:
    """Refuse to make meshes where scikit-image is missing.

    Raises:
        InvalidValue: So it is.
    """
    if find_spec("skimage") is None:
        raise InvalidValue(
            "meshes from grids need the package scikit-image, which is not installed",
            hint="Run `pip install 'nodegraph[shapes]'`.",
        )


def extract_surface(
    grid: Tensor, color: Tensor | None = None, *, smooth: float = 0.0
) -> Mesh | None:
    """The closed surface where signed distances are zero; None where nothing lies inside.

    Source: Lewiner et al. 2003, "Efficient implementation of Marching Cubes' cases".

    Args:
        grid: Below 0 inside, shape (x, y, z), z being up; at the middles of cells that fill -1 to
            1 in each direction.
        color: In 0..1, shape (3,); of all vertices.
        smooth: Standard deviation, in cells, of the blur of the distances before; 0 is none.
    Raises:
        InvalidValue: scikit-image isn't installed, or the grid isn't of three dimensions and
            finite.
    """
    import numpy as np
    import torch

    check_meshing_installed()
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes

    if grid.ndim != 3 or not torch.isfinite(grid).all():
        raise InvalidValue(
            "a distance grid must have three dimensions and finite numbers",
            port="latent",
            given=f"shape {tuple(grid.shape)}",
        )
    distances = torch.from_numpy(gaussian_filter(grid.float().numpy(), smooth, mode="nearest"))
    # A rim that is outside closes what the grid cuts off.
    padded = torch.nn.functional.pad(distances, (1,) * 6, value=1.0).numpy()
    if padded.min() >= 0:
        return None
    # A vertex at the very middle of a cell would be that of several edges, and faces degenerate.
    padded = np.where(padded == 0, np.float32(1e-6), padded)
    places, faces, _, _ = marching_cubes(padded, 0.0)
    places = (places - 0.5) / np.array(grid.shape) * 2 - 1
    upright = np.stack([places[:, 0], places[:, 2], -places[:, 1]], 1).astype(np.float32)
    vertices = torch.from_numpy(upright)
    turned = torch.from_numpy(faces.astype(np.int64))
    colors = None if color is None else color.float().expand(len(vertices), 3).contiguous()
    return Mesh(vertices, turned, colors)


def largest_piece(mesh: Mesh) -> Mesh:
    """The piece of a mesh that has the most faces, without the others."""
    import numpy as np
    import torch
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    faces, count = mesh.faces.numpy(), len(mesh.vertices)
    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count))
    pieces, piece_of = connected_components(links, directed=False)
    if pieces == 1:
        return mesh
    most = np.bincount(piece_of[faces[:, 0]], minlength=pieces).argmax()
    kept = piece_of == most
    places = torch.from_numpy(np.cumsum(kept) - 1)
    mask = torch.from_numpy(kept)
    faces_kept = places[mesh.faces[mask[mesh.faces[:, 0]]]]
    colors = None if mesh.colors is None else mesh.colors[mask]
    return Mesh(mesh.vertices[mask], faces_kept, colors)


def surface_points(mesh: Mesh, count: int, seed: int = 0) -> PointCloud:
    """Points spread evenly by chance over a mesh, with the colors of its vertices.

    Args:
        count: How many, at least 1.
        seed: Equal ones give equal points.
    Raises:
        InvalidValue: The mesh has no face with an area.
    """
    import numpy as np
    import torch

    corners = mesh.vertices[mesh.faces].double()
    sides = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = torch.linalg.vector_norm(torch.linalg.cross(*sides), dim=1)
    if not len(areas) or float(areas.sum()) <= 0:
        raise InvalidValue("the mesh has no surface to sample points on", port="mesh")
    rng = np.random.default_rng(seed)
    ends = torch.cumsum(areas, 0)
    drawn = torch.from_numpy(rng.random(count)) * ends[-1]
    chosen = torch.searchsorted(ends, drawn, right=True).clamp_max(len(ends) - 1)
    first, second = (torch.from_numpy(rng.random(count))[:, None] for _ in range(2))
    # Folding the square along its diagonal leaves each place of the triangle equally likely.
    folded = first + second > 1
    first, second = torch.where(folded, 1 - first, first), torch.where(folded, 1 - second, second)

    def at(values: Tensor) -> Tensor:
        a, b, c = values[mesh.faces[chosen]].double().unbind(1)
        mixed: Tensor = a + first * (b - a) + second * (c - a)
        return mixed.float()

    return PointCloud(at(mesh.vertices), None if mesh.colors is None else at(mesh.colors))
