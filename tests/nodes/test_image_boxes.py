"""Boxes on images."""

from __future__ import annotations

import pytest
import torch
from nodegraph_nodes.image_boxes import DrawBoxes
from nodegraph_nodes.image_draw import DrawShape

from tests.nodes.conftest import Bench, link

GRAY = torch.full((2, 40, 61, 3), 0.5)


def test_a_box_is_the_rectangle_that_draw_shape_draws() -> None:
    found = DrawBoxes(GRAY, "10 5 30.5 20", unit="pixels", color="#0000ff80", line=2.0)
    expected = DrawShape(GRAY, "rectangle", 10.0, 5.0, 30.5, 20.0, "#0000ff80", 2.0)
    torch.testing.assert_close(found, expected)
    assert torch.equal(GRAY, torch.full_like(GRAY, 0.5))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_boxes_add_up_and_reach_beyond_the_picture(channels: int) -> None:
    image = torch.zeros(1, 40, 60, channels)
    found = DrawBoxes(image, "[[-0.5, 0.5, 1, 2], [0.9, 0, 0.5, 0.25]]", color="red", line=0.0)
    assert found.shape == (1, 40, 60, max(3, channels))
    red = found[0, :, :, 0]
    assert red[20:, :30].min() == 1
    assert red[:10, 54:].min() == 1
    assert red[:19, :53].max() == 0


def test_labels_stand_on_their_boxes_colour() -> None:
    plain = DrawBoxes(GRAY, "0 0 60 40", unit="pixels", color="yellow")
    found = DrawBoxes(GRAY, "0 0 60 40", "fox\nleft over", unit="pixels", color="yellow", size=9)
    changed = (found != plain).any(-1)[0].nonzero()
    assert len(changed) > 20
    assert changed[:, 0].max() < 20
    assert found[0].sum(-1).min() < 0.5  # dark letters on a bright color


def test_no_boxes_are_none_and_other_texts_are_told(bench: Bench) -> None:
    for text in ("", "[]", " "):
        assert torch.equal(DrawBoxes(GRAY, text), GRAY)
    nodes = {
        "picture": {"type": "Picture"},
        "draw": {"type": "DrawBoxes", "inputs": {"image": link("picture"), "boxes": "1 2 3"}},
    }
    [problem] = bench.problems(nodes, "draw")
    assert problem.port == "boxes"
