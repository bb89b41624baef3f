"""Masked pictures for models that fill them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from nodegraph import Advanced, Conditioning, Context, Image, Latent, Mask, Vae, node

from ._encoded_facts import check_croppable, masked_outputs
from ._memory import encoding


class Inpainted(NamedTuple):
    """What is sampled with, and where from."""

    conditioning: Conditioning
    latent: Latent


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    infer=masked_outputs,
    validate=check_croppable,
    estimate=encoding,
    tags=("inpaint", "fill", "outpaint", "InpaintModelConditioning", "VAEEncodeForInpaint"),
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
        mask: As large as the picture: 1 is filled, 0 is kept; from a half up it counts as 1.
        crop: Cut off of both what doesn't fill a cell of the VAE, as much on either side; else such
            sizes are refused.
    """
    from nodegraph.diffusion.inpainting import masked_picture, with_hole
    from nodegraph.diffusion.vae import cropped, encode_image

    with ctx.weights(vae, calls_only=True) as autoencoder:
        if crop:
            image, mask = cropped(autoencoder, image), cropped(autoencoder, mask)
        hole, rest = masked_picture(image, mask)
        seen = encode_image(autoencoder, rest).samples
        latent = encode_image(autoencoder, image)
    assert seen is not None
    return Inpainted(with_hole(conditioning, seen, hole), replace(latent, noise_mask=mask))
