"""Meshes of voxels are closed, look outward, and lie where the voxels are."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from nodegraph import Mesh, Voxels
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.shapes.voxel_surfaces import SurfaceAlgorithm, mesh_from_voxels
from tests.messages import raises

ALGORITHMS: list[SurfaceAlgorithm] = ["surface_net", "blocks"]


def ball(radius: float, *shape: int) -> Voxels:
    """Numbers that are 0.5 on a sphere in the middle of a grid; the radius in voxels."""
    axes = [torch.arange(side) + 0.5 - side / 2 for side in shape]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    return Voxels((0.5 + radius - torch.linalg.vector_norm(places, dim=-1)).clamp(0, 1))


def volume(mesh: Mesh) -> float:
    """Signed volume within a mesh: above 0 where triangles face outward."""
    a, b, c = mesh.vertices[mesh.faces].double().unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def is_closed(mesh: Mesh) -> bool:
    """Whether each edge has as many triangles in one direction as in the other."""
    edges = Counter(
        (face[at], face[(at + 1) % 3]) for face in mesh.faces.tolist() for at in range(3)
    )
    return all(edges[b, a] == count for (a, b), count in edges.items())


@pytest.mark.parametrize(("algorithm", "within"), [("surface_net", 0.02), ("blocks", 0.02)])
def test_a_ball_has_its_volume_and_is_closed(algorithm: SurfaceAlgorithm, within: float) -> None:
    mesh = mesh_from_voxels(ball(12, 32, 32, 32), 0.5, algorithm)

    assert is_closed(mesh)
    assert volume(mesh) == pytest.approx(4 / 3 * math.pi * (12 / 16) ** 3, rel=within)
    middle = mesh.vertices.amin(0) + mesh.vertices.amax(0)
    torch.testing.assert_close(middle, torch.zeros(3), rtol=0, atol=1e-5)


def test_a_surface_net_lies_on_the_sphere() -> None:
    mesh = mesh_from_voxels(ball(12, 32, 32, 32), 0.5)
    distances = torch.linalg.vector_norm(mesh.vertices, dim=1) * 16
    torch.testing.assert_close(distances, torch.full_like(distances, 12), rtol=0, atol=0.1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("threshold", [-0.5, 0.0, 0.6])
def test_a_solid_that_fills_its_grid_is_closed_at_the_border(
    algorithm: SurfaceAlgorithm, threshold: float
) -> None:
    mesh = mesh_from_voxels(Voxels(torch.ones(3, 4, 5)), threshold, algorithm)
    assert is_closed(mesh)
    assert volume(mesh) > 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", range(3))
def test_noise_is_closed(algorithm: SurfaceAlgorithm, seed: int) -> None:
    values = torch.rand(6, 5, 7, generator=torch.Generator().manual_seed(seed))
    mesh = mesh_from_voxels(Voxels(values), 0.6, algorithm)
    assert is_closed(mesh)
    if algorithm == "blocks":
        filled = int((values > 0.6).sum())
        assert volume(mesh) == pytest.approx(filled / 3.5**3, rel=1e-5)


def test_one_voxel_is_a_cube_at_its_place() -> None:
    values = torch.zeros(2, 4, 4)
    values[1, 3, 0] = 1  # near the viewer, at the top, on the left

    mesh = mesh_from_voxels(Voxels(values), 0.5, "blocks")

    assert mesh.vertices.shape == (8, 3)
    assert mesh.faces.shape == (12, 3)
    assert mesh.vertices.amin(0).tolist() == [-1.0, 0.5, 0.0]
    assert mesh.vertices.amax(0).tolist() == [-0.5, 1.0, 0.5]


def test_numbers_at_the_threshold_are_outside() -> None:
    values = torch.zeros(3, 3, 3)
    values[1, 1, 1], values[0, 0, 0] = 0.75, 0.5
    assert mesh_from_voxels(Voxels(values), 0.5, "blocks").faces.shape == (12, 3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_grid_without_a_solid_is_refused(algorithm: SurfaceAlgorithm) -> None:
    with raises(InvalidValue, port="threshold", given="0.6, with voxels from 0 to 0.5"):
        mesh_from_voxels(Voxels(torch.tensor([[[0.0, 0.5]]])), 0.6, algorithm)


@pytest.mark.parametrize("shape", [(0, 3, 3), (3, 3), (1, 3, 3, 3)])
def test_what_is_no_grid_is_refused(shape: tuple[int, ...]) -> None:
    with raises(InvalidValue, port="voxels", given=f"shape {shape}"):
        mesh_from_voxels(Voxels(torch.ones(shape)))


def test_a_grid_that_is_too_large_is_refused() -> None:
    grid = torch.ones(1, 1, 1).expand(1024, 512, 512)
    with raises(InvalidValue, port="voxels", given="shape (1024, 512, 512)"):
        mesh_from_voxels(Voxels(grid))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_grid_with_no_number_is_refused(number: float) -> None:
    values = torch.ones(3, 3, 3)
    values[1, 1, 1] = number
    with raises(NumericalError, port="voxels"):
        mesh_from_voxels(Voxels(values))


def test_an_unknown_algorithm_is_refused() -> None:
    with raises(InvalidValue, port="algorithm"):
        mesh_from_voxels(Voxels(torch.ones(1, 1, 1)), 0.6, "cubes")  # type: ignore[arg-type]
