"""Condition video models on a first frame, and on a last one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nodegraph.core.frame_guides import FrameGuide
from nodegraph.core.values import Conditioning, Latent, Video
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.components import Autoencoder, Component, TextModel
from nodegraph.families.image_conditioning import (
    CONDITION_VIDEO,
    FIRST_FRAME,
    IMAGE_EMBEDS,
    LAST_FRAME,
)
from nodegraph.families.item_family import item_conditioning
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
from nodegraph.families.registry import get_family
from nodegraph.media.images.images import to_pil
from nodegraph.media.images.resizing import resize_image
from nodegraph.models.ip_adapters.image_prompts import embed_images
from nodegraph.models.vae import (
    check_frames,
    decode_latent,
    downscale,
    encode_image,
    encode_video,
    latent_format,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.components import Autoencoder


def motion_conditioning(
    autoencoder: Autoencoder, image: Tensor, motion: Motion | None, amount: float | None
) -> Conditioning:
    """What sets an image in motion; that which leaves motion and amount open has the same image.

    Args:
        autoencoder: The embedded model's.
        image: float32 in 0..1, shape (1, height, width, 3); its middle is scaled to a frame.
        motion: None is left open.
        amount: How far it goes, LEAST_AMOUNT to 1; None is left open.
    Raises:
        InvalidValue: There are several images, the amount is out of range, or the autoencoder is
            another.
    """
    _check_motion_vae(autoencoder)
    if image.shape[0] != 1:
        raise InvalidValue(
            "a video starts with one image",
            port="image",
            given=f"{image.shape[0]} images",
            expected="1",
            hint="ImageList splits a batch: the nodes after it run once per image.",
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


_GREY = 0.5
"""What the film shows after its first image: 0 where images are in -1..1."""


@torch.no_grad()
def encode_first_frame(
    autoencoder: Autoencoder,
    conditioning: Conditioning,
    image: Tensor,
    frames: int,
    last: Tensor | None = None,
) -> dict[str, Tensor]:
    """The first image of a video, and the last one, as the conditioning's family takes them.

    Args:
        autoencoder: Of the model.
        image: float32 in 0..1, shape (1, height, width, 3), of the video's size.
        frames: Of the video.
        last: As `image`; None leaves the end open.
    Returns:
        Tensors for the prompts, by name.
    Raises:
        InvalidValue: The family makes no videos of images or of last ones, there are several
            images, they differ in size, or the VAE can't work on that size or number of frames.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    family = get_family(conditioning.family or "")
    _check(family, autoencoder, image)
    if last is not None:
        _check_last(family, image, last, frames)
    check_frames(autoencoder, frames, port="frames")
    if family.first_picture == "frame":
        return {FIRST_FRAME: _encoded(autoencoder, image)}
    ends = [] if last is None else [last]
    padding = torch.full((frames - 1 - len(ends), *image.shape[1:]), _GREY)
    film = {CONDITION_VIDEO: _encoded(autoencoder, torch.cat([image, padding, *ends]))}
    return film if last is None else {**film, LAST_FRAME: torch.ones(1)}


@torch.no_grad()
def with_frame_guide(
    autoencoder: Autoencoder,
    latent: Latent,
    images: Tensor,
    frame: int,
    strength: float,
    *,
    append: bool = False,
) -> Latent:
    """A latent with one guide more.

    Args:
        autoencoder: Of the model that samples the latent.
        latent: Of a video, or the size of one.
        images: One image, or the frames of a clip, float32 in 0..1, shape (frames, height, width,
            3). They are scaled to the size of the video and cropped. Frames beyond the end of the
            video are left out, and so are those that the VAE cannot encode.
        frame: Frame of the video that the guide begins at. Negative: from the end. A clip begins at
            0 or a multiple of the VAE's temporal factor plus 1.
        strength: As of `FrameGuide`.
        append: Whether a guide at frame 0, too, is added beside the video.
    Raises:
        InvalidValue: The frame is outside of the video, or the VAE is for another latent.
        TooLarge, MemoryError, NumericalError: As of `encode_video`.
    """
    formats = latent_format(autoencoder)
    if not formats.temporal or latent.format not in (None, formats.name):
        raise InvalidValue(
            "the VAE does not fit the latent, or it is not for videos",
            port="vae",
            given=f"a VAE of format {formats.name}",
            expected="the VAE of the model that samples the latent",
        )
    start = frame + latent.frames if frame < 0 else frame
    if not 0 <= start < latent.frames:
        raise InvalidValue(
            "the frame is outside of the video",
            port="frame",
            given=str(frame),
            expected=f"{-latent.frames} to {latent.frames - 1}",
        )
    step = formats.temporal
    if len(images) > 1 and start:
        start = (start - 1) // step * step + 1
    count = (min(len(images), latent.frames - start) - 1) // step * step + 1
    size = latent.width, latent.height
    clip = resize_image(images[:count], *size, method="bilinear", fit="crop")
    samples = _encoded(autoencoder, clip)
    guide = FrameGuide(samples, start, count, strength, append or start > 0)
    return replace(latent, guides=(*latent.guides, guide))


