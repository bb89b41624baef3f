"""A guider."""

from torch import Tensor

from nodegraph.diffusion import guider


@guider("rescaled")
def rescaled(positive: Tensor, negative: Tensor, scale: float) -> Tensor:
    """As strong as the positive prediction. Source: Lin et al. 2023, arXiv:2305.08891, eq. 15."""
    guided = negative + scale * (positive - negative)
    axes = tuple(range(1, guided.ndim))
    return guided * positive.std(axes, keepdim=True) / guided.std(axes, keepdim=True)
