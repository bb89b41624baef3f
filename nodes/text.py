"""Prompt encoding."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import (
    Advanced,
    Conditioning,
    Context,
    Image,
    Latent,
    PromptText,
    Range,
    TextEncoder,
    node,
)

from ._family_facts import (
    check_edit_encoder,
    check_image_encoder,
    check_reference_latents,
    reference_facts,
)
from ._memory import prompt_estimate
from ._prompt_facts import (
    check_clip_skip,
    check_prompt,
    check_prompt_apart,
    check_sizes,
    edit_prompt_facts,
    shared_weights,
    text_facts,
)

_ENCODED = {"conditioning": {"family": "encoder.family"}}
_PASSED = {"conditioning": {"family": "conditioning.family"}}
Own = Annotated[str | None, PromptText()]
Reading = Annotated[Literal["auto", "on", "off", "comfyui"], Advanced()]


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts=_ENCODED,
    infer=text_facts,
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
    text: Annotated[str, PromptText()] = "",
    syntax: Reading = "auto",
) -> Conditioning:
    r"""Encode a prompt with the text encoder of a model.

    (words:1.3) sets a weight, (words) multiplies by 1.1, [words] divides by 1.1. [from:to:0.5]
    replaces words after half of the steps, [from:to:8] after eight. [to:0.5] adds words later,
    [from::0.5] removes them. [one|two] alternates at each step. one AND two :0.5 combines two
    prompts. BREAK starts the next chunk of a long prompt. \( \[ \: \| are plain characters. A
    prompt longer than the encoder's limit is encoded in chunks. See docs/prompts.md.

    Args:
        encoder: The text encoder of the model to sample.
        text: The prompt: what the image should show.
        syntax: Whether this markup is read. auto reads it for models that support weights (Stable
            Diffusion 1, 2 and XL), and passes plain text to others. on reads it for others, too,
            except weights and BREAK. off passes plain text to all. comfyui follows ComfyUI:
            (words:1.3) is 1.3 within any brackets, (words) multiplies by 1.1, and all else is text.
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
    infer=text_facts,
    validate=check_prompt_apart,
    estimate=prompt_estimate,
    tags=(
        *("CLIPTextEncodeSDXL", "CLIPTextEncodeFlux", "CLIPTextEncodeSD3", "text_g", "text_l"),
        *("prompt_2", "prompt_3", "t5xxl", "sdxl", "flux", "sd3", "hidream", "kandinsky"),
    ),
)
def EncodePromptApart(
    ctx: Context,
    encoder: TextEncoder,
    text: Annotated[str, PromptText()] = "",
    clip_l: Own = None,
    clip_g: Own = None,
    t5: Own = None,
    llama: Own = None,
    qwen: Own = None,
    syntax: Reading = "auto",
) -> Conditioning:
    """Encode a prompt with a separate text for each text encoder.

    Stable Diffusion XL has clip_l and clip_g, Stable Diffusion 3 clip_l, clip_g and t5, Flux.1
    clip_l and t5, HiDream these four, Kandinsky 5 clip_l and qwen.

    Args:
        encoder: The text encoder of the model to sample.
        text: Text for all encoders whose input is left out.
        clip_l: Text for CLIP-L, the first encoder.
        clip_g: Text for CLIP-G. Its pooled embedding also conditions Stable Diffusion XL.
        t5: Text for T5, which understands sentences best.
        llama: Text for Llama 3.
        qwen: Text for Qwen2.5-VL.
        syntax: As for EncodePrompt, except for AND.
    """
    from nodegraph.families.registry import get_family
    from nodegraph.models.conditioning import encode_prompts_per_encoder
    from nodegraph.models.prompt_preprocessing import check_readers

    own = {"clip_l": clip_l, "clip_g": clip_g, "t5": t5, "llama": llama, "qwen": qwen}
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
    """Set CLIP skip: use the output of an earlier layer of CLIP, as some models were trained with.

    1 is the last layer, the default of Stable Diffusion 1 and 2. 2 is the layer before it, the
    default of Stable Diffusion XL and 3. ComfyUI writes them as -1 and -2.

    Args:
        encoder: A text encoder with CLIP.
        skip: The layer to use, counted from the last.
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
    """Set the size and crop conditioning of Stable Diffusion XL and CogView 4.

    The model was trained on scaled and cropped images, with these values as inputs. A small
    original size gives coarse images. A crop from the left or top cuts objects off.

    Args:
        conditioning: The positive prompt. A negative prompt without this node gets the same values.
        original_width: Width in pixels before scaling. 0 uses the sampled size.
        original_height: Height in pixels before scaling. 0 uses the sampled size.
        crop_left: Pixels cropped at the left.
        crop_top: Pixels cropped at the top.
        target_width: Width in pixels after cropping. 0 uses the sampled size.
        target_height: Height in pixels after cropping. 0 uses the sampled size.
        score: Aesthetic score, 0 to 10. Only the refiner uses it, instead of the target size. If
            left out, 6, and 2.5 for a negative prompt.
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
    infer=edit_prompt_facts,
    validate=check_edit_encoder,
    estimate=prompt_estimate,
    tags=("prompt", "edit", "qwen"),
)
def EncodeEditPrompt(
    ctx: Context,
    encoder: TextEncoder,
    images: list[Image],
    text: Annotated[str, PromptText()] = "",
) -> Conditioning:
    """Encode an edit prompt together with images, for an image editing model.

    The text encoder of such a model reads the images and the text. The diffusion model gets the
    images from ReferenceLatents. Encode the negative prompt with the same images.

    Args:
        encoder: The text encoder of Qwen-Image-Edit, which reads one image, of Edit Plus, or of
            MiniMax H3.
        images: Images for the encoder. A batch counts as several images.
        text: The instruction: what to change in the images.
    """
    from nodegraph.models.conditioning import encode_edit

    with ctx.weights(encoder, calls_only=True) as text_model:
        return encode_edit(
            text_model, text, images, warn=lambda message: ctx.log(message, "warning")
        )


