"""Pictures that lead by what they show: IP-Adapters."""

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
    """Open an IP-Adapter, by which what pictures show leads a model.

    Args:
        ip_adapter: Name under a models folder, or path of a .safetensors file: for Stable Diffusion
            1.x and XL, plain, plus, plus face and full face. Those that know faces by InsightFace
            (FaceID) can't be loaded.
        image_encoder: CLIP's vision model that it was trained with: name or path of a folder or
            .safetensors file. Empty: the folder image_encoder beside the adapter, or beside its
            folder.
        dtype: Precision of the image encoder in memory, as for LoadModel.
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
    """A model and prompts that pictures lead."""

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
    """Let what pictures show lead beside the prompts, as if it were said.

    All prompts of a sampling go through it, together with the model. Put several behind each other
    for pictures that lead apart, each through all that was put before it.

    Args:
        model: To be led.
        positive: What the picture is to show.
        negative: What it is to stay away from; no picture stands beside it. Where none is linked,
            what stands in for it is handed on.
        ip_adapter: Of LoadIPAdapter; for models of this kind.
        image: One picture, or several that lead together. Of each its middle square is seen, small.
        mask: Where they lead, one for all or one for each: from a half up. Not linked: everywhere.
        weight: How strongly; 1 is as it was trained, 0.5 leaves room for the prompt.
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
    """Open Flux.1 Redux, which says to prompts of Flux.1 what pictures show.

    Args:
        redux: Name under a models folder, or path: its folder in the diffusers layout, or the
            .safetensors file.
        image_encoder: SigLIP's vision model, a folder or .safetensors file; empty for that in
            Redux's folder.
        dtype: Precision in memory, as for LoadModel.
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
    """Let prompts of Flux.1 go on with what Redux says of pictures.

    Args:
        conditioning: The prompt; an empty one leaves it to the pictures.
        redux: Of LoadRedux.
        image: One or several; of each all is seen, small and square.
        strength: What it says is multiplied by this: less leaves more to the words.
    """
    from nodegraph.models.ip_adapters.redux import redux_tokens, with_tokens

    with ctx.weights(redux) as live:
        words = redux_tokens(live, image)
    return with_tokens(conditioning, words, strength)
