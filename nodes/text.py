"""Prompts."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import (
    Advanced,
    Conditioning,
    Context,
    Image,
    Latent,
    Multiline,
    Range,
    TextEncoder,
    node,
)

from ._memory import prompt_estimate
from ._prompt_facts import (
    check_clip_skip,
    check_prompt,
    check_prompt_apart,
    check_references,
    check_sizes,
    shared_weights,
)

_ENCODED = {"conditioning": {"family": "encoder.family"}}
_PASSED = {"conditioning": {"family": "conditioning.family"}}
Own = Annotated[str | None, Multiline()]
Reading = Annotated[Literal["auto", "on", "off", "comfyui"], Advanced()]


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts=_ENCODED,
    validate=check_prompt,
    estimate=prompt_estimate,
    tags=(
        *("prompt", "clip", "CLIPTextEncode", "weights", "prompt editing", "scheduling"),
        *("alternating words", "AND", "BREAK"),
    ),
)
def EncodePrompt(
    ctx: Context,
    encoder: TextEncoder,
    text: Annotated[str, Multiline()] = "",
    syntax: Reading = "auto",
) -> Conditioning:
    r"""Turn a prompt into what leads a model.

    (words:1.3) weighs words more, (words) is 1.1 times, [words] divides by 1.1. [from:to:0.5]
    changes words after half of the steps, [from:to:8] after eight; [to:0.5] has nothing before and
    [from::0.5] nothing after. [one|two] takes turns at each step. one AND two :0.5 lets two prompts
    lead. BREAK begins the next part of a long prompt. \( \[ \: \| are plain characters. A prompt
    longer than the encoder takes at once is encoded in parts. docs/prompts.md tells more.

    Args:
        encoder: Of the model that is to be led.
        text: What the picture is to show.
        syntax: Whether such markup is read: by auto in models that weigh words (Stable Diffusion 1
            and 2, XL); others are given the text as it is. With on they read all but weights and
            BREAK; with off nobody reads any. With comfyui it means what it does there: (words:1.3)
            is 1.3 in any brackets, (words) 1.1 times, and all else is text.
    """
    from nodegraph.models.conditioning import encode_prompt

    with ctx.weights(encoder, calls_only=True) as text_model:
        return encode_prompt(
            text_model, text, warn=lambda message: ctx.log(message, "warning"), syntax=syntax
        )


@node(
    category="conditioning",
    label="Encode a prompt for each encoder",
    lane="gpu",
    numerics=True,
    facts=_ENCODED,
    validate=check_prompt_apart,
    estimate=prompt_estimate,
    tags=(
        *("CLIPTextEncodeSDXL", "CLIPTextEncodeFlux", "CLIPTextEncodeSD3", "text_g", "text_l"),
        *("prompt_2", "prompt_3", "t5xxl", "sdxl", "flux", "sd3", "hidream"),
    ),
)
def EncodePromptApart(
    ctx: Context,
    encoder: TextEncoder,
    text: Annotated[str, Multiline()] = "",
    clip_l: Own = None,
    clip_g: Own = None,
    t5: Own = None,
    llama: Own = None,
    syntax: Reading = "auto",
) -> Conditioning:
    """Turn a prompt into what leads a model, with a text of its own for each text encoder.

    Stable Diffusion XL has clip_l and clip_g, Stable Diffusion 3 clip_l, clip_g and t5, Flux.1
    clip_l and t5, HiDream all four.

    Args:
        encoder: Of the model that is to be led.
        text: What all those encoders read that are given nothing else.
        clip_l: For CLIP-L, the first.
        clip_g: For CLIP-G, whose pooled prompt leads Stable Diffusion XL, too.
        t5: For T5, which reads sentences best.
        llama: For Llama 3.
        syntax: As for EncodePrompt, but for AND.
    """
    from nodegraph.families.registry import get_family
    from nodegraph.models.conditioning import encode_prompts_per_encoder
    from nodegraph.models.prompt_preprocessing import check_readers

    own = {"clip_l": clip_l, "clip_g": clip_g, "t5": t5, "llama": llama}
    family = get_family(encoder.family)
    check_readers(family, [name for name, message in own.items() if message is not None])
    texts = [text if own[name] is None else str(own[name]) for name in family.readers]
    with ctx.weights(encoder, calls_only=True) as text_model:
        return encode_prompts_per_encoder(
            text_model, texts, warn=lambda message: ctx.log(message, "warning"), syntax=syntax
        )


@node(
    category="conditioning",
    label="CLIP skip",
    facts={"text_encoder": {"family": "encoder.family", "lacks": "encoder.lacks"}},
    validate=check_clip_skip,
    estimate=shared_weights,
    tags=("CLIPSetLastLayer", "clip layer", "stop at layer", "anime"),
)
def ClipSkip(encoder: TextEncoder, skip: Annotated[int, Range(1, 24)] = 2) -> TextEncoder:
    """Let prompts be taken from an earlier layer of CLIP, as some models were trained with.

    Counted as people do: 1 is the last layer, which Stable Diffusion 1 and 2 take by themselves,
    2 the one before it, which Stable Diffusion XL and 3 take (-1 and -2 in ComfyUI).

    Args:
        encoder: Of such a model.
        skip: The layer that prompts are taken from, counted from the last.
    """
    from nodegraph.models.prompt_preprocessing import with_clip_layer

    return with_clip_layer(encoder, skip)


@node(
    category="conditioning",
    label="SDXL sizes",
    facts=_PASSED,
    validate=check_sizes,
    tags=("CLIPTextEncodeSDXL", "original size", "target size", "crop", "aesthetic score"),
)
def SizeConditioning(
    conditioning: Conditioning,
    original_width: Annotated[int, Range(0, 16384)] = 0,
    original_height: Annotated[int, Range(0, 16384)] = 0,
    crop_left: Annotated[int, Range(0, 16384)] = 0,
    crop_top: Annotated[int, Range(0, 16384)] = 0,
    target_width: Annotated[int, Range(0, 16384)] = 0,
    target_height: Annotated[int, Range(0, 16384)] = 0,
    score: Annotated[float | None, Range(0, 10, step=0.1), Advanced()] = None,
) -> Conditioning:
    """Tell Stable Diffusion XL which size and crop a picture is to look like.

    It was trained on pictures that were scaled and cropped, and told so: a small original size
    makes them coarse, a crop from the left or from above cuts things off.

    Args:
        conditioning: The positive prompt; a negative one without such a node is told the same.
        original_width: Pixels before it was scaled; 0 for the size that is sampled.
        original_height: The same.
        crop_left: Pixels that were cut off at the left.
        crop_top: Pixels that were cut off above.
        target_width: Pixels that it was cut to; 0 for the size that is sampled.
        target_height: The same.
        score: How beautiful the picture is, 0 to 10: for the refiner alone, which is told it in
            place of the target size. Left out, 6, and 2.5 for a negative prompt.
    """
    from nodegraph.models.conditioning import with_sizes

    return with_sizes(
        conditioning,
        original=(original_width, original_height),
        crop=(crop_left, crop_top),
        target=(target_width, target_height),
        score=score,
    )


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts=_ENCODED,
    estimate=prompt_estimate,
    tags=("prompt", "edit", "qwen"),
)
def EncodeEditPrompt(
    ctx: Context,
    encoder: TextEncoder,
    images: list[Image],
    text: Annotated[str, Multiline()] = "",
) -> Conditioning:
    """Turn what is to be made of pictures into what leads a model that edits.

    The encoder of such a model sees the pictures beside the words. The model itself sees them
    through ReferenceLatents. A negative prompt is made of the same pictures.

    Args:
        encoder: Of Qwen-Image-Edit, which looks at one picture, or Edit Plus.
        images: What it looks at; a batch counts as that many pictures.
        text: What to make of them.
    """
    from nodegraph.models.conditioning import encode_edit

    with ctx.weights(encoder, calls_only=True) as text_model:
        return encode_edit(
            text_model, text, images, warn=lambda message: ctx.log(message, "warning")
        )


@node(
    category="conditioning",
    facts=_PASSED,
    validate=check_references,
    tags=("edit", "kontext", "reference", "FluxKontextMultiReferenceLatentMethod", "uno"),
)
def ReferenceLatents(
    conditioning: Conditioning,
    latent: Latent | None = None,
    places: Annotated[Literal["auto", "offset", "index"], Advanced()] = "auto",
    still: Annotated[bool, Advanced()] = False,
) -> Conditioning:
    """Show pictures to a model that edits, such as Flux.1 Kontext, Flux.2 or Qwen-Image-Edit.

    Several, one after the other, show it several pictures.

    Args:
        conditioning: What to make of them. A negative prompt needs none of its own: it takes those
            of the positive one.
        latent: The pictures, encoded by the model's VAE; they may have other sizes than the result.
            Without any it only says of those before where they lie.
        places: How Flux.1 Kontext tells several apart: auto and offset put them side by side, index
            gives each a number, as some LoRAs were trained with. Others know it by themselves.
        still: Tell Qwen-Image-Edit that the pictures are without noise, as Edit Plus 2511 was
            trained. Its folders tell so by themselves, and so do the files that ComfyUI marks.
    """
    from nodegraph.models.conditioning import with_references

    numbered = None if places == "auto" else places == "index"
    return with_references(conditioning, latent, indexed=numbered, zero_timestep=still)
