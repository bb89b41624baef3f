"""Between pictures and latents."""

from __future__ import annotations

from nodegraph import Context, Image, Latent, Vae, node

from ._facts import check_decoded_size, check_encoded_size
from ._memory import decoding, encoding


@node(
    category="latent",
    label="VAE encode",
    lane="gpu",
    numerics=True,
    facts={
        "latent": {
            "width": "image.width",
            "height": "image.height",
            "batch": "image.batch",
            "channels": "vae.channels",
            "format": "vae.format",
        }
    },
    validate=check_encoded_size,
    estimate=encoding,
    tags=("img2img",),
)
def VAEEncode(ctx: Context, vae: Vae, image: Image) -> Latent:
    """Turn pictures into latents that a model can work on.

    Args:
        vae: Of the model that is to work on them.
        image: With sides that are multiples of the VAE's cell, mostly 8 pixels.
    """
    from nodegraph.diffusion.vae import encode_image

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return encode_image(autoencoder, image)


@node(
    category="latent",
    label="VAE decode",
    lane="gpu",
    numerics=True,
    facts={
        "image": {
            "width": "latent.width",
            "height": "latent.height",
            "batch": "latent.batch",
            "speed": "latent.speed",
        }
    },
    validate=check_decoded_size,
    estimate=decoding,
)
def VAEDecode(ctx: Context, vae: Vae, latent: Latent) -> Image:
    """Turn latents into the pictures that they stand for.

    Args:
        vae: Of the model that made the latents.
        latent: Sampled, or encoded from a picture.
    """
    from nodegraph.diffusion.vae import decode_latent
    from nodegraph.images.blankness import blank_warnings

    with ctx.weights(vae, calls_only=True) as autoencoder:
        image = decode_latent(autoencoder, latent)
    for said in blank_warnings(image):
        ctx.log(said, "warning")
    return image
