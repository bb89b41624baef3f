"""Changes to the model of the negative prompt, and to the norm of the guided prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from nodegraph import DiffusionModel, Range, node
from nodegraph.sampling.guiders.added_guidance import (
    ItemNormLimit,
    OtherNegative,
    PositiveBias,
)
from nodegraph.sampling.guiders.base import Sharpening, ToneMapping
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


@node(
    category="sampling/guider",
    infer=guider_facts,
    tags=("RenormCFG", "CFG-Renorm", "overexposure", "renormalize"),
)
def RenormalizeGuidance(
    guider: GuiderChoice, limit: Annotated[float, Range(0.01, 100, step=0.01)] = 1.0
) -> GuiderChoice:
    """Limit the norm of the whole guided prediction (RenormCFG).

    Unlike NormGuidance, it scales the whole image by one factor, and cells keep their proportions.

    Args:
        guider: The guider to change.
        limit: Maximum norm, as a multiple of the norm of the positive prediction.
    """
    return replace(guider, added=(*guider.added, ItemNormLimit(limit, 0.0, 1.0)))


@node(
    category="sampling/guider",
    infer=guider_facts,
    tags=("Mahiro", "positive direction", "adherence"),
)
def PositiveBiasedGuidance(guider: GuiderChoice) -> GuiderChoice:
    """Follow the positive prompt's direction more than the difference from the negative (Mahiro).

    The less alike both predictions are, the more of the scaled positive prediction is used. Without
    a negative prompt it has no effect.

    Args:
        guider: The guider to change, with a scale above 1.
    """
    return replace(guider, added=(*guider.added, PositiveBias(1.0, 0.0, 1.0)))


@node(
    category="sampling/guider",
    infer=guider_facts,
    tags=("LatentApplyOperationCFG", "tonemap", "Reinhard", "overexposure", "contrast"),
)
def ToneMapGuidance(
    guider: GuiderChoice, multiplier: Annotated[float, Range(0.01, 100, step=0.01)] = 1.0
) -> GuiderChoice:
    """Tone-map what separates the positive from the negative prediction, so that high scales do not
    overexpose.

    Args:
        guider: The guider to change.
        multiplier: Larger values change less. See ToneMapLatent.
    """
    return replace(guider, operations=(*guider.operations, ToneMapping(multiplier)))


@node(
    category="sampling/guider",
    infer=guider_facts,
    tags=("LatentApplyOperationCFG", "LatentOperationSharpen", "details"),
)
def SharpenGuidance(
    guider: GuiderChoice,
    radius: Annotated[int, Range(1, 31)] = 9,
    sigma: Annotated[float, Range(0.1, 10, step=0.1)] = 1.0,
    amount: Annotated[float, Range(0, 5, step=0.01)] = 0.1,
) -> GuiderChoice:
    """Sharpen what separates the positive from the negative prediction, for more details.

    Args:
        guider: The guider to change.
        radius: Cells that the blur covers to each side. It must be below the sides of the latent.
        sigma: Standard deviation of the blur, as a share of the radius.
        amount: Strength of the sharpening. See SharpenLatent.
    """
    return replace(guider, operations=(*guider.operations, Sharpening(radius, sigma, amount)))
