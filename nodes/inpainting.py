"""Masked pictures for models that fill them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from nodegraph import Conditioning, Context, Image, Latent, Mask, Vae, node

from ._facts import check_encoded_size
from ._memory import encoding


class Inpainted(NamedTuple):
    """What is sampled with, and where from."""

    conditioning: Conditioning
    latent: Latent


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts={
        "conditioning": {"family": "conditioning.family"},
        "latent": {
            "width": "image.width",
            "height": "image.height",
            "batch": "image.batch",
            "channels": "vae.channels",
            "format": "vae.format",
        },
    },
    validate=check_encoded_size,
    estimate=encoding,
    tags=("inpaint", "fill", "outpaint", "InpaintModelConditioning", "VAEEncodeForInpaint"),
)
def InpaintConditioning(
    ctx: Context, conditioning: Conditioning, vae: Vae, image: Image, mask: Mask
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
    """
    from nodegraph.diffusion.inpainting import masked_picture, with_hole
    from nodegraph.diffusion.vae import encode_image

    hole, rest = masked_picture(image, mask)
    with ctx.weights(vae, calls_only=True) as autoencoder:
        seen = encode_image(autoencoder, rest).samples
        latent = encode_image(autoencoder, image)
    assert seen is not None
    return Inpainted(with_hole(conditioning, seen, hole), replace(latent, noise_mask=mask))
