"""Combine and blend conditionings, and limit them to an area, a mask or a range of steps."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import (
    Adapter,
    Advanced,
    Area,
    Conditioning,
    Context,
    DiffusionModel,
    File,
    Mask,
    Multiline,
    Range,
    node,
)
from nodegraph.errors import at_port
from nodegraph.models.helper_files import find_conditioning

from ._conditioning_facts import (
    check_concatenated,
    check_conditioning_file,
    check_span,
    conditioning_state,
)
from ._family_facts import check_limited_area
from ._lora import check_prompt_lora, check_schedule, lora_state

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
    """Apply several prompts together: the model runs for each, and the predictions are averaged.

    Set the weight of each prompt with StrengthConditioning. Limit where and when each applies with
    AreaConditioning, MaskConditioning and SpanConditioning. Put those nodes before this one.

    Args:
        first: A prompt.
        second: A second prompt.
        third: A third prompt, optional.
        fourth: A fourth prompt, optional. For more prompts, chain two of these nodes.
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
    """Append the tokens of one prompt to those of another, so that words affect each other less.

    The two prompts are encoded separately, so that for example colors do not bleed from one into
    the other. For models that accept prompts of any length: Stable Diffusion 1 to 3, XL, Flux.1 and
    Chroma.

    Args:
        first: The first prompt. Its pooled embedding and other data are kept.
        second: The prompt whose tokens are appended.
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
    """Interpolate between two prompts: their embeddings and pooled embeddings are blended.

    Prompts of different lengths are first brought to one length. Those of Stable Diffusion 1, 2 and
    XL are repeated, which does not change their meaning. For other models the shorter prompt is
    padded with zeros.

    Args:
        first: The first prompt.
        second: The second prompt.
        share: Weight of the second prompt: 0 is only the first, 1 only the second.
        method: Linear interpolation, or spherical interpolation (slerp) between each pair of
            vectors.
    """
    from nodegraph.families.conditionings import average

    return average(first, second, share, method)


@node(
    category=_CATEGORY,
    label="Keep prompt to area",
    facts=_FAMILY,
    validate=check_limited_area,
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
    """Limit a prompt to a rectangle of the image. Join several with CombineConditioning.

    Where no prompt applies, the empty prompt is used. If the prompt already has an area, it is
    limited to the intersection of both.

    Args:
        conditioning: The prompt.
        x: Left edge of the rectangle.
        y: Top edge of the rectangle.
        width: Width of the rectangle.
        height: Height of the rectangle.
        unit: Unit of these values: shares of the image's width and height, or pixels.
        feather: Width of the fade-in at edges inside the image, as a share of the image's shorter
            side, or in pixels. If only the area is sampled, always in pixels.
        sampled: What the model sees: the whole image, or only the area, in whole latent cells, as
            in ComfyUI. With a control image it always sees the whole image.
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
    """Limit a prompt to the area where a mask is 1. Join several with CombineConditioning.

    Where no prompt applies, the empty prompt is used. If the prompt already has a mask or an area,
    the two are multiplied.

    Args:
        conditioning: The prompt.
        mask: One mask. It is resized to the image if its size differs. If it is empty, the prompt
            applies nowhere.
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
    """Limit a prompt to a range of steps: early steps decide the layout, late steps the details.

    Where no prompt applies, the empty prompt is used. If the prompt already has a range, it is
    limited to the intersection of both.

    Args:
        conditioning: The prompt.
        start: Share of the steps after which the prompt begins to apply.
        end: Share of the steps after which the prompt no longer applies.
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
    """Set the weight of a prompt relative to other prompts that apply at the same place and step.

    On a single prompt it has no effect. The guidance scale is the sampler's cfg.

    Args:
        conditioning: The prompt.
        strength: Factor for the prompt's current weight.
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
    """Replace a prompt's embeddings and pooled embedding with zeros, as a negative prompt.

    For Stable Diffusion XL and 3 this is the best choice if the negative prompt has no text.
    Reference images and sizes in the conditioning are kept.

    Args:
        conditioning: Any prompt from the model's text encoder.
    """
    from nodegraph.families.conditionings import zero_out

    return zero_out(conditioning)


@node(
    category=_CATEGORY,
    label="LoRA for prompt",
    lane="io",
    facts=_FAMILY,
    validate=check_prompt_lora,
    fingerprint=lora_state,
    tags=("hook", "CreateHookLora", "regional", "schedule", "keyframes", "couple"),
)
def LoraConditioning(
    ctx: Context,
    conditioning: Conditioning,
    lora: Annotated[str, File("lora")],
    strength: Annotated[float, Range(-20, 20, step=0.05)] = 1.0,
    schedule: Annotated[str, Multiline(), Advanced()] = "",
) -> Conditioning:
    """Apply a LoRA to the model only while it evaluates this prompt.

    So each of several prompts can have its own LoRAs, in its own area of the image, and a LoRA can
    change its strength during the sampling. The weights of the model are shared. Prompts with
    different LoRAs are evaluated one after the other. Chain several of these nodes to combine
    LoRAs. Link the node to the negative prompt, too, if the LoRA should change the image and not
    only the difference of the prompts.

    The text encoder is not changed: load the LoRA with LoadEncoderLora before EncodePrompt.

    Args:
        conditioning: The prompt.
        lora: Name in a models folder or path of a .safetensors file.
        strength: Strength on the model.
        schedule: Factors of the strength during the sampling, one per line. `0.5: 0.3` means 0.3 of
            the strength from half of the sampling on. Before the first line, its factor counts.
    """
    from nodegraph.core.file_digests import FILE_DIGESTS
    from nodegraph.models.adapters.adapter_files import PLAIN, locate_adapter
    from nodegraph.models.adapters.recipes import parse_keyframes
    from nodegraph.models.derived_components import check_finite
    from nodegraph.sampling.prompt_adapters import with_adapter

    path = locate_adapter(lora, ctx.environment.models)
    with at_port("lora"):
        check_finite(path)
    adapter = Adapter(PLAIN, str(path), FILE_DIGESTS.digest(path), strength)
    return with_adapter(conditioning, adapter, parse_keyframes(schedule))


@node(
    category=_CATEGORY,
    label="Model for prompt",
    facts=_FAMILY,
    validate=check_schedule,
    tags=("hook", "CreateHookModelAsLora", "regional", "schedule", "keyframes", "merge", "mix"),
)
def ModelConditioning(
    conditioning: Conditioning,
    model: DiffusionModel,
    *,
    strength: Annotated[float, Range(-20, 20, step=0.05)] = 1.0,
    schedule: Annotated[str, Multiline(), Advanced()] = "",
) -> Conditioning:
    """Mix another model into the model of the sampling, only while it evaluates this prompt.

    So one area of an image can be drawn by another checkpoint, or the positive prompt alone. The
    weights of each mix are a copy as large as the model. LoRAs of the model stay at their
    strengths. Link the node to the negative prompt, too, if all of the image should come from the
    mix.

    The text encoder is not changed: mix it with MergeTextEncoders before EncodePrompt.

    Args:
        conditioning: The prompt.
        model: The other model, of the same architecture. Its LoRAs count.
        strength: Share of the other model. 0 is the model of the sampling, 1 the other model.
        schedule: Factors of the strength during the sampling, one per line. `0.5: 0.3` means 0.3 of
            the strength from half of the sampling on. Before the first line, its factor counts.
    """
    from nodegraph.models.adapters.recipes import parse_keyframes
    from nodegraph.sampling.prompt_adapters import with_model

    return with_model(conditioning, model, strength, parse_keyframes(schedule))


@node(
    category=_CATEGORY,
    label="Prompt for the rest",
    facts=_FAMILY,
    tags=("ConditioningSetDefaultCombine", "default", "background", "regional"),
)
def FallbackConditioning(conditioning: Conditioning) -> Conditioning:
    """Let a prompt apply only where and when other prompts do not, instead of the empty prompt.

    Its weight is what the weights of the others leave to 1: nothing where one applies fully, half
    where a soft mask is 0.5. Join it with the others by CombineConditioning.

    Args:
        conditioning: The prompt for the rest of the image and of the sampling.
    """
    from nodegraph.families.conditionings import as_fallback

    return as_fallback(conditioning)


@node(
    category="conditioning",
    label="Load conditioning",
    lane="io",
    validate=check_conditioning_file,
    fingerprint=conditioning_state,
    tags=("ConditioningLoader", "embedding", "precomputed", "encoded prompt"),
)
def LoadConditioning(ctx: Context, conditioning: Annotated[str, File("embedding")]) -> Conditioning:
    """Load an encoded prompt from a file, so that no text encoder is needed.

    Args:
        conditioning: Name in a models folder or path of a .safetensors file with a tensor named
            conditioning.
    """
    from nodegraph.models.conditioning import read_conditioning

    with at_port("conditioning"):
        return read_conditioning(find_conditioning(conditioning, ctx.environment.models))
