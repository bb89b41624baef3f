"""Encode images to latents, and decode them."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Context, Image, Latent, Range, Vae, node

from ._encoded_facts import check_croppable, unmasked_outputs
from ._facts import check_decoded_size
from ._memory import decode_estimate, encode_estimate


@node(
    category="latent",
    label="VAE encode",
    lane="gpu",
    numerics=True,
    infer=unmasked_outputs,
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
    """Encode images to latents.

    Args:
        vae: The VAE of the model that uses the latents.
        image: Opaque images. Their sides are multiples of the VAE's cell, usually 8 pixels.
        tile: Tile size in pixels. Tiling takes less memory and changes the result slightly. 0
            processes the whole image, and uses tiles only if memory runs out.
        overlap: Overlap of neighboring tiles in pixels, over which they are blended. At most half
            of a tile.
        crop: Crop the image to whole cells of the VAE, by the same amount on both sides. If off, an
            image of another size is an error.
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
    """Decode latents to images.

    Args:
        vae: The VAE of the model that made the latents.
        latent: Latents from a sampler or from VAEEncode.
        tile: Tile size in pixels. Tiling takes less memory and changes the result slightly. 0
            processes the whole image, and uses tiles only if memory runs out.
        overlap: Overlap of neighboring tiles in pixels, over which they are blended. At most half
            of a tile.
    """
    from nodegraph.models.vae import blank_warnings, decode_latent, in_tiles

    with ctx.weights(vae, calls_only=True) as autoencoder:
        image = decode_latent(in_tiles(autoencoder, tile, overlap), latent)
    for message in blank_warnings(image):
        ctx.log(message, "warning")
    return image
