"""Conditioning of video models in addition to the prompt."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import (
    Conditioning,
    Context,
    Image,
    ImageEncoder,
    InvalidValue,
    Latent,
    Range,
    TextEncoder,
    Vae,
    node,
)

from ._memory import encode_frames_estimate
from ._video_latent_facts import check_film

_FAMILY = {"conditioning": {"family": "conditioning.family"}}


class FirstPicture(NamedTuple):
    """Conditioning with the first frame, and the latent to sample."""

    conditioning: Conditioning
    latent: Latent


@node(
    category="conditioning",
    label="Image to video",
    lane="gpu",
    numerics=True,
    facts={
        **_FAMILY,
        "latent": {"width": "image.width", "height": "image.height", "frames": "frames"},
    },
    validate=check_film,
    estimate=encode_frames_estimate,
    tags=("wan", "ltx", "cosmos", "animate", "first frame", "last frame"),
)
def ImageToVideoConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    image: Image,
    frames: Annotated[int, Range(1, 100_000)] = 81,
    encoder: TextEncoder | None = None,
    last_image: Image | None = None,
    image_encoder: ImageEncoder | None = None,
) -> FirstPicture:
    """Set the first frame for an image-to-video model, and optionally the last one.

    Use it for the image-to-video models of Wan, Wan 2.2 5B, LTX-Video and Cosmos. The latent is
    empty and has the size of the image.

    Args:
        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        image: One image of the size of the video. Use ResizeImage before this node. For Cosmos,
            also the first frames of a video to continue.
        frames: Number of frames: a multiple of 4 plus 1 for Wan and Cosmos Predict2, a multiple of
            8 plus 1 for LTX-Video and Cosmos 1.0.
        encoder: The text encoder of the model, for Wan 2.1, if it includes the image encoder.
            Other models need none.
        last_image: One image of the same size that the video ends with, for Wan 2.1 and 2.2 14B.
        image_encoder: The image encoder from a file of its own, for Wan 2.1: clip_vision_h.
    """
    from nodegraph.models.image_to_video import (
        embed_first_frame,
        embed_first_frame_alone,
        encode_first_frame,
    )
    from nodegraph.sampling.inpainting import with_tensors

    if encoder is not None and image_encoder is not None:
        raise InvalidValue(
            "the images are embedded by one encoder, and two are linked",
            port="image_encoder",
            expected="encoder or image_encoder",
            hint="Remove one of both links.",
        )
    with ctx.weights(vae, calls_only=True) as autoencoder:
        tensors = encode_first_frame(autoencoder, conditioning, image, frames, last_image)
    if encoder is not None:
        with ctx.weights(encoder, calls_only=True) as text_model:
            tensors |= embed_first_frame(text_model, image, last_image)
    if image_encoder is not None:
        with ctx.weights(image_encoder, calls_only=True) as eyes:
            tensors |= embed_first_frame_alone(eyes, image, last_image)
    height, width = image.shape[1:3]
    latent = Latent(None, width, height, frames=frames)
    return FirstPicture(with_tensors(conditioning, tensors), latent)


@node(category="conditioning", facts=_FAMILY, tags=("wan", "low noise", "two experts"))
def SecondExpertCfg(
    conditioning: Conditioning, cfg: Annotated[float, Range(0, 100, step=0.1)] = 3.0
) -> Conditioning:
    """Set a separate guidance scale for the second expert of Wan 2.2.

    Without this node both experts use the sampler's cfg. If the sampler's cfg is 1 or below, no
    negative prompt is evaluated, and this node changes nothing.

    Args:
        conditioning: The positive prompt.
        cfg: Guidance scale of the last, low-noise part of the sampling.
    """
    import torch

    from nodegraph.families.base import LATE_CFG
    from nodegraph.sampling.inpainting import with_tensors

    return with_tensors(conditioning, {LATE_CFG: torch.tensor([cfg], dtype=torch.float64)})


@node(category="conditioning", facts=_FAMILY, tags=("ltx", "cosmos", "fps"))
def FrameRateConditioning(
    conditioning: Conditioning, rate: Annotated[float, Range(0.001, 1000)] = 25.0
) -> Conditioning:
    """Set the frame rate that LTX-Video and Cosmos read as an input.

    Without this node it is 25 for LTX-Video, 30 for Cosmos 1.0 and 16 for Cosmos Predict2. Other
    models ignore it.

    Args:
        conditioning: The positive prompt.
        rate: Frames per second. Set the same rate in VAEDecodeVideo.
    """
    import torch

    from nodegraph.families.base import RATE
    from nodegraph.media.videos.rates import exact_rate
    from nodegraph.sampling.inpainting import with_tensors

    exact = exact_rate(rate)
    rate_tensor = torch.tensor([[exact.numerator, exact.denominator]])
    return with_tensors(conditioning, {RATE: rate_tensor})
