"""Override a model's shift or prediction type for sampling. Imports no torch.

The weights are shared with all who sample the model as its files say.
"""

from __future__ import annotations

import math

from nodegraph.core.values import DiffusionModel
from nodegraph.errors import InvalidValue
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.scheduler_file import (
    SAMPLED_ON,
    override_schedule,
    scheduler_config,
    scheduler_option,
    with_shift,
)
from nodegraph.families.speed_options import with_option

PIXELS_A_TOKEN = 256
"""Of the models whose shift goes by size: a patch of two by two cells of eight by eight pixels."""
LINE_ENTRIES = 10_000
"""Levels of ComfyUI's table where the shift goes by size."""
MOST_SHIFT = 100.0


def with_flow_shift(recipe: DiffusionModel, shift: float, entries: int = 1000) -> DiffusionModel:
    """A flow model whose noise levels are shifted by a factor, whatever the size.

    Args:
        shift: On sigma / (1 - sigma): 1 shifts nothing, more takes more steps where there is much
            noise. Above 0.
        entries: See `nodegraph.families.scheduler_file.ENTRIES`.
    Raises:
        InvalidValue: It isn't trained by flow matching, or the shift is out of range; on port
            ``shift``.
    """
    if not (math.isfinite(shift) and shift > 0):
        raise InvalidValue(
            "the shift is out of range", port="shift", given=f"{shift:g}", expected="above 0"
        )
    return _sampled_on(recipe, with_shift(scheduler_config(recipe), shift, entries))


def with_shift_by_size(
    recipe: DiffusionModel, width: int, height: int, base_shift: float, max_shift: float
) -> DiffusionModel:
    """A flow model shifted as images of a size need it.

    Args:
        width, height: In pixels.
        base_shift, max_shift: Logarithms of the shift for 256 and for 4096 tokens.
    Raises:
        InvalidValue: As of `with_flow_shift`.
    Source: Esser et al. 2024, arXiv:2403.03206, section 5.3.2, on the line of Flux.1.
    """
    return with_flow_shift(
        recipe, shift_of_size(width, height, base_shift, max_shift), LINE_ENTRIES
    )


def shift_of_size(width: int, height: int, base_shift: float, max_shift: float) -> float:
    """The shift that `with_shift_by_size` takes."""
    line = {"base_shift": base_shift, "max_shift": max_shift}
    tokens = width * height / PIXELS_A_TOKEN
    return math.exp(line_mu(line, tokens, 0))


def with_prediction(
    recipe: DiffusionModel, prediction_type: str, zero_terminal_snr: str = "auto"
) -> DiffusionModel:
    """A model whose output is taken for something else than its files say.

    Arguments and errors are those of `nodegraph.families.scheduler_file.override_schedule`.
    """
    config = override_schedule(scheduler_config(recipe), prediction_type, zero_terminal_snr)
    return _sampled_on(recipe, config)


def _sampled_on(recipe: DiffusionModel, config: dict[str, object]) -> DiffusionModel:
    return with_option(recipe, SAMPLED_ON, scheduler_option(config)[1])
