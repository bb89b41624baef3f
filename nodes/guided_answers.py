"""Changes to the model of the negative prompt, and to the norm of the guided prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodegraph import DiffusionModel, Range, node
from nodegraph.sampling.guiders.added_guidance import OtherNegative
from nodegraph.sampling.sampling_parts import GuiderChoice

from ._guider_facts import guider_facts, negative_model_estimate


@node(
    category="sampling/guider",
    infer=guider_facts,
    estimate=negative_model_estimate,
    tags=("DualModelGuider", "second model", "without LoRA", "base model"),
)
def NegativeModel(guider: GuiderChoice, model: DiffusionModel) -> GuiderChoice:
    """Use another model for the negative prompt, for example the base model without a LoRA.

    Both models are in memory at once. To guide by a weaker model's prediction for the positive
    prompt, use AutoGuidance.

    Args:
        guider: A guider with a negative prompt and a scale above 1.
        model: A model of the same family, loaded in the same precision.
    """
    added = OtherNegative(1.0, 0.0, 1.0, model=model)
    return replace(guider, added=(*guider.added, added))


@node(
    category="sampling/guider",
    infer=guider_facts,
    tags=("CFGNorm", "CFG norm", "true CFG", "qwen", "overexposure", "renormalize"),
)
def NormGuidance(
    guider: GuiderChoice, strength: Annotated[float, Range(0, 100, step=0.01)] = 1.0
) -> GuiderChoice:
    """Limit the norm of the guided prediction to that of the positive prediction (CFGNorm).

    The limit applies to each latent cell, so that high scales do not cause overexposed spots.

    Args:
        guider: The guider to change.
        strength: Additional factor for the predicted latent. 1 has no effect.
    """
    return replace(guider, norm=strength)
