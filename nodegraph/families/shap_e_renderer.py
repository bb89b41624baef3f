"""Render and mesh the solids that Shap-E's latents stand for.

A latent holds weights of a small network that says the density and the color of each point in a
box, and its signed distance from the surface. Here, each latent gets its own copy of that network,
so that several can be decoded at once. Imports no torch.

Source: Jun & Nichol 2023, arXiv:2305.02463; diffusers, ``pipelines/shap_e/renderer.py`` and
``camera.py``, whose order of operations gives the same bits.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.core.spatial_values import Mesh
from nodegraph.errors import NumericalError
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

OnProgress = Callable[[float], None]
"""Gets the finished share, 0 to 1; may raise, to stop."""

VIEWS, GRID = 20, 128
"""Views and cells per side of the grid, as published."""
AT_ONCE = 4096
"""Rays or points that are evaluated at a time. Another number changes the random positions."""
_COARSE, _FINE = 64, 128
"""Random positions along a ray: evenly spread ones, and further ones where there is matter."""
_LEAST_WEIGHT = 1e-5
_DISTANCE, _TILT, _FIELD_OF_VIEW = 4.0, -0.5, 0.7
"""Distance of the cameras from the middle, the part of their direction that points down, and their
angle in radians."""
_OUTSIDE = -1.0


def _no_progress(share: float) -> None:
    """Report nothing."""


def _solid_network(renderer: Any, latent: Tensor) -> Any:
    """A copy of the renderer's network with the weights that a latent stands for.

    Args:
        renderer: `ShapERenderer`.
        latent: Shape (rows, features).
    """
    network = copy.deepcopy(renderer.mlp)
    projected = renderer.params_proj(latent[None])
    for name, weight in network.named_parameters():
        weights = projected.get(f"nerstf.{name}")
        if weights is not None:
            weight.copy_(weights.squeeze(0))
    return network


def render_views(
    renderer: Any,
    latent: Tensor,
    *,
    views: int = VIEWS,
    size: int = 64,
    at_once: int = AT_ONCE,
    on_progress: OnProgress = _no_progress,
) -> Tensor:
    """Render a solid from cameras on a circle around it, slightly from above.

    The first and the last view are the same. Positions along the rays are random, and those of a
    fixed seed.

    Args:
        renderer: `ShapERenderer`, on the latent's device.
        latent: Shape (rows, features).
        size: Side of the square images in pixels.
        at_once: See `AT_ONCE`.
    Returns:
        float32 on the CPU, about 0 to 1, shape (views, size, size, 3).
    """
    network = _solid_network(renderer, latent)
    total, done, colors = views * size * size, 0, []
    for rays in _ray_batches(views, size, at_once):
        colors.append(_rendered(renderer, network, rays[None].to(latent.device))[0].float().cpu())
        done += len(rays)
        on_progress(done / total)
    return torch.cat(colors).reshape(views, size, size, -1)


def _ray_batches(views: int, size: int, count: int) -> Iterator[Tensor]:
    """Origins and directions of rays, view after view and row after row; (count, 2, 3) each."""
    from diffusers.pipelines.shap_e.camera import DifferentiableProjectiveCamera

    waiting = torch.empty(0, 2, 3)
    for axes in _camera_axes(views):
        camera = DifferentiableProjectiveCamera(
            *axes, width=size, height=size, x_fov=_FIELD_OF_VIEW, y_fov=_FIELD_OF_VIEW, shape=(1, 1)
        )
        waiting = torch.cat([waiting, camera.camera_rays[0]])
        while len(waiting) >= count:
            yield waiting[:count]
            waiting = waiting[count:]
    if len(waiting):
        yield waiting


def _camera_axes(views: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Position and axes of each camera: right, down, forward; float32, shape (1, 3) each."""
    import numpy as np

    for angle in np.linspace(0, 2 * np.pi, num=views):
        forward = np.array([np.sin(angle), np.cos(angle), _TILT])
        forward /= np.sqrt(np.sum(forward**2))
        right = np.array([np.cos(angle), -np.sin(angle), 0.0])
        vectors = -forward * _DISTANCE, right, np.cross(forward, right), forward
        origin, x, y, z = (torch.from_numpy(vector[None]).float() for vector in vectors)
        yield origin, x, y, z


