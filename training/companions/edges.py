"""Edges as a control network wants them, and how far two maps of them agree."""

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.media.images.preprocessing import find_edges

__all__ = ["agreement", "as_condition", "find_edges"]


def as_condition(edges: Tensor) -> Tensor:
    """Edges, (n, 1, h, w), as a control network wants them: (n, 3, h, w)."""
    return edges.float().expand(-1, 3, -1, -1)


def agreement(first: Tensor, second: Tensor, reach: int = 2) -> Tensor:
    """F1 of two edge maps, a pixel counting as met if the other has one within `reach` pixels.

    Args:
        first, second: (n, 1, h, w), 0 or 1.

    Returns:
        (n,), 0..1; 1 where both are empty.
    """
    met_first = (first * _grown(second, reach)).sum((1, 2, 3))
    met_second = (second * _grown(first, reach)).sum((1, 2, 3))
    many_first, many_second = first.sum((1, 2, 3)), second.sum((1, 2, 3))
    precision = met_first / many_first.clamp(min=1)
    recall = met_second / many_second.clamp(min=1)
    score = 2 * precision * recall / (precision + recall).clamp(min=1e-9)
    return torch.where((many_first + many_second) == 0, torch.ones_like(score), score)


def _grown(edges: Tensor, reach: int) -> Tensor:
    return functional.max_pool2d(edges, 2 * reach + 1, 1, reach)
