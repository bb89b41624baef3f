"""Functions of exponential integrators: of the length of a step in log-SNR, which may be infinite.

In the last step the noise ends, and log-SNR with it.
"""

from __future__ import annotations

import torch
from torch import Tensor


def decay_factor(rate: float, step: Tensor) -> Tensor:
    """exp(-rate · step): what is left of x, over its noise, after a step.

    Args:
        rate: 0 or more; at 0 it is 1 however long the step.
        step: Above 0; 0-dimensional, float32.
    """
    return torch.exp(-rate * step) if rate else torch.ones_like(step)
