"""Guiders: what a model is led by, and how its answers are put together."""

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
    """One prompt alone, without guidance: for models that were distilled from it.

    Args:
        conditioning: What the picture is to show.
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
    """Classifier-free guidance: away from one prompt, towards another.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        rescale: How far the guided answer is brought to the spread of the positive prompt's, which
            keeps strongly led pictures from glaring; 0.7 for models trained to zero SNR.
        start, end: Part of the sampling that is guided, 0 to 1; in the rest the positive prompt
            leads alone, which takes half the time.
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
    """A guider by its name, such as one of a pack.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        guider: How both predictions are combined: cfg is classifier-free guidance, as CFGGuider has
            it; packs and installed packages add others.
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
    """Two ways of guidance: from the negative prompt to a second one, and on to the positive.

    Args:
        positive: What the picture is to show.
        second: Half way to it, such as the picture to be edited without the instruction.
        negative: What both stay away from; the empty prompt if not linked.
        cfg: How strongly the positive prompt leads away from the second.
        second_cfg: How strongly the second leads away from the negative one.
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
    """Adaptive projected guidance: high scales without glaring colours.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        momentum: What a step keeps of the ways before; below 0 pushes away from them.
        longest: Norm that the way from the negative answer to the positive is cut to; 0 leaves it.
        along: Share that is kept of what lies along the positive answer; at 1, without momentum
            and a longest way, it is plain guidance.
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
    """CFG-Zero*: guidance for flow models that scales the negative answer and begins at rest.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        zero_steps: Steps at the beginning in which nothing moves: there, a flow model's answer
            is worse than none. 0 for other models.
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
    """Tangential guidance: without what of the negative answer only disturbs.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
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
    """Frequency-decoupled guidance: one scale for composition and colours, one for details.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        low_cfg: How strongly prompts lead in the large: low keeps variety and calm colours. 1 and
            below leaves the negative prompt out.
        high_cfg: How strongly they lead in details and edges: high makes them clear.
        levels: Of the pyramid: the more, the more is taken for a detail.
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
    """Damped-aware guidance: weaker where both answers differ much, as in the first steps.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        damping: How fast the scale goes down as they differ; 0 is plain guidance.
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
    """Adaptive guidance: ends once it makes no difference, which saves up to half of the time.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        threshold: How alike both answers have to be (the cosine of the angle between them) for
            the positive prompt to lead alone from there on; at 1 guidance never ends.
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
    """Dynamic thresholding: a high scale within the bounds of a lower one.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        cfg: How strongly prompts lead; 1 and below leaves the negative prompt out.
        mimic_cfg: The lower scale, whose range the answer is kept in.
        percentile: Part of the values of a channel that isn't cut; 1 cuts none.
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
    """The scale for models that take it as an input, such as Flux.1-dev and LCM.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from; the empty prompt if not linked.
        guidance: What the model is told: how strongly the prompt leads.
        cfg: True guidance on top of it, which takes twice the time; 1 and below is none, and leaves
            the negative prompt out.
    """
    return GuiderChoice(positive, negative, cfg, embedded=guidance)
