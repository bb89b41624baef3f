"""What video models are told beside the prompt."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Conditioning, Context, Image, Latent, Range, TextEncoder, Vae, node

from ._memory import encode_frames_estimate
from ._video_latent_facts import check_film

_FAMILY = {"conditioning": {"family": "conditioning.family"}}


class FirstPicture(NamedTuple):
    """What is sampled with, and how large."""

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
    tags=("wan", "ltx", "animate", "first frame"),
)
def ImageToVideoConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    image: Image,
    frames: Annotated[int, Range(1, 100_000)] = 81,
    encoder: TextEncoder | None = None,
) -> FirstPicture:
    """Begin a video with a picture, by a model that was made for it.

    These are the image-to-video models of Wan, Wan 2.2 5B and LTX-Video. Its latent is empty, of
    the picture's size.

    Args:
        conditioning: What the video is to show. A negative prompt needs no picture of its own.
        vae: Of the model.
        image: One picture, as large as the video: put a ResizeImage before.
        frames: Of the video: a multiple of 4 and one more for Wan, of 8 and one more for
            LTX-Video.
        encoder: Of the model, for Wan 2.1: it has the part that sees pictures. Others need none.
    """
    from nodegraph.models.image_to_video import embed_first_frame, encode_first_frame
    from nodegraph.sampling.inpainting import with_tensors

    with ctx.weights(vae, calls_only=True) as autoencoder:
        tensors = encode_first_frame(autoencoder, conditioning, image, frames)
    if encoder is not None:
        with ctx.weights(encoder, calls_only=True) as text_model:
            tensors |= embed_first_frame(text_model, image)
    height, width = image.shape[1:3]
    latent = Latent(None, width, height, frames=frames)
    return FirstPicture(with_tensors(conditioning, tensors), latent)


@node(category="conditioning", facts=_FAMILY, tags=("wan", "low noise", "two experts"))
def SecondExpertCfg(
    conditioning: Conditioning, cfg: Annotated[float, Range(0, 100, step=0.1)] = 3.0
) -> Conditioning:
    """Give the second expert of Wan 2.2 a guidance scale of its own.

    The first has the sampler's, and so has the second without this node. Where that is 1 or below,
    there is no negative side, and this changes nothing.

    Args:
        conditioning: The positive prompt.
        cfg: How strongly prompts lead in the last, less noisy part of the sampling.
    """
    import torch

    from nodegraph.families.base import LATE_CFG
    from nodegraph.sampling.inpainting import with_tensors

    return with_tensors(conditioning, {LATE_CFG: torch.tensor([cfg], dtype=torch.float64)})


@node(category="conditioning", facts=_FAMILY, tags=("ltx", "fps"))
def FrameRateConditioning(
    conditioning: Conditioning, rate: Annotated[float, Range(0.001, 1000)] = 25.0
) -> Conditioning:
    """Tell LTX-Video how many frames a second a video is to have.

    It is told 25 without this node. Other models aren't told.

    Args:
        conditioning: The positive prompt.
        rate: Frames a second, as VAEDecodeVideo is to be told, too.
    """
    import torch

    from nodegraph.families.base import RATE
    from nodegraph.media.videos.rates import exact_rate
    from nodegraph.sampling.inpainting import with_tensors

    exact = exact_rate(rate)
    rate_tensor = torch.tensor([[exact.numerator, exact.denominator]])
    return with_tensors(conditioning, {RATE: rate_tensor})
