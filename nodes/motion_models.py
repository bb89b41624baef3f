"""Pictures in motion by diffusion: what sets them in motion, and the videos that come of it."""

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
    """How the thing in a picture is to move; what isn't told is left to the model.

    It is for a model such as tiny/motions, which knows pictures as tiny draws them: a thing on a
    plain background.

    Args:
        image: What the video begins with; its middle is scaled to 64 x 64 pixels.
        vae: Of the model tiny.
        motion: What happens to the thing; of tiny/motions what turns or shrinks gets softest.
        amount: How far it goes: 1 is a fifth of the picture's side, a quarter turn, half as large
            again, or half as large.
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
    """Make videos of latents that a model of pictures in motion has sampled: one of each.

    They have 16 frames of 64 x 64 pixels, 8 a second.

    Args:
        latent: One or several, of a KSampler with a model such as tiny/motions.
        vae: Of the model tiny.
    """
    from nodegraph.families.items.latents import all_items
    from nodegraph.models.image_to_video import decode_videos

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return decode_videos(autoencoder, all_items(latent, "motions"))
