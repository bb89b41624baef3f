"""Between pictures and latents."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Context, Image, Latent, Range, Vae, node

from ._encoded_facts import check_croppable, encoded_outputs
from ._facts import check_decoded_size
from ._memory import decode_estimate, encode_estimate


@node(
    category="latent",
    label="VAE encode",
    lane="gpu",
    numerics=True,
    infer=encoded_outputs,
    validate=check_croppable,
    estimate=encode_estimate,
    tags=("img2img", "VAEEncodeTiled", "tiled"),
)
def VAEEncode(
    ctx: Context,
    vae: Vae,
    image: Image,
    tile: Annotated[int, Range(0, 16384, step=64), Advanced()] = 0,
    overlap: Annotated[int, Range(0, 4096, step=8), Advanced()] = 64,
    crop: Annotated[bool, Advanced()] = False,
) -> Latent:
    """Turn pictures into latents that a model can work on.

    Args:
        vae: Of the model that is to work on them.
        image: With sides that are multiples of the VAE's cell, mostly 8 pixels; opaque.
        tile: Side of tiles to work in, in pixels, which takes less memory and gives slightly other
            pictures; 0 works on the whole, and in tiles only if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
        crop: Cut off what doesn't fill a cell of the VAE, as much on either side; else such sizes
            are refused.
    """
    from nodegraph.models.vae import crop_to_cells, encode_image, in_tiles

    with ctx.weights(vae, calls_only=True) as autoencoder:
        image = crop_to_cells(autoencoder, image) if crop else image
        return encode_image(in_tiles(autoencoder, tile, overlap), image)


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
    estimate=decode_estimate,
    tags=("VAEDecodeTiled", "tiled"),
)
def VAEDecode(
    ctx: Context,
    vae: Vae,
    latent: Latent,
    tile: Annotated[int, Range(0, 16384, step=64), Advanced()] = 0,
    overlap: Annotated[int, Range(0, 4096, step=8), Advanced()] = 64,
) -> Image:
    """Turn latents into the pictures that they stand for.

    Args:
        vae: Of the model that made the latents.
        latent: Sampled, or encoded from a picture.
        tile: Side of tiles to work in, in pixels, which takes less memory and gives slightly other
            pictures; 0 works on the whole, and in tiles only if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
    """
    from nodegraph.models.vae import blank_warnings, decode_latent, in_tiles

    with ctx.weights(vae, calls_only=True) as autoencoder:
        image = decode_latent(in_tiles(autoencoder, tile, overlap), latent)
    for message in blank_warnings(image):
        ctx.log(message, "warning")
    return image
