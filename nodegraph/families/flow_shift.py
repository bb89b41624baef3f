"""How far a flow model's noise levels are shifted towards the noise, by size. Imports no torch.

Larger images need more noise to be drowned alike, so the shift grows with the tokens that the
model sees: Esser et al. 2024, arXiv:2403.03206, section 5.3.2. Families name one of these
functions, or have their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Mu = Callable[[Mapping[str, Any], int, int], float]
"""Of a scheduler file, the tokens of a latent and the steps: mu, the logarithm of the shift."""


def line_mu(config: Mapping[str, Any], tokens: float, steps: int) -> float:
    """On a line over the tokens, through the two points that the scheduler file names.

    As diffusers' pipelines of Flux.1, SD3, Qwen-Image, Z-Image, Lumina 2 and LTX find it.
    """
    fewest, most = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    rise = (high - low) / (most - fewest)
    return float(tokens * rise + (low - rise * fewest))


def flux2_mu(config: Mapping[str, Any], tokens: int, steps: int) -> float:
    """Flux.2's, measured: on a line over the steps, through points that depend on the tokens.

    Source: Black Forest Labs' flux2 repository, ``compute_empirical_mu`` in ``sampling.py``, as
    diffusers' pipeline has it.
    """
    at_200 = 0.00016927 * tokens + 0.45666666
    if tokens > 4300:
        return at_200
    at_10 = 8.73809524e-05 * tokens + 1.89833333
    rise = (at_200 - at_10) / 190.0
    return rise * steps + (at_200 - 200.0 * rise)
