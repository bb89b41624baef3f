"""Blurred attention, for smoothed energy guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nodegraph.diffusion.guiders.perturbing import Attend
from nodegraph.diffusion.guiders.token_grid import blurred, grid_of


def smoothing(sigma: float, cells: Callable[[], Sequence[int]]) -> Attend:
    """Self-attention of a UNet whose scores are blurred, by blurring the queries.

    Source: Hong 2024, arXiv:2408.00760, section 4.2.

    Args:
        sigma: Standard deviation in cells of the layer; from `token_grid.WHOLE` on it is the mean.
        cells: Tells height and width of what the UNet is shown of the latent.
    """

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor | None:
        grid = grid_of(query.shape[-2], *cells())
        if grid is None:
            return None
        across = query.mT.flatten(0, 1)
        smooth = blurred(across.reshape(*across.shape[:2], *grid), sigma)
        smooth = smooth.reshape(query.mT.shape).mT
        return scaled_dot_product_attention(smooth, key, value)

    return attend