@node(
    category="conditioning",
    label="Encode image as prompt",
    lane="gpu",
    numerics=True,
    facts=_ENCODED,
    infer=text_facts,
    validate=check_image_encoder,
    estimate=prompt_estimate,
    tags=("image to 3d", "shap-e", "mesh", "solid", "picture"),
)
def EncodeImagePrompt(ctx: Context, encoder: TextEncoder, image: Image) -> Conditioning:
    """Encode an image as the prompt of a model that takes one in place of a text.

    Args:
        encoder: The encoder of such a model, for example Shap-E for images.
        image: One image. The model sees the middle square of it, in 224 x 224 pixels. Shap-E was
            trained with single objects in front of a white background.
    """
    from nodegraph.models.conditioning import encode_image_prompt

    with ctx.weights(encoder, calls_only=True) as image_encoder:
        return encode_image_prompt(image_encoder, image)


@node(
    category="conditioning",
    facts=_PASSED,
    infer=reference_facts,
    validate=check_reference_latents,
    tags=("edit", "kontext", "reference", "FluxKontextMultiReferenceLatentMethod", "uno"),
)
def ReferenceLatents(
    conditioning: Conditioning,
    latent: Latent | None = None,
    places: Annotated[Literal["auto", "offset", "index"], Advanced()] = "auto",
    still: Annotated[bool, Advanced()] = False,
) -> Conditioning:
    """Add reference images for an editing model: Flux.1 Kontext, Flux.2 or Qwen-Image-Edit.

    Chain several of these nodes to add several images.

    Args:
        conditioning: The edit prompt. A negative prompt uses the references of the positive one.
        latent: The images, encoded by the VAE of the model. Their size may differ from that of the
            result. If not linked, the node only sets the placement of the references added before.
        places: How Flux.1 Kontext tells several references apart. auto and offset place them side
            by side. index numbers them, as some LoRAs were trained with. Other models need no
            setting.
        still: Use timestep 0 for the references, as Qwen-Image-Edit Plus 2511 was trained. It is
            set automatically for its folders, and for files that ComfyUI marks.
    """
    from nodegraph.models.conditioning import with_references

    numbered = None if places == "auto" else places == "index"
    return with_references(conditioning, latent, indexed=numbered, zero_timestep=still)