@torch.no_grad()
def embed_first_frame(
    text_model: TextModel, image: Tensor, last: Tensor | None = None
) -> dict[str, Tensor]:
    """What a model's image encoder sees in an image: its last but one hidden states.

    Args:
        image, last: As of `encode_first_frame`. The tokens of the last follow those of the first.
    Raises:
        InvalidValue: The model comes without one.
    """
    if "image_encoder" not in text_model.modules:
        raise InvalidValue(
            "the model has no image encoder",
            port="encoder",
            hint="Models of Wan 2.2 and LTX-Video need none: leave it unlinked. For Wan 2.1, link "
            "a LoadImageEncoder with clip_vision_h as image_encoder, or choose that file in "
            "LoadTextEncoder, too.",
        )
    eye = text_model.modules["image_encoder"]
    prepare = text_model.tokenizers["image_processor"]
    images = [to_pil(each) for each in (image, last) if each is not None]
    pixels = prepare(images=images, return_tensors="pt")["pixel_values"]
    output = eye(pixels.to(eye.device, eye.dtype), output_hidden_states=True)
    return _one_after_the_other(output.hidden_states[-2].to("cpu", torch.float32))


def embed_first_frame_alone(
    encoder: Component, image: Tensor, last: Tensor | None = None
) -> dict[str, Tensor]:
    """As `embed_first_frame`, by an image encoder from a file of its own."""
    images = torch.cat([each for each in (image, last) if each is not None])
    states, _ = embed_images(encoder, images, reads_patches=True)
    return _one_after_the_other(states[0])


def _one_after_the_other(states: Tensor) -> dict[str, Tensor]:
    return {IMAGE_EMBEDS: states.reshape(1, -1, states.shape[-1])}


def _encoded(autoencoder: Autoencoder, frames: Tensor) -> Tensor:
    samples = encode_video(autoencoder, frames).samples
    assert samples is not None
    return samples


def _check(family: Family, autoencoder: Autoencoder, image: Tensor) -> None:
    if not family.first_picture:
        raise InvalidValue(
            f"{family.title} is not an image-to-video model",
            port="conditioning",
            given=family.name,
            hint="Load an image-to-video model.",
        )
    if autoencoder.family != family.latent.name:
        raise InvalidValue(
            "the VAE and the prompt belong to different models",
            port="vae",
            given=f"one of format {autoencoder.family}",
            expected=f"one of format {family.latent.name}",
            hint="Use the VAE and the prompt of the same LoadModel.",
        )
    if image.shape[0] != 1:
        raise InvalidValue(
            "a video starts with one image",
            port="image",
            given=f"{image.shape[0]} images",
            expected="1",
        )


def _check_last(family: Family, image: Tensor, last: Tensor, frames: int) -> None:
    if family.first_picture != "film":
        raise InvalidValue(
            f"{family.title} does not take a last image",
            port="last_image",
            given=family.name,
            expected="an image-to-video model of Wan 2.1 or 2.2 14B",
            hint="Remove the last image.",
        )
    if last.shape != image.shape:
        raise InvalidValue(
            "the first and the last image differ in size or number",
            port="last_image",
            given=f"{last.shape[0]} of {last.shape[2]} x {last.shape[1]} pixels",
            expected=f"{image.shape[0]} of {image.shape[2]} x {image.shape[1]} pixels",
            hint="Use ResizeImage before this node.",
        )
    if frames < 2:
        raise InvalidValue(
            "a video between two images has several frames",
            port="frames",
            given=str(frames),
            expected="5 or more",
        )
