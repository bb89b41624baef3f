"""Changes of who answers for a guider, and of what its answers come to."""

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
    """Let another model answer for the negative prompt, such as one without the LoRA.

    Both are in memory at once. AutoGuidance asks a weaker one about the positive prompt.

    Args:
        guider: What leads, with a negative prompt and a scale above 1.
        model: Of the same family as the model, and loaded in the same precision.
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
    """Keep the guided picture nowhere stronger than the positive prompt alone has it.

    In each cell of the latent, so that high scales give no glaring spots.

    Args:
        guider: What leads.
        strength: What the picture's latent is multiplied by besides; 1 for nothing.
    """
    return replace(guider, norm=strength)