def _rendered(renderer: Any, network: Any, rays: Tensor) -> Tensor:
    """Colors of rays, shape (1, rays, 3): first evenly spread positions, then further ones where
    these found matter.

    Args:
        rays: Origins and directions, shape (1, rays, 2, 3).
    """
    origin, direction = rays[..., 0, :], rays[..., 1, :]
    span = renderer.volume.intersect(origin, direction)
    # diffusers seeds torch's own generator with 0 for each batch, which others draw from, too.
    generator = torch.Generator().manual_seed(0)
    depths = _spread_depths(span, generator)
    _, weights = _integrated(renderer, network, rays, span, depths, "coarse")
    further = _weighted_depths(span, depths, weights, generator).to(rays.dtype)
    both = torch.sort(torch.cat([further, depths], dim=-2), dim=-2).values
    colors, _ = _integrated(renderer, network, rays, span, both, "fine")
    return colors


def _drawn(shape: tuple[int, ...], generator: Any, like: Tensor) -> Tensor:
    """Uniform numbers that are the same on each device."""
    return torch.rand(shape, generator=generator).to(like.device)


def _spread_depths(span: Any, generator: Any) -> Tensor:
    """A random position in each of equal parts of a ray, shape (1, rays, positions, 1)."""
    start, end = span.t0, span.t1
    shares = torch.linspace(0, 1, _COARSE).view(1, 1, -1).to(start)
    edges = start * (1.0 - shares) + end * shares
    middles = 0.5 * (edges[..., 1:] + edges[..., :-1])
    lower, upper = torch.cat([start, middles], dim=-1), torch.cat([middles, end], dim=-1)
    return (lower + (upper - lower) * _drawn(tuple(edges.shape), generator, edges)).unsqueeze(-1)


def _weighted_depths(span: Any, depths: Tensor, weights: Tensor, generator: Any) -> Tensor:
    """Random positions, more where the weights of earlier ones are higher; sorted."""
    lower, upper, _ = span.partition(depths)
    weights = weights + _LEAST_WEIGHT
    chances = weights / weights.sum(dim=-2, keepdim=True)
    sums = torch.cumsum(chances.view(-1, depths.shape[-2]), dim=1)
    drawn = _drawn((len(sums), _FINE), generator, sums)
    bins = torch.searchsorted(sums, drawn).view(*depths.shape[:-2], _FINE, 1)
    bins = bins.clamp(0, depths.shape[-2] - 1)
    low, high = torch.gather(lower, -2, bins), torch.gather(upper, -2, bins)
    inside = low + (high - low) * _drawn(tuple(bins.shape), generator, bins)
    return torch.sort(inside, dim=-2).values


def _integrated(
    renderer: Any, network: Any, rays: Tensor, span: Any, depths: Tensor, level: str
) -> tuple[Tensor, Tensor]:
    """Colors of rays, and the weight of each position; behind the box is the background.

    Args:
        level: ``coarse`` or ``fine``: which of the network's outputs counts.
    """
    from diffusers.pipelines.shap_e.renderer import integrate_samples

    origin, direction = rays[..., 0, :], rays[..., 1, :]
    positions = origin.unsqueeze(-2) + depths * direction.unsqueeze(-2)
    output = network(
        position=positions.to(network.dtype), direction=None, ts=depths, nerf_level=level
    )
    colors, weights, passing = integrate_samples(span, depths, output.density, output.channels)
    passing = torch.where(span.intersected, passing, torch.ones_like(passing))
    colors = torch.where(span.intersected, colors, torch.zeros_like(colors))
    return colors + passing * renderer.void(origin), weights


