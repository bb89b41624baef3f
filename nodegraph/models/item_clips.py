"""Pictures that are to be set in motion, and the videos that come of it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from nodegraph.core.values import Conditioning, Latent, Video
from nodegraph.errors import InvalidValue
from nodegraph.families.items.conditioning import item_conditioning
from nodegraph.families.items.motions import (
    FORMAT,
    FRAMES,
    FRAMES_PER_SECOND,
    MOTIONS,
    PICTURE,
    SIDE,
    Motion,
    check_amount,
    check_latents,
    frames_to_tokens,
    tokens_to_frames,
)
from nodegraph.media.images.resizing import resize_image
from nodegraph.models.vae import decode_latent, downscale, encode_image, latent_format

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.components import Autoencoder


def motion_conditioning(
    autoencoder: Autoencoder, image: Tensor, motion: Motion | None, amount: float | None
) -> Conditioning:
    """What sets a picture in motion; that which leaves motion and amount open has the same picture.

    Args:
        autoencoder: The embedded model's.
        image: float32 in 0..1, shape (1, height, width, 3); its middle is scaled to a frame.
        motion: None is left open.
        amount: How far it goes, LEAST_AMOUNT to 1; None is left open.
    Raises:
        InvalidValue: There are several pictures, the amount is out of range, or the autoencoder is
            another.
    """
    _check_motion_vae(autoencoder)
    if image.shape[0] != 1:
        raise InvalidValue(
            "frames begin with a single picture",
            port="image",
            given=f"{image.shape[0]} pictures",
            expected="1",
            hint="ImageList takes a batch apart: what follows then runs for each.",
        )
    if amount is not None:
        check_amount(amount)
    frame = resize_image(image, SIDE, SIDE, method="area", fit="crop")
    samples = encode_image(autoencoder, frame).samples
    assert samples is not None
    kind = None if motion is None else MOTIONS.index(motion)
    picture = frames_to_tokens(samples[:, None])
    return item_conditioning("motions", (kind,), (amount,), {PICTURE: picture})


def decode_videos(autoencoder: Autoencoder, items: Tensor) -> list[Video]:
    """The videos that a model's tokens are of.

    Args:
        autoencoder: As of `motion_conditioning`.
        items: Shape (batch, 256, 32).
    """
    _check_motion_vae(autoencoder)
    return [_video(autoencoder, samples) for samples in tokens_to_frames(items)]


def _video(autoencoder: Autoencoder, samples: Tensor) -> Video:
    frames = decode_latent(autoencoder, Latent(samples, SIDE, SIDE, FRAMES, format=FORMAT))
    return Video(frames, Fraction(FRAMES_PER_SECOND))


def _check_motion_vae(autoencoder: Autoencoder) -> None:
    channels = latent_format(autoencoder).latent_channels(autoencoder.config)
    check_latents(autoencoder.family, channels, downscale(autoencoder))
