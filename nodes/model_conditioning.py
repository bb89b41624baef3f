"""What models are told beside a prompt."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Conditioning, Range, node

_FAMILY = {"conditioning": {"family": "conditioning.family"}}


@node(
    category="conditioning",
    label="Tell model guidance",
    facts=_FAMILY,
    tags=("FluxGuidance", "flux", "distilled", "embedded guidance", "distilled CFG", "LCM"),
)
def GuidanceConditioning(
    conditioning: Conditioning, guidance: Annotated[float, Range(0, 100, step=0.1)] = 3.5
) -> Conditioning:
    """Tell a model that was distilled from guidance how strongly the prompt is to lead.

    Such are Flux.1 dev, Flux.2 dev, HunyuanImage and LCM; others aren't told. The sampler's cfg is
    then 1. What a DistilledGuider says comes before it.

    Args:
        conditioning: The positive prompt.
        guidance: The scale: low is photographic and varied, high keeps close to the words.
    """
    from nodegraph.diffusion.conditionings import with_guidance

    return with_guidance(conditioning, guidance)
