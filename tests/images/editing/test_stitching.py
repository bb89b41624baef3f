"""Two images edge to edge."""

from __future__ import annotations

import pytest
import torch

from nodegraph.media.images.editing.compositing import StitchSide, stitch

SMALL, LARGE = torch.full((1, 2, 3, 1), 0.25), torch.ones(2, 4, 8, 3)
RED = (1.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("side", "shape"),
    [
        ("right", (2, 4, 8 + 1 + 6, 3)),
        ("left", (2, 4, 8 + 1 + 6, 3)),
        ("below", (2, 4 + 1 + 5, 8, 3)),
        ("above", (2, 4 + 1 + 5, 8, 3)),
    ],
)
def test_edges_are_alike(side: StitchSide, shape: tuple[int, ...]) -> None:
    made = stitch(LARGE, SMALL, side, match=True, gap=1, color=RED)
    assert made.shape == shape
    first = made[:, :1, :1] if side in ("right", "below") else made[:, -1:, -1:]
    assert (first == 1).all()


def test_sizes_that_stay_lie_in_the_middle() -> None:
    made = stitch(SMALL, LARGE[:1], "left", match=False, gap=0, color=RED)
    assert made.shape == (1, 4, 11, 3)
    assert made[0, :, 10, 0].tolist() == [1, 0.25, 0.25, 1]
    assert made[0, :, 10, 1].tolist() == [0, 0.25, 0.25, 0]
