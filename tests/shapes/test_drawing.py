"""Shapes are drawn so large that they fit, lit, and what is nearer hides what is behind."""

from __future__ import annotations

import torch

from nodegraph import Mesh, PointCloud
from nodegraph.media.shapes.rendering import draw_shape, turntable
from tests.shapes.making import box, cloud, square

RED, BLUE = [1.0, 0, 0], [0, 0, 1.0]


def flat(z: float, size: float, color: list[float]) -> Mesh:
    """A square that faces the camera."""
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * size
    corners[:, 2] = z
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    return Mesh(corners, faces, torch.tensor(color).expand(4, 3))


def together(*meshes: Mesh) -> Mesh:
    faces = torch.cat([mesh.faces + 4 * at for at, mesh in enumerate(meshes)])
    colors = torch.cat([mesh.colors for mesh in meshes if mesh.colors is not None])
    return Mesh(torch.cat([mesh.vertices for mesh in meshes]), faces, colors)


def front(mesh: Mesh | PointCloud, angle: float = 0) -> torch.Tensor:
    return draw_shape(mesh, 64, angle=angle, elevation=0)[0]


def test_what_is_nearer_hides_what_is_behind() -> None:
    near, far = flat(0.5, 0.4, RED), flat(-0.5, 1, BLUE)
    for mesh in (together(near, far), together(far, near)):
        picture = front(mesh)
        assert picture[32, 32].argmax() == 0
        assert picture[32, 18].argmax() == 2
        behind = front(mesh, angle=180)
        assert behind[32, 32].argmax() == 2


def test_a_surface_has_no_gaps_and_its_edges_are_where_they_belong() -> None:
    picture = front(flat(0, 1, RED))
    is_red = picture[..., 0] > 0.3
    # The square's corners lie on the ball that fits into the image.
    half = 0.94 * 32 / 2**0.5
    inside = round(32 - half) + 1, round(32 + half) - 1
    assert is_red[slice(*inside), slice(*inside)].all()
    assert is_red.sum() < (2 * half + 3) ** 2


def test_a_texture_is_seen_as_it_lies() -> None:
    plain = square()
    picture = front(plain)
    below_left, below_right, above_left = picture[44, 16], picture[44, 48], picture[20, 16]
    assert below_left.argmax() == 0
    assert below_right.argmax() == 2
    assert above_left.sum() < below_left.sum()


def test_sides_are_lit_differently() -> None:
    corner = draw_shape(box(), 64, angle=45)[0]
    grays = {round(float(value), 2) for value in corner.mean(-1).flatten() if value > 0.2}
    assert len(grays) >= 3


def test_a_turn_shows_it_from_all_sides_and_tells_of_each() -> None:
    told: list[int] = []

    found = turntable(box(is_colored=True), 4, 32, on_progress=told.append)

    assert found.shape == (4, 32, 32, 3)
    assert (found.dtype, told) == (torch.float32, [1, 2, 3, 4])
    assert 0 <= found.min() <= found.max() <= 1
    assert all(not torch.equal(found[0], other) for other in found[1:])
    assert torch.equal(turntable(box(is_colored=True), 4, 32), found)


def test_points_are_drawn_in_their_colors_the_nearer_ones_before() -> None:
    two = PointCloud(torch.tensor([[0.0, 0, 1], [0, 0, -1]]), torch.tensor([RED, BLUE]))
    assert front(two)[32, 32].argmax() == 0
    assert front(two, angle=180)[32, 32].argmax() == 2
    assert (front(cloud()) > 0.5).any()


def test_degenerate_shapes_are_drawn_as_what_is_left_of_them() -> None:
    line = Mesh(torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), torch.tensor([[0, 1, 2]]))
    point = Mesh(torch.zeros(3, 3), torch.tensor([[0, 0, 0]]))
    far = Mesh(torch.tensor([[0.0, 0, 0], [1e30, 0, 0], [0, 1e30, 0]]), torch.tensor([[0, 1, 2]]))
    for shape in (line, point, far, PointCloud(torch.zeros(1, 3))):
        assert draw_shape(shape, 16).isfinite().all()
