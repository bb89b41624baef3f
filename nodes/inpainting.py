"""Inpainting: prepare masked images for sampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from nodegraph import Advanced, Conditioning, Context, Image, Latent, Mask, Range, Vae, node

from ._encoded_facts import check_croppable, encoded_outputs, inpaint_outputs
from ._memory import encode_estimate


class Inpainted(NamedTuple):
    """Conditioning and latent for inpainting."""

    conditioning: Conditioning
    latent: Latent


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    infer=inpaint_outputs,
    validate=check_croppable,
    estimate=encode_estimate,
    tags=("inpaint", "fill", "outpaint", "InpaintModelConditioning"),
)
def InpaintConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    image: Image,
    mask: Mask,
    crop: Annotated[bool, Advanced()] = False,
) -> Inpainted:
    """Prepare a masked image for an inpainting model.

    Inpainting models of Stable Diffusion and Flux.1 Fill need this node. For other models,
    SetNoiseMask is enough: sampling then changes only the masked area.

    Args:
        conditioning: Prompt for what the image should show. The negative prompt does not need the
            masked image.
        vae: VAE of the model.
        image: One image.
        mask: Mask, scaled to the image: 1 is filled, 0 is kept. Values of 0.5 and above count as 1.
        crop: Center-crop image and mask to multiples of the VAE's cell. Otherwise such sizes are
            refused.
    """
    from nodegraph.models.vae import crop_to_cells, encode_image
    from nodegraph.sampling.inpainting import fitted_mask, masked_picture, with_masked_latent

    mask = fitted_mask(mask, image)
    with ctx.weights(vae, calls_only=True) as autoencoder:
        if crop:
            image, mask = crop_to_cells(autoencoder, image), crop_to_cells(autoencoder, mask)
        binary_mask, masked_image = masked_picture(image, mask)
        masked_latent = encode_image(autoencoder, masked_image).samples
        latent = encode_image(autoencoder, image)
    assert masked_latent is not None
    return Inpainted(
        with_masked_latent(conditioning, masked_latent, binary_mask),
        replace(latent, noise_mask=mask),
    )


@node(
    category="latent",
    label="VAE encode for inpainting",
    lane="gpu",
    numerics=True,
    infer=encoded_outputs,
    validate=check_croppable,
    estimate=encode_estimate,
    tags=("inpaint", "fill", "outpaint", "grow mask", "VAEEncodeForInpaint"),
)
def VAEEncodeInpaint(
    ctx: Context,
    vae: Vae,
    image: Image,
    mask: Mask,
    grow: Annotated[int, Range(0, 64)] = 6,
    crop: Annotated[bool, Advanced()] = False,
) -> Latent:
    """Encode images with the masked area replaced by gray, for inpainting.

    Sample with the whole schedule (denoise 1), because the gray area contains no image to start
    from. To change existing content, encode the image as it is and use SetNoiseMask.

    Args:
        vae: VAE of the model that is used for sampling.
        image: Opaque images with sides that are multiples of the VAE's cell, usually 8 pixels.
        mask: Mask, scaled to the images. Values above 0.5 count as 1, which is filled; others count
            as 0, which is kept.
        grow: Side of a square, in pixels, by which the sampled area extends beyond the gray, so
            that no seam is visible. 6 adds 2 pixels on the left and top, and 3 on the right and
            bottom.
        crop: Center-crop image and mask to multiples of the VAE's cell. Otherwise such sizes are
            refused.
    """
    from nodegraph.models.vae import crop_to_cells, encode_image
    from nodegraph.sampling.inpainting import greyed, grown_by_square, hard_mask

    hard = hard_mask(mask, image)
    with ctx.weights(vae, calls_only=True) as autoencoder:
        if crop:
            image, hard = crop_to_cells(autoencoder, image), crop_to_cells(autoencoder, hard)
        latent = encode_image(autoencoder, greyed(image, hard))
    return replace(latent, noise_mask=grown_by_square(hard, grow))
