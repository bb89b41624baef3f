"""Surfaces of voxel grids: blocks and surface nets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from nodegraph.core.spatial_values import Mesh, Voxels
from nodegraph.errors import InvalidValue, NumericalError

if TYPE_CHECKING:
    from torch import Tensor

SurfaceAlgorithm = Literal["surface_net", "blocks"]
MOST_VOXELS = 1 << 27
"""512 per side: tables of indices then take 1 GiB."""
_NEXT = ((1, 2), (2, 0), (0, 1))
"""The two other axes of each axis, in the order that makes them right-handed."""


def mesh_from_voxels(
    voxels: Voxels, threshold: float = 0.6, algorithm: SurfaceAlgorithm = "surface_net"
) -> Mesh:
    """Extract the closed surface around the voxels above a threshold.

    The longest side of the grid spans -1 to 1, and the middle of the grid is at 0. Surfaces are
    closed at the border of the grid: beyond it, numbers are 0, or the threshold if it is lower.

    Source of the scale, the blocks' places and the threshold: ComfyUI,
    ``comfy_extras/nodes_hunyuan3d.py``. Its surface nets lie half a voxel higher on each axis, and
    are open where a solid touches the far border; grids that are no cubes are off the middle.

    Args:
        threshold: Numbers above it are inside.
        algorithm: ``blocks`` gives each voxel's outer sides as squares. ``surface_net`` gives one
            vertex per cell between eight voxels, at the mean of the crossings of the cell's edges:
            Gibson 1998, "Constrained Elastic Surface Nets".
    Returns:
        A mesh without colors. Each edge has as many triangles on one side as on the other.
    Raises:
        InvalidValue: There are no voxels, too many, or none above the threshold; or the algorithm
            is unknown.
        NumericalError: NaN or infinity.
    """
    values = check_voxels(voxels).detach().cpu().float()
    if algorithm not in get_args(SurfaceAlgorithm):
        raise InvalidValue(
            f"there is no surface algorithm {algorithm!r}",
            port="algorithm",
            expected=", ".join(get_args(SurfaceAlgorithm)),
        )
    if not bool((values > threshold).any()):
        raise InvalidValue(
            "no voxel is above the threshold, so there is no surface",
            port="threshold",
            given=f"{threshold:g}, with voxels from {float(values.min()):g} "
            f"to {float(values.max()):g}",
            hint="Use a lower threshold.",
        )
    extract = _blocks if algorithm == "blocks" else _surface_net
    vertices, faces = extract(values, threshold)
    longest = max(values.shape)
    sizes = vertices.new_tensor(values.shape)
    # Half of each side, so that the middle of grids that are no cubes is at 0, too.
    vertices = (vertices - sizes / 2) / (longest / 2)
    # From z, y, x to x, y, z, which mirrors: the corners change their order for it.
    return Mesh(vertices.flip(1).contiguous(), faces.flip(1).contiguous())


def check_voxels(voxels: Voxels, port: str = "voxels") -> Tensor:
    """Refuse grids that have no surface; the numbers of the others.

    Args:
        port: Input that errors name.

    Raises:
        InvalidValue: The grid has not three dimensions, or no voxels, or too many.
        NumericalError: NaN or infinity.
    """
    values = voxels.values
    if values.ndim != 3 or not 0 < values.numel() <= MOST_VOXELS:
        raise InvalidValue(
            "this is not a grid of voxels",
            port=port,
            given=f"shape {tuple(values.shape)}",
            expected=f"(depth, height, width), 1 to {MOST_VOXELS:,} voxels",
        )
    if not bool(values.isfinite().all()):
        raise NumericalError("some voxels have no number: NaN or infinity", port=port)
    return values


def _padded(values: Tensor, beyond: float) -> Tensor:
    import torch

    return torch.nn.functional.pad(values, (1,) * 6, value=beyond)


def _blocks(values: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Corners and triangles of the outer sides of voxels.

    Returns:
        Corners in voxels, float32, shape (corners, 3): z, y, x. Triangles, int64, shape
        (triangles, 3), counter-clockwise as seen from outside in these axes.
    """
    import torch

    solid = values > threshold
    padded = _padded(solid.to(torch.uint8), 0).bool()
    squares = []
    for axis, (second, third) in enumerate(_NEXT):
        for side in (0, 1):
            middle = padded.roll(1 if side == 0 else -1, axis)[1:-1, 1:-1, 1:-1]
            corner = (solid & ~middle).nonzero()
            corner[:, axis] += side
            # In the direction of the axis counter-clockwise, the other way around for the low side.
            turns = ((0, 0), (1, 0), (1, 1), (0, 1))
            steps = corner.new_zeros(4, 3)
            for at, (along, across) in enumerate(turns if side else turns[::-1]):
                steps[at, second], steps[at, third] = along, across
            squares.append(corner[:, None] + steps)
    corners = torch.cat(squares).reshape(-1, 3)
    wide = corners.new_tensor([side + 1 for side in values.shape])
    keys = (corners[:, 0] * wide[1] + corners[:, 1]) * wide[2] + corners[:, 2]
    # A corner that several squares share is one vertex, so that the surface is closed.
    kept, numbers = torch.unique(keys, return_inverse=True)
    places = torch.stack(
        [kept // (wide[1] * wide[2]), kept // wide[2] % wide[1], kept % wide[2]], 1
    )
    return places.float(), _triangles(numbers.reshape(-1, 4))


def _surface_net(values: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """One vertex for each cell that the surface crosses; see `_blocks` for what is returned."""
    import torch

    padded = _padded(values, min(0.0, threshold))
    inside = padded > threshold
    cells = tuple(side - 1 for side in padded.shape)
    corners = [
        inside[z : z + cells[0], y : y + cells[1], x : x + cells[2]]
        for z in (0, 1)
        for y in (0, 1)
        for x in (0, 1)
    ]
    everywhere, anywhere = corners[0].clone(), corners[0].clone()
    for corner in corners[1:]:
        everywhere &= corner
        anywhere |= corner
    crossed = anywhere & ~everywhere
    numbers = torch.full(cells, -1, dtype=torch.int64)
    total = int(crossed.sum())
    numbers[crossed] = torch.arange(total)
    sums, crossings = torch.zeros(total, 3), torch.zeros(total)
    squares = []
    for axis, (second, third) in enumerate(_NEXT):
        ends = inside.narrow(axis, 0, cells[axis]), inside.narrow(axis, 1, cells[axis])
        start = (ends[0] != ends[1]).nonzero()
        stop = start.clone()
        stop[:, axis] += 1
        low, high = padded[start.unbind(1)], padded[stop.unbind(1)]
        places = start.float()
        places[:, axis] += (threshold - low) / (high - low)
        around = []
        for along, across in ((-1, -1), (0, -1), (0, 0), (-1, 0)):
            cell = start.clone()
            cell[:, second] += along
            cell[:, third] += across
            number = numbers[cell.unbind(1)]
            sums.index_add_(0, number, places)
            crossings.index_add_(0, number, torch.ones(len(number)))
            around.append(number)
        square = torch.stack(around, 1)
        # The surface faces the end that is outside.
        leaves = inside[start.unbind(1)][:, None]
        squares.append(torch.where(leaves, square, square.flip(1)))
    # The padding moved each voxel by one, and its middle is at one half.
    return sums / crossings[:, None] - 0.5, _triangles(torch.cat(squares))


def _triangles(squares: Tensor) -> Tensor:
    """Two triangles for each square; shape (squares, 4) becomes (2 * squares, 3)."""
    return squares[:, (0, 1, 2, 0, 2, 3)].reshape(-1, 3)
