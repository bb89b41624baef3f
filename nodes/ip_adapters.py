"""Image prompts: IP-Adapter and Flux.1 Redux."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from nodegraph import (
    BLOCKED,
    Choices,
    Conditioning,
    Context,
    DiffusionModel,
    File,
    Image,
    ImageEncoder,
    Mask,
    Range,
    node,
)
from nodegraph.models.ip_adapters.image_prompt_files import (
    IPAdapterChoice,
    open_ip_adapter,
    open_redux,
)
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES

from ._ip_adapter_facts import (
    added_weights,
    check_ip_adapted,
    check_ip_adapter,
    check_redux,
    check_redux_prompt,
    ip_adapted_outputs,
    ip_adapter_outputs,
    ip_adapter_state,
    redux_state,
)


class LoadedIPAdapter(NamedTuple):
    ip_adapter: IPAdapterChoice


@node(
    category="control",
    label="Load IP-Adapter",
    lane="io",
    infer=ip_adapter_outputs,
    validate=check_ip_adapter,
    fingerprint=ip_adapter_state,
    tags=(
        "IPAdapterModelLoader",
        "IPAdapterUnifiedLoader",
        "CLIPVisionLoader",
        "image prompt",
        "style",
        "face",
    ),
)
def LoadIPAdapter(
    ctx: Context,
    ip_adapter: Annotated[str, File("model")],
    *,
    image_encoder: Annotated[str, File("model")] = "",
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
) -> LoadedIPAdapter:
    """Load an IP-Adapter, to use images as prompts.

    Args:
        ip_adapter: Name under a models folder, or path of a .safetensors file: for Stable Diffusion
            1.x and XL in the variants plain, plus, plus face and full face, and for Kolors the
            variant plus. FaceID variants, which need InsightFace, are not supported.
        image_encoder: The CLIP vision model it was trained with: name or path of a folder or
            .safetensors file. Empty uses the folder image_encoder next to the adapter, or next to
            the adapter's folder.
        dtype: Compute precision of the image encoder, as for LoadModel, but auto is always float32
            on a CPU.
    """
    environment = ctx.environment
    recipe = open_ip_adapter(
        ip_adapter,
        environment.models,
        encoder=image_encoder,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
    )
    return LoadedIPAdapter(recipe)


class IPAdapted(NamedTuple):
    """A model and prompts with image prompts applied."""

    model: DiffusionModel
    positive: Conditioning
    negative: Conditioning


@node(
    category="control",
    label="Apply IP-Adapter",
    lane="gpu",
    numerics=True,
    infer=ip_adapted_outputs,
    validate=check_ip_adapted,
    estimate=added_weights,
    tags=(
        "IPAdapter",
        "IPAdapterAdvanced",
        "image prompt",
        "reference",
        "style transfer",
        "variation",
        "attention mask",
    ),
)
def ApplyIPAdapter(
    ctx: Context,
    model: DiffusionModel,
    positive: Conditioning,
    negative: Conditioning | None = None,
    *,
    ip_adapter: IPAdapterChoice,
    image: Image,
    mask: Mask | None = None,
    weight: Annotated[float, Range(-2, 3, step=0.05)] = 1.0,
) -> IPAdapted:
    """Use images as prompts in addition to the text prompts, with an IP-Adapter.

    Send the model and all of its prompts through this node. Chain several nodes for separate image
    prompts. Each gets the model and prompts of the one before.

    Args:
        model: The model to extend.
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid; it gets no image. If not linked, the
            default negative prompt is returned.
        ip_adapter: An adapter from LoadIPAdapter, for models of this family.
        image: One image, or several that are used together. Each is center-cropped to a square and
            scaled down.
        mask: Area where the image prompt applies: values of 0.5 and above. One mask for all images,
            or one for each. Not linked means everywhere.
        weight: Strength. 1 is as trained, 0.5 leaves room for the text prompt.
    """
    from nodegraph.families.conditionings import default_negative
    from nodegraph.models.ip_adapters.image_prompts import (
        embed_images,
        next_adapter_index,
        picture_mask,
        with_image_embeds,
        with_ip_adapter,
    )

    adapter_index = next_adapter_index(model)
    adapted = with_ip_adapter(model, ip_adapter, weight)
    where = None if mask is None else picture_mask(mask, len(image))
    with ctx.weights(ip_adapter.encoder) as eyes:
        shown, nothing = embed_images(eyes, image, reads_patches=ip_adapter.reads_patches)
    away: Any = BLOCKED
    negative = negative or default_negative(positive)
    if negative is not None:
        away = with_image_embeds(negative, adapter_index, shown, nothing, where, is_negative=True)
    return IPAdapted(
        adapted, with_image_embeds(positive, adapter_index, shown, nothing, where), away
    )


class LoadedRedux(NamedTuple):
    redux: ImageEncoder


@node(
    category="control",
    label="Load Redux",
    lane="io",
    facts={"redux": {}},
    validate=check_redux,
    fingerprint=redux_state,
    tags=(
        "StyleModelLoader",
        "CLIPVisionLoader",
        "image prompt",
        "variation",
        "Flux",
        "CLIPVisionEncode",
    ),
)
def LoadRedux(
    ctx: Context,
    redux: Annotated[str, File("model")],
    *,
    image_encoder: Annotated[str, File("model")] = "",
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
) -> LoadedRedux:
    """Load Flux.1 Redux, which turns images into prompt tokens for Flux.1.

    Args:
        redux: Name under a models folder, or path: the folder in the diffusers layout, or the
            .safetensors file.
        image_encoder: SigLIP vision model, as a folder or .safetensors file. Empty uses the one in
            Redux's folder.
        dtype: Compute precision, as for LoadModel, but auto is always float32 on a CPU.
    """
    environment = ctx.environment
    recipe = open_redux(
        redux,
        environment.models,
        encoder=image_encoder,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
    )
    return LoadedRedux(recipe)


@node(
    category="control",
    label="Apply Redux",
    lane="gpu",
    numerics=True,
    facts={"conditioning": {"family": "conditioning.family"}},
    validate=check_redux_prompt,
    tags=("StyleModelApply", "image prompt", "variation", "style", "Flux"),
)
def ApplyRedux(
    ctx: Context,
    conditioning: Conditioning,
    redux: ImageEncoder,
    image: Image,
    strength: Annotated[float, Range(0, 3, step=0.05)] = 1.0,
) -> Conditioning:
    """Append the Redux tokens of images to a Flux.1 prompt, for image variations.

    Args:
        conditioning: The prompt. An empty prompt leaves the result to the images.
        redux: The model from LoadRedux.
        image: One or several images. Each is scaled to a small square as a whole.
        strength: Factor for the image tokens. Lower values give the text more weight.
    """
    from nodegraph.models.ip_adapters.image_prompts import redux_tokens, with_tokens

    with ctx.weights(redux) as live:
        words = redux_tokens(live, image)
    return with_tokens(conditioning, words, strength)
