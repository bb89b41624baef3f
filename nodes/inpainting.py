"""Masked pictures, of which the masked part is made anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from nodegraph import Advanced, Conditioning, Context, Image, Latent, Mask, Range, Vae, node

from ._encoded_facts import check_croppable, encoded_outputs, inpaint_outputs
from ._memory import encode_estimate


class Inpainted(NamedTuple):
    """What is sampled with, and where from."""

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
    """Show a masked picture to a model that was made to fill such.

    These are inpainting models of Stable Diffusion, and Flux.1 Fill. With others SetNoiseMask is
    enough: sampling then changes the masked part alone.

    Args:
        conditioning: What the picture is to show. A negative prompt needs no masked picture of
            its own.
        vae: Of the model.
        image: One picture.
        mask: Scaled to the picture: 1 is filled, 0 is kept; from a half up it counts as 1.
        crop: Cut off of both what doesn't fill a cell of the VAE, as much on either side; else such
            sizes are refused.
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
    """Turn pictures into latents whose masked part is grey and is made anew.

    Sample the whole schedule (denoise 1), as the grey has nothing to start from. To change what is
    there, encode the picture as it is and use SetNoiseMask.

    Args:
        vae: Of the model that is to work on them.
        image: With sides that are multiples of the VAE's cell, mostly 8 pixels; opaque.
        mask: Scaled to the pictures. Above a half it is 1, which is filled; else 0, which is kept.
        grow: Side, in pixels, of a square by which the part that is sampled reaches beyond the
            grey, so that no seam shows: 6 adds 2 pixels to the left and above, and 3 to the right
            and below.
        crop: Cut off of both what doesn't fill a cell of the VAE, as much on either side; else such
            sizes are refused.
    """
    from nodegraph.models.vae import crop_to_cells, encode_image
    from nodegraph.sampling.inpainting import greyed, grown_by_square, hard_mask

    hard = hard_mask(mask, image)
    with ctx.weights(vae, calls_only=True) as autoencoder:
        if crop:
            image, hard = crop_to_cells(autoencoder, image), crop_to_cells(autoencoder, hard)
        latent = encode_image(autoencoder, greyed(image, hard))
    return replace(latent, noise_mask=grown_by_square(hard, grow))
