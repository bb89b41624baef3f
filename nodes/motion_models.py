"""Videos from motion models: conditioning and decoding."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Conditioning, Context, Image, Latent, Range, Vae, Video, node
from nodegraph.families.items.motions import LEAST_AMOUNT, Motion

from ._motion_facts import check_decoded_motions, check_moved, decoded_videos, motion_family


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    infer=motion_family,
    validate=check_moved,
    tags=("video", "image to video", "animate", "animation", "first frame", "move", "motion"),
)
def MotionConditioning(
    ctx: Context,
    image: Image,
    vae: Vae,
    motion: Motion | None = None,
    amount: Annotated[float, Range(LEAST_AMOUNT, 1, step=0.05)] | None = None,
) -> Conditioning:
    """Conditioning for a motion model: how the object in an image should move.

    Use it with a model like tiny/motions, which knows images in the style of the model tiny: an
    object on a plain background. Inputs that are left out are not conditioned.

    Args:
        image: The first frame. Its center is scaled to 64 x 64 pixels.
        vae: The VAE of the model tiny.
        motion: The motion of the object. With tiny/motions, rotation and shrinking give the softest
            images.
        amount: Amount of motion. 1 is a shift by a fifth of the image's side, a quarter turn, or a
            scale to 1.5 or 0.5 times the size.
    """
    from nodegraph.models.image_to_video import motion_conditioning

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return motion_conditioning(autoencoder, image, motion, amount)


@node(
    category="video",
    lane="gpu",
    numerics=True,
    infer=decoded_videos,
    validate=check_decoded_motions,
    tags=("VAEDecode", "VAEDecodeVideo", "frames", "animation", "motion", "mixes-families"),
)
def DecodeMotion(ctx: Context, latent: list[Latent], vae: Vae) -> list[Video]:
    """Decode latents of a motion model to videos, one video per item.

    Videos have 16 frames of 64 x 64 pixels at 8 frames per second.

    Args:
        latent: Latents from a KSampler with a motion model, for example tiny/motions.
        vae: The VAE of the model tiny.
    """
    from nodegraph.families.items.latents import all_items
    from nodegraph.models.image_to_video import decode_videos

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return decode_videos(autoencoder, all_items(latent, "motions"))