def extract_mesh(
    renderer: Any, latent: Tensor, *, grid: int = GRID, on_progress: OnProgress = _no_progress
) -> Mesh | None:
    """Extract the closed surface of a solid, with the colors of its vertices.

    Args:
        renderer: `ShapERenderer`, on the latent's device, with a table for marching cubes.
        latent: Shape (rows, features).
        grid: Cells per side of the grid, at least 2.
    Returns:
        In -1..1, with y up. None if nothing is inside.
    Raises:
        NumericalError: A distance from the surface is NaN or infinite.
    """
    network = _solid_network(renderer, latent)
    low, high = renderer.volume.bbox_min.cpu(), renderer.volume.bbox_max.cpu()
    total, distances = grid**3, []
    for start in range(0, total, AT_ONCE):
        index = torch.arange(start, min(start + AT_ONCE, total))
        cells = torch.stack([index // grid**2, index // grid % grid, index % grid], dim=1)
        points = ((cells.float() / (grid - 1)) * (high - low) + low).to(latent.device)
        distances.append(_surface_outputs(network, points).signed_distance[0, :, 0].float().cpu())
        on_progress(min(start + AT_ONCE, total) / total)
    values = torch.cat(distances)
    if not torch.isfinite(values).all():
        raise NumericalError(
            "decoding produced NaN or infinity", hint="Load the model with dtype float32."
        )
    # A border outside closes surfaces that reach the side of the box.
    field = torch.nn.functional.pad(values.reshape(grid, grid, grid), (1,) * 6, value=_OUTSIDE)
    decoder = renderer.mesh_decoder
    surface = _marching_cubes(field, decoder.cases.cpu(), decoder.masks.cpu())
    if not len(surface.faces):
        return None
    vertices = _placed(surface, field, low, high - low)
    colors = torch.cat(
        [
            _surface_outputs(network, part.to(latent.device)).channels[0].float().cpu()
            for part in torch.split(vertices, AT_ONCE)
        ]
    )
    # From z up to y up: a turn about x, which keeps the order of corners.
    x, y, z = vertices.unbind(1)
    return Mesh(torch.stack([x, z, -y], 1), surface.faces, colors)


def _surface_outputs(network: Any, points: Tensor) -> Any:
    """What the network says of points of a surface, shape (points, 3)."""
    return network(
        position=points[None].to(network.dtype),
        direction=None,
        ts=None,
        nerf_level="fine",
        rendering_mode="stf",
    )


class _Surface(NamedTuple):
    """Triangles whose corners lie on edges between two cells of a grid.

    Attributes:
        starts: Lower cell of each edge, int64, shape (vertices, 3).
        ends: Its upper cell.
        faces: int64, shape (faces, 3).
    """

    starts: Tensor
    ends: Tensor
    faces: Tensor


_EDGES = (
    *((0, (0, y, z)) for z in (0, 1) for y in (0, 1)),
    *((1, (x, 0, z)) for z in (0, 1) for x in (0, 1)),
    *((2, (x, y, 0)) for y in (0, 1) for x in (0, 1)),
)
"""Axis and lower corner of the edges of a cube, in the order of the table."""


def _marching_cubes(field: Tensor, cases: Tensor, masks: Tensor) -> _Surface:
    """Find the triangles between cells above 0 and others.

    Source: Lorensen & Cline 1987, "Marching Cubes". The order of vertices and faces is that of
    diffusers' ``MeshDecoder``, which computes the edges of all cubes, in 100 times the memory.

    Args:
        field: float32, shape (x, y, z).
        cases: By the corners that are inside, in bits: edges of triangles, shape (256, 5, 3).
        masks: Which of these triangles there are, shape (256, 5).
    """
    inside = (field > 0).to(torch.uint8)
    bits = inside[:-1] | (inside[1:] << 1)
    bits = bits[:, :-1] | (bits[:, 1:] << 2)
    bits = bits[:, :, :-1] | (bits[:, :, 1:] << 4)
    cubes = ((bits > 0) & (bits < len(cases) - 1)).nonzero()
    numbers = bits[cubes.unbind(1)].long()
    counts = [
        [side - (axis == along) for axis, side in enumerate(field.shape)] for along in range(3)
    ]
    firsts = [0, math.prod(counts[0]), math.prod(counts[0]) + math.prod(counts[1])]

    def number(along: int, corner: tuple[int, int, int]) -> Tensor:
        x, y, z = (cubes + cubes.new_tensor(corner)).unbind(1)
        _, rows, columns = counts[along]
        return firsts[along] + (x * rows + y) * columns + z

    edges = torch.stack([number(along, corner) for along, corner in _EDGES], 1)
    corners = torch.gather(edges, 1, cases[numbers].flatten(1)).reshape(-1, 3)
    used, faces = torch.unique(corners[masks[numbers].flatten()], return_inverse=True)
    starts, ends = [], []
    for along, (first, shape) in enumerate(zip(firsts, counts, strict=True)):
        own = used[(used >= first) & (used < first + math.prod(shape))] - first
        _, rows, columns = shape
        start = torch.stack([own // (rows * columns), own // columns % rows, own % columns], 1)
        step = start.new_zeros(3)
        step[along] = 1
        starts.append(start)
        ends.append(start + step)
    return _Surface(torch.cat(starts), torch.cat(ends), faces.reshape(-1, 3))


def _placed(surface: _Surface, field: Tensor, low: Tensor, size: Tensor) -> Tensor:
    """Where the distance is 0 on the edges of a surface; float32, shape (vertices, 3)."""
    most = torch.tensor(field.shape).to(size) - 1
    first, last = (field[cells.unbind(1)] for cells in (surface.starts, surface.ends))
    begin, end = ((cells.float() / most) * size + low for cells in (surface.starts, surface.ends))
    share = (first / (first - last))[:, None]
    return share * end + (1 - share) * begin
