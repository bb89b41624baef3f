"""FreeU: what a UNet's upward half makes of what it is given."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Choices, DiffusionModel, Range, node
from nodegraph.models.speed.freeu import MOST, VERSIONS, FreeUFactors, with_freeu

from ._speed_facts import added_weights, check_freeu_model, freeu_outputs

Factor = Annotated[float, Range(0, MOST, step=0.05)]


class FreeUModel(NamedTuple):
    """A model with FreeU."""

    model: DiffusionModel


@node(
    category="sampling",
    label="FreeU",
    infer=freeu_outputs,
    validate=check_freeu_model,
    estimate=added_weights,
    tags=("FreeU_V2", "free lunch", "skip", "backbone", "detail", "contrast", "unet"),
)
def FreeU(
    model: DiffusionModel,
    b1: Factor = 1.3,
    b2: Factor = 1.4,
    s1: Factor = 0.9,
    s2: Factor = 0.2,
    version: Annotated[str, Choices(VERSIONS), Advanced()] = "v2",
) -> FreeUModel:
    """Let a UNet heed shapes more and fine texture less (arXiv:2309.11497). Costs hardly any time.

    Args:
        model: Stable Diffusion 1, 2 or XL, or another UNet.
        b1, b2: Factor of what comes from the level below, at the deepest stage and at the next: 1.3
            and 1.4 are usual, 1.1 and 1.2 for SDXL.
        s1, s2: Factor of the coarse part of what comes across, at these stages: 0.9 and 0.2 are
            usual.
        version: With v2 b counts where features are strong, with v1 everywhere; diffusers is v1 at
            the first two stages, whatever their width.
    """
    return FreeUModel(with_freeu(model, FreeUFactors(b1, b2, s1, s2, version)))
