"""Conditionings put together, blended, and kept to a part of the picture or of the sampling."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Advanced, Area, Conditioning, Mask, Range, node

from ._conditioning_facts import check_area, check_concatenated, check_span

_FAMILY = {"conditioning": {"family": "conditioning.family"}}
_FIRST = {"conditioning": {"family": "first.family"}}
_CATEGORY = "conditioning/combine"
Share = Annotated[float, Range(0, 1, step=0.01)]


@node(
    category=_CATEGORY,
    label="Combine prompts",
    facts=_FIRST,
    tags=("ConditioningCombine", "several prompts", "regional", "and", "merge"),
)
def CombineConditioning(
    first: Conditioning,
    second: Conditioning,
    third: Conditioning | None = None,
    fourth: Conditioning | None = None,
) -> Conditioning:
    """Let several prompts lead: the model is asked for each, and its answers are averaged.

    What each counts for is said by StrengthConditioning, and where and when by AreaConditioning,
    MaskConditioning and SpanConditioning before this node.

    Args:
        first: A prompt.
        second: Another.
        third: One more.
        fourth: And one more; for others put two of these nodes in a row.
    """
    from nodegraph.families.conditionings import combine

    return combine([item for item in (first, second, third, fourth) if item is not None])


@node(
    category=_CATEGORY,
    label="Concatenate prompts",
    facts=_FIRST,
    validate=check_concatenated,
    tags=("ConditioningConcat", "append", "longer", "BREAK", "join"),
)
def ConcatenateConditioning(first: Conditioning, second: Conditioning) -> Conditioning:
    """Put the tokens of a prompt after those of another: words of one colour the other's less.

    For models that read prompts of any length: Stable Diffusion 1 to 3, XL, Flux.1 and Chroma.

    Args:
        first: Its pooled prompt and all else is kept.
        second: Its tokens come after.
    """
    from nodegraph.families.conditionings import concatenate

    return concatenate(first, second)


@node(
    category=_CATEGORY,
    label="Average prompts",
    facts=_FIRST,
    tags=("ConditioningAverage", "blend", "interpolate", "mix", "travel", "slerp", "lerp"),
)
def AverageConditioning(
    first: Conditioning,
    second: Conditioning,
    share: Share = 0.5,
    method: Annotated[Literal["linear", "spherical"], Advanced()] = "linear",
) -> Conditioning:
    """Blend two prompts into one between them: embeddings and pooled prompts are interpolated.

    Where they are of different lengths, the prompts of Stable Diffusion 1, 2 and XL are repeated
    up to one length, which says the same; zeros stand at the end of other models' shorter one.

    Args:
        first: A prompt.
        second: Another.
        share: Of the second: 0 is the first alone, 1 the second alone.
        method: Straight from one to the other, or along the arc between each pair of vectors.
    """
    from nodegraph.families.conditionings import average

    return average(first, second, share, method)


@node(
    category=_CATEGORY,
    label="Keep prompt to area",
    facts=_FAMILY,
    validate=check_area,
    tags=(
        "ConditioningSetArea",
        "regional",
        "rectangle",
        "ConditioningSetAreaPercentage",
        "couple",
        "regional prompter",
    ),
)
def AreaConditioning(
    conditioning: Conditioning,
    x: Annotated[float, Range(0, 16384, step=0.05)] = 0.0,
    y: Annotated[float, Range(0, 16384, step=0.05)] = 0.0,
    width: Annotated[float, Range(0, 16384, step=0.05)] = 0.5,
    height: Annotated[float, Range(0, 16384, step=0.05)] = 1.0,
    unit: Literal["shares", "pixels"] = "shares",
    feather: Annotated[float, Range(0, 16384, step=0.05)] = 0.0,
    sampled: Annotated[Literal["picture", "area"], Advanced()] = "picture",
) -> Conditioning:
    """Keep a prompt to a rectangle of the picture. CombineConditioning brings several together.

    Where no prompt applies, the empty one does. Of an area that a prompt has already, what lies in
    both is left.

    Args:
        conditioning: The prompt.
        x: Where the rectangle begins, from the left.
        y: Where it begins, from above.
        width: Of the rectangle.
        height: Of the rectangle.
        unit: What all of these are in: shares of the picture's width and height, or pixels.
        feather: How far it fades in from its edges inside of the picture: a share of the picture's
            shorter side, or pixels; where the area is sampled alone always pixels.
        sampled: What the model is shown: the whole picture, or the area alone, in whole cells of
            the latent, as in ComfyUI; beside a control picture always the whole.
    """
    from nodegraph.families.conditionings import with_area

    return with_area(conditioning, Area(x, y, width, height, unit, feather, sampled))


@node(
    category=_CATEGORY,
    label="Keep prompt to mask",
    facts=_FAMILY,
    tags=("ConditioningSetMask", "regional", "couple", "regional prompter", "attention couple"),
)
def MaskConditioning(conditioning: Conditioning, mask: Mask) -> Conditioning:
    """Keep a prompt to where a mask is 1. CombineConditioning brings several together.

    Where no prompt applies, the empty one does. With a mask or an area that it has already, the
    two are multiplied.

    Args:
        conditioning: The prompt.
        mask: One; brought to the picture's size where it has another.
    """
    from nodegraph.families.conditionings import with_mask

    return with_mask(conditioning, mask)


@node(
    category=_CATEGORY,
    label="Keep prompt to steps",
    facts=_FAMILY,
    validate=check_span,
    tags=("ConditioningSetTimestepRange", "timestep range", "schedule", "start", "end", "percent"),
)
def SpanConditioning(
    conditioning: Conditioning, start: Share = 0.0, end: Share = 1.0
) -> Conditioning:
    """Keep a prompt to a part of the sampling: early steps decide the layout, late ones details.

    Where no prompt applies, the empty one does. A prompt that has such a part already is kept to
    what lies in both.

    Args:
        conditioning: The prompt.
        start: Share of the steps before it leads.
        end: Share of the steps after which it leads no more.
    """
    from nodegraph.families.conditionings import with_span

    return with_span(conditioning, start, end)


@node(
    category=_CATEGORY,
    label="Strength of prompt",
    facts=_FAMILY,
    tags=("ConditioningSetAreaStrength", "weight", "set strength"),
)
def StrengthConditioning(
    conditioning: Conditioning, strength: Annotated[float, Range(0, 100, step=0.05)] = 1.0
) -> Conditioning:
    """Say how much a prompt counts among others that lead at the same place and step.

    Alone it changes nothing: how strongly prompts lead is told by the sampler's cfg.

    Args:
        conditioning: The prompt.
        strength: Times what it counted before.
    """
    from nodegraph.families.conditionings import with_strength

    return with_strength(conditioning, strength)


@node(
    category=_CATEGORY,
    label="Zero out prompt",
    facts=_FAMILY,
    tags=("ConditioningZeroOut", "empty", "negative", "sdxl", "flux", "sd3"),
)
def ZeroOutConditioning(conditioning: Conditioning) -> Conditioning:
    """Put zeros in place of a prompt's embeddings and its pooled prompt, as a negative prompt.

    It is what Stable Diffusion XL and 3 are led away from best where nothing is to be said;
    pictures and sizes that it brings stay.

    Args:
        conditioning: Any prompt of the model's text encoder.
    """
    from nodegraph.families.conditionings import zero_out

    return zero_out(conditioning)
