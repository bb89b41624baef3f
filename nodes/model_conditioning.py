"""Conditioning of models in addition to the prompt."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Conditioning, Context, Image, Latent, Range, Vae, node

from ._conditioning_facts import check_stage_b
from ._family_facts import check_image_to_follow, control_image_facts, stage_b_facts
from ._memory import encode_estimate

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
    """Set the guidance scale that a guidance-distilled model reads as an input.

    Use it for Flux.1 dev, Flux.2 dev, HunyuanImage and LCM. Other models ignore it. Set the
    sampler's cfg to 1. A DistilledGuider takes precedence.

    Args:
        conditioning: The positive prompt.
        guidance: Guidance scale. Low values give photographic, varied images. High values follow
            the prompt closely.
    """
    from nodegraph.families.conditionings import with_guidance

    return with_guidance(conditioning, guidance)


class ImageConditioned(NamedTuple):
    """Conditioning with the image, and the latent to sample."""

    conditioning: Conditioning
    latent: Latent


@node(
    category="conditioning",
    label="Show image to follow",
    lane="gpu",
    numerics=True,
    infer=control_image_facts,
    validate=check_image_to_follow,
    estimate=encode_estimate,
    tags=(
        *("InstructPixToPixConditioning", "InstructPix2Pix", "ip2p", "edit", "flux canny"),
        *("flux depth", "control LoRA", "structure"),
    ),
)
def ImageConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    image: Image,
    shown: Annotated[bool, Advanced()] = True,
    crop: Annotated[bool, Advanced()] = False,
) -> ImageConditioned:
    """Give an image to a model that was trained to follow one, for example its edges or depth map.

    Use it for Flux.1 Canny and Depth, for CogView 4 Control, and for InstructPix2Pix and
    HiDream-E1, which edit the image. The latent is empty and has the size of the image. For other
    models use a ControlNet, or ReferenceLatents.

    Args:
        conditioning: The prompt. If only the positive prompt has the image, the negative prompt
            uses the same image.
        vae: The VAE of the model.
        image: One image: edges, a depth map, or the image to edit.
        shown: Whether the model sees the image. Turn it off for the negative prompt of a
            DualCFGGuider whose second prompt is an empty one with the image. InstructPix2Pix was
            trained this way.
        crop: Crop the image to whole cells of the VAE, by the same amount on both sides. If off, an
            image of another size is an error.
    """
    from nodegraph.models.vae import crop_to_cells
    from nodegraph.sampling.controls.control_conditioning import with_control_image

    with ctx.weights(vae, calls_only=True) as autoencoder:
        image = crop_to_cells(autoencoder, image) if crop else image
        prompts = with_control_image(autoencoder, conditioning, image, shown=shown)
    height, width = image.shape[1:3]
    return ImageConditioned(prompts, Latent(None, width, height))


@node(
    category="conditioning",
    label="Stage B conditioning",
    facts=_FAMILY,
    infer=stage_b_facts,
    validate=check_stage_b,
    tags=("StableCascade_StageB_Conditioning", "stable cascade", "prior", "two stages"),
)
def StageBConditioning(conditioning: Conditioning, latent: Latent) -> Conditioning:
    """Give stage B of Stable Cascade the latent that stage C has sampled.

    Stage B samples a larger latent that follows it, which the VAE of stage B decodes. Its cfg is
    mostly 1 or 1.1.

    Args:
        conditioning: The positive prompt, by the text encoder of either stage. A negative prompt
            does not need this node.
        latent: The latent of stage C: one image, or as many as stage B samples.
    """
    from nodegraph.families.stable_cascade_prompts import with_stage_c

    return with_stage_c(conditioning, latent)
