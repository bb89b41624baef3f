"""Meshes of grids of distances are closed, look outward, and lie where the distances say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from nodegraph.core.spatial_values import Mesh
from nodegraph.errors import InvalidValue
from nodegraph.media.shapes.distance_grids import (
    COLOURS,
    FEATURES,
    TOKENS,
    depth_views,
    extract_surface,
    from_tokens,
    largest_piece,
    surface_points,
    to_tokens,
)
from tests.messages import raises
from tests.properties import examples

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("skimage")


def ball(radius: float, at: tuple[float, float, float] = (0, 0, 0), cells: int = 32) -> Tensor:
    """Distances from a ball; z is up."""
    axis = (torch.arange(cells) + 0.5) / cells * 2 - 1
    places = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    return torch.linalg.vector_norm(places - torch.tensor(at), dim=-1) - radius


def opened(mesh: Mesh | None) -> trimesh.Trimesh:
    assert mesh is not None
    return trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)


def test_a_ball_is_closed_and_as_large_as_it_should_be() -> None:
    found = opened(extract_surface(ball(0.6)))
    assert found.is_watertight
    assert found.volume == pytest.approx(4 / 3 * math.pi * 0.6**3, rel=0.02)
    assert np.linalg.norm(found.vertices, axis=1) == pytest.approx(0.6, abs=0.01)


def test_up_in_the_grid_is_up_in_the_mesh() -> None:
    mesh = extract_surface(ball(0.3, (0.5, 0.2, -0.4)), torch.tensor([1.0, 0.5, 0.0]))
    assert mesh is not None
    assert mesh.colors is not None
    torch.testing.assert_close(
        mesh.vertices.mean(0), torch.tensor([0.5, -0.4, -0.2]), atol=0.01, rtol=0
    )
    assert (mesh.colors == torch.tensor([1.0, 0.5, 0.0])).all()


def test_what_the_grid_cuts_off_is_closed_there() -> None:
    assert opened(extract_surface(ball(1.2))).is_watertight


def test_nothing_inside_is_no_mesh() -> None:
    assert extract_surface(torch.ones(4, 4, 4)) is None


@settings(max_examples=examples(15), deadline=None)
@given(arrays(np.float32, (5, 4, 6), elements=st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0])))
def test_any_grid_gives_closed_meshes(grid: np.ndarray) -> None:
    mesh = extract_surface(torch.from_numpy(grid))
    if mesh is not None:
        assert opened(mesh).is_watertight
        assert opened(mesh).volume > 0


def test_crumbs_are_left_out() -> None:
    both = torch.minimum(ball(0.5, (-0.3, 0, 0)), ball(0.15, (0.7, 0.7, 0.7)))
    mesh = extract_surface(both, torch.rand(3))
    assert mesh is not None
    assert opened(mesh).body_count == 2
    large = largest_piece(mesh)
    assert opened(large).is_watertight
    assert opened(large).body_count == 1
    assert large.colors is not None
    assert len(large.colors) == len(large.vertices)
    assert float(large.vertices[:, 0].max()) < 0.25
    assert largest_piece(large) is large


def test_points_lie_on_the_mesh_and_evenly() -> None:
    mesh = extract_surface(ball(0.6), torch.tensor([0.1, 0.2, 0.3]))
    assert mesh is not None
    cloud = surface_points(mesh, 4000, seed=3)
    lengths = torch.linalg.vector_norm(cloud.points, dim=1)
    assert float((lengths - 0.6).abs().max()) < 0.02
    assert float(cloud.points.mean(0).abs().max()) < 0.03
    assert cloud.colors is not None
    assert float((cloud.colors - torch.tensor([0.1, 0.2, 0.3])).abs().max()) < 1e-6
    assert torch.equal(surface_points(mesh, 50, 7).points, surface_points(mesh, 50, 7).points)
    assert not torch.equal(surface_points(mesh, 50, 7).points, surface_points(mesh, 50, 8).points)


def test_a_mesh_without_area_has_no_place_for_points() -> None:
    flat = Mesh(torch.zeros(3, 3), torch.tensor([[0, 1, 2]]))
    with raises(InvalidValue, port="mesh"):
        surface_points(flat, 10)


def test_grids_that_are_not_finite_are_refused() -> None:
    with raises(InvalidValue, port="latent", given="shape (4, 4, 4)"):
        extract_surface(torch.full((4, 4, 4), math.nan))


def test_tokens_hold_grid_and_colour() -> None:
    grids = torch.stack([ball(0.6), ball(0.3, (0.5, 0.2, -0.4))]).clamp(-1, 1)
    colours = torch.tensor([COLOURS["red"], COLOURS["black"]])
    tokens = to_tokens(grids, colours)
    assert tokens.shape == (2, TOKENS, FEATURES)
    back, told = from_tokens(tokens)
    assert torch.equal(back, grids)
    torch.testing.assert_close(told, colours)
    # a token is a cube of its place: the first is the corner of least x, y and z
    assert torch.equal(tokens[0, 0, :512], grids[0, :8, :8, :8].flatten())
    views = depth_views(tokens)
    assert views.shape == (2, 3, 32, 32)
    # the second lies below the middle and to the right, and nothing else is lit
    lit = (views[1].amax(0) > -1).nonzero().float().mean(0)
    assert lit[0] > 20
    assert lit[1] > 20


def test_what_is_smoothed_has_fewer_steps_and_stays_closed() -> None:
    rng = np.random.default_rng(0)
    stepped = ball(0.6) + 0.06 * torch.from_numpy(rng.standard_normal((32, 32, 32))).float()

    def spread(smooth: float) -> float:
        found = opened(extract_surface(stepped, smooth=smooth))
        assert found.is_watertight
        return float(np.linalg.norm(found.vertices, axis=1).std())

    assert spread(0.7) < spread(0) / 2
