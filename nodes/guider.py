"""Guiders: what a model is led by, and how its answers are put together."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Conditioning, Range, node
from nodegraph.diffusion.guiders.methods import Dual, Projected
from nodegraph.diffusion.sampling_parts import GuiderChoice

from ._part_facts import (
    check_guided_part,
    dual_sides,
    guided_sides,
    projected_sides,
    single_side,
)

Scale = Annotated[float, Range(0, 100, step=0.1)]
Share = Annotated[float, Range(0, 1, step=0.01)]
_FACTS = {"guider": {"family": "positive.family"}}


@node(
    category="sampling/guider",
    facts={"guider": {"family": "conditioning.family"}},
    infer=single_side,
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
    infer=guided_sides,
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
    label="Dual CFG guider",
    facts=_FACTS,
    infer=dual_sides,
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
    infer=projected_sides,
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
