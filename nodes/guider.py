"""Guiders: which prompts a model evaluates, and how the predictions are combined."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Choices, Conditioning, Range, node
from nodegraph.sampling.guiders.methods import (
    GUIDER_NAMES,
    GUIDER_PLUGINS,
    Adaptive,
    Damped,
    Dual,
    Frequency,
    Projected,
    Tangential,
    Thresholded,
    ZeroStar,
    named_guidance,
)
from nodegraph.sampling.sampling_parts import GuiderChoice

from ._guider_facts import (
    check_guided_part,
    distilled_prompt_facts,
    dual_prompt_facts,
    guided_prompt_facts,
    named_guider_facts,
    projected_prompt_facts,
    single_prompt_facts,
)

Scale = Annotated[float, Range(0, 100, step=0.1)]
Share = Annotated[float, Range(0, 1, step=0.01)]
_FACTS = {"guider": {"family": "positive.family"}}


@node(
    category="sampling/guider",
    facts={"guider": {"family": "conditioning.family"}},
    infer=single_prompt_facts,
    tags=("unguided", "distilled", "flux", "SampleCustom"),
)
def BasicGuider(conditioning: Conditioning) -> GuiderChoice:
    """Use a single prompt without guidance, for guidance-distilled models.

    Args:
        conditioning: Prompt for what the image should show.
    """
    return GuiderChoice(conditioning)


@node(
    category="sampling/guider",
    label="CFG guider",
    facts=_FACTS,
    infer=guided_prompt_facts,
    validate=check_guided_part,
    tags=("rescale", "interval", "RescaleCFG", "SampleCustom"),
)
def CFGGuider(
    positive: Conditioning,
    negative: Conditioning | None = None,
    cfg: Scale = 7.0,
    rescale: Annotated[Share, Advanced()] = 0.0,
    start: Annotated[Share, Advanced()] = 0.0,
    end: Annotated[Share, Advanced()] = 1.0,
) -> GuiderChoice:
    """Classifier-free guidance: guide away from the negative prompt, towards the positive prompt.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        rescale: How far the guided prediction is rescaled to the standard deviation of the positive
            one, against overexposure at high scales. Use 0.7 for models trained with zero terminal
            SNR.
        start, end: Part of the sampling that is guided, 0 to 1. In the other steps only the
            positive prompt is evaluated, which takes half the time.
    """
    return GuiderChoice(positive, negative, cfg, start, end, rescale)


@node(
    category="sampling/guider",
    facts=_FACTS,
    infer=named_guider_facts,
    tags=("pack", "plugin", "SampleCustom"),
)
def SelectGuider(
    positive: Conditioning,
    negative: Conditioning | None = None,
    guider: Annotated[str, Choices(GUIDER_NAMES, plugins=GUIDER_PLUGINS)] = "cfg",
    cfg: Scale = 7.0,
) -> GuiderChoice:
    """Choose a guider by its name, for example one from a pack.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        guider: How both predictions are combined. cfg is classifier-free guidance as in CFGGuider.
            Packs and installed packages add others.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
    """
    return GuiderChoice(positive, negative, cfg, method=named_guidance(guider))


@node(
    category="sampling/guider",
    label="Dual CFG guider",
    facts=_FACTS,
    infer=dual_prompt_facts,
    tags=("instruct", "SampleCustom"),
)
def DualCFGGuider(
    positive: Conditioning,
    second: Conditioning,
    negative: Conditioning | None = None,
    cfg: Scale = 7.0,
    second_cfg: Scale = 1.5,
) -> GuiderChoice:
    """Guidance in two stages: from the negative prompt to a second prompt, then to the positive.

    Use it for editing models with separate scales for the image and the instruction.

    Args:
        positive: Prompt for what the image should show.
        second: Prompt between negative and positive, for example the image to edit without the
            instruction.
        negative: Prompt that both avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale from the second prompt to the positive.
        second_cfg: Guidance scale from the negative prompt to the second.
    """
    return GuiderChoice(positive, negative, cfg, method=Dual(second, second_cfg))


@node(
    category="sampling/guider",
    facts=_FACTS,
    infer=projected_prompt_facts,
    tags=("APG", "adaptive", "SampleCustom"),
)
def ProjectedGuider(
    positive: Conditioning,
    negative: Conditioning | None = None,
    cfg: Scale = 10.0,
    momentum: Annotated[float, Range(-1, 1, step=0.05)] = -0.5,
    longest: Annotated[float, Range(0, 1000)] = 10.0,
    along: Share = 0.0,
) -> GuiderChoice:
    """Adaptive projected guidance (APG): high scales without oversaturated colors.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        momentum: Share of the earlier steps' guidance that is kept. Negative values push away from
            it.
        longest: Maximum norm of the difference between positive and negative prediction. 0 means no
            limit.
        along: Weight of the component parallel to the positive prediction. At 1, without momentum
            and norm limit, it is plain guidance.
    """
    return GuiderChoice(positive, negative, cfg, method=Projected(momentum, longest, along))


@node(
    category="sampling/guider",
    label="CFG-Zero* guider",
    facts=_FACTS,
    infer=projected_prompt_facts,
    tags=("CFGZeroStar", "zero init", "flow", "SampleCustom"),
)
def ZeroStarGuider(
    positive: Conditioning,
    negative: Conditioning | None = None,
    cfg: Scale = 4.0,
    zero_steps: Annotated[int, Range(0, 100)] = 1,
) -> GuiderChoice:
    """CFG-Zero* for flow models: scales the negative prediction, and skips the first steps.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        zero_steps: Number of first steps with a zero velocity. There, a flow model's prediction is
            worse than none. Use 0 for other models.
    """
    return GuiderChoice(positive, negative, cfg, method=ZeroStar(zero_steps))


@node(
    category="sampling/guider",
    facts=_FACTS,
    infer=projected_prompt_facts,
    tags=("TCFG", "tangential damping", "SampleCustom"),
)
def TangentialGuider(
    positive: Conditioning, negative: Conditioning | None = None, cfg: Scale = 7.0
) -> GuiderChoice:
    """Tangential damping guidance (TCFG): removes the disturbing part of the negative prediction.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
    """
    return GuiderChoice(positive, negative, cfg, method=Tangential())


@node(
    category="sampling/guider",
    facts=_FACTS,
    infer=projected_prompt_facts,
    tags=("FDG", "frequency decoupled", "details", "composition", "SampleCustom"),
)
def FrequencyGuider(
    positive: Conditioning,
    negative: Conditioning | None = None,
    low_cfg: Scale = 5.0,
    high_cfg: Scale = 10.0,
    levels: Annotated[int, Range(2, 6), Advanced()] = 2,
) -> GuiderChoice:
    """Frequency-decoupled guidance (FDG): one scale for composition and colors, one for details.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        low_cfg: Guidance scale of low frequencies. A low value keeps variety and natural colors. At
            1 or below the negative prompt is not evaluated.
        high_cfg: Guidance scale of high frequencies. A high value gives clear details and edges.
        levels: Levels of the frequency pyramid. With more levels, more frequencies count as
            details.
    """
    return GuiderChoice(positive, negative, low_cfg, method=Frequency(high_cfg, levels))


@node(
    category="sampling/guider",
    facts=_FACTS,
    infer=projected_prompt_facts,
    tags=("MAMBO-G", "magnitude aware", "SampleCustom"),
)
def MagnitudeGuider(
    positive: Conditioning,
    negative: Conditioning | None = None,
    cfg: Scale = 10.0,
    damping: Annotated[float, Range(0, 100, step=0.5)] = 8.0,
) -> GuiderChoice:
    """Magnitude-aware guidance (MAMBO-G): weaker where the predictions differ most.

    This is mainly the case in the first steps.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        damping: How fast the scale decreases as the predictions differ. 0 is plain guidance.
    """
    return GuiderChoice(positive, negative, cfg, method=Damped(damping))


@node(
    category="sampling/guider",
    facts=_FACTS,
    infer=projected_prompt_facts,
    tags=("AdaptiveGuidance", "faster", "threshold", "SampleCustom"),
)
def AdaptiveGuider(
    positive: Conditioning,
    negative: Conditioning | None = None,
    cfg: Scale = 7.0,
    threshold: Annotated[float, Range(0, 1, step=0.001)] = 0.99,
) -> GuiderChoice:
    """Adaptive guidance: stops when guidance has no more effect, and saves up to half the time.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        threshold: Cosine similarity of both predictions at which guidance stops. From there on only
            the positive prompt is evaluated. At 1 guidance never stops.
    """
    return GuiderChoice(positive, negative, cfg, method=Adaptive(threshold))


@node(
    category="sampling/guider",
    facts=_FACTS,
    infer=projected_prompt_facts,
    tags=("dynamic thresholding", "CFG scale fix", "mimic", "SampleCustom", "DynamicThresholding"),
)
def ThresholdGuider(
    positive: Conditioning,
    negative: Conditioning | None = None,
    cfg: Scale = 12.0,
    mimic_cfg: Scale = 5.0,
    percentile: Annotated[float, Range(0.5, 1, step=0.001)] = 0.995,
) -> GuiderChoice:
    """Dynamic thresholding: a high guidance scale within the value range of a lower scale.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        cfg: Guidance scale. At 1 or below the negative prompt is not evaluated.
        mimic_cfg: The lower guidance scale whose value range is used.
        percentile: Share of a channel's values that is not clipped. 1 clips nothing.
    """
    return GuiderChoice(positive, negative, cfg, method=Thresholded(mimic_cfg, percentile))


@node(
    category="sampling/guider",
    facts=_FACTS,
    infer=distilled_prompt_facts,
    tags=("FluxGuidance", "flux", "embedded", "true cfg", "LCM", "SampleCustom"),
)
def DistilledGuider(
    positive: Conditioning,
    negative: Conditioning | None = None,
    guidance: Scale = 3.5,
    cfg: Annotated[Scale, Advanced()] = 1.0,
) -> GuiderChoice:
    """Set the guidance scale of models that take it as an input, like Flux.1-dev and LCM.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the empty prompt is used.
        guidance: Guidance scale that is passed to the model.
        cfg: Scale of true classifier-free guidance in addition, which doubles the time. At 1 or
            below it is off and the negative prompt is not evaluated.
    """
    return GuiderChoice(positive, negative, cfg, embedded=guidance)
