"""What models are told and shown beside a prompt."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Conditioning, Context, Image, Latent, Range, Vae, node

from ._encoded_facts import check_croppable, image_conditioning_outputs
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
    """Tell a model that was distilled from guidance how strongly the prompt is to lead.

    Such are Flux.1 dev, Flux.2 dev, HunyuanImage and LCM; others aren't told. The sampler's cfg is
    then 1. What a DistilledGuider says comes before it.

    Args:
        conditioning: The positive prompt.
        guidance: The scale: low is photographic and varied, high keeps close to the words.
    """
    from nodegraph.families.conditionings import with_guidance

    return with_guidance(conditioning, guidance)


class ImageConditioned(NamedTuple):
    """What is sampled with, and how large."""

    conditioning: Conditioning
    latent: Latent


@node(
    category="conditioning",
    label="Show picture to follow",
    lane="gpu",
    numerics=True,
    infer=image_conditioning_outputs,
    validate=check_croppable,
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
    """Show a picture to a model that was made to follow one, such as its edges or its depth.

    These are Flux.1 Canny and Depth, and InstructPix2Pix, which edits it. Its latent is empty, of
    the picture's size. With others use a control network, or ReferenceLatents.

    Args:
        conditioning: What the picture is to show. A negative prompt takes that of the positive one.
        vae: Of the model.
        image: One picture: edges, a depth map, or what is to be edited.
        shown: Whether the model sees it; off for the negative prompt of a DualCFGGuider, whose
            second prompt is an empty one with the picture: so InstructPix2Pix was trained.
        crop: Cut off what doesn't fill a cell of the VAE, as much on either side; else such sizes
            are refused.
    """
    from nodegraph.models.vae import crop_to_cells
    from nodegraph.sampling.controls.control_conditioning import with_control_image

    with ctx.weights(vae, calls_only=True) as autoencoder:
        image = crop_to_cells(autoencoder, image) if crop else image
        prompts = with_control_image(autoencoder, conditioning, image, shown=shown)
    height, width = image.shape[1:3]
    return ImageConditioned(prompts, Latent(None, width, height))
