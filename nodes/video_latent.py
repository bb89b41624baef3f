"""Between videos and latents."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Context, Latent, MultipleOf, Range, Vae, Video, node

from ._memory import decode_video_estimate, encode_video_estimate
from ._sampling_facts import check_empty_latent
from ._video_latent_facts import check_decoded_video, check_encoded_video

Side = Annotated[int, Range(16, 16384, step=16), MultipleOf(16)]
Frames = Annotated[int, Range(1, 100_000)]


@node(
    category="latent",
    facts={
        "latent": {"width": "width", "height": "height", "batch": "batch_size", "frames": "frames"}
    },
    validate=check_empty_latent,
    tags=("wan", "ltx"),
)
def EmptyVideoLatent(
    width: Side = 832,
    height: Side = 480,
    frames: Frames = 81,
    batch_size: Annotated[int, Range(1, 4096)] = 1,
) -> Latent:
    """The size of videos that are to be made from noise alone.

    It takes the shape of a model's latents once that model samples it.

    Args:
        width, height: In pixels; Wan 2.2 5B and LTX-Video take multiples of 32.
        frames: Of each video: a multiple of 4 and one more for Wan, of 8 and one more for
            LTX-Video.
        batch_size: How many videos.
    """
    return Latent(None, width, height, batch_size, frames=frames)


@node(
    category="latent",
    label="VAE decode video",
    lane="gpu",
    numerics=True,
    facts={
        "video": {
            "width": "latent.width",
            "height": "latent.height",
            "frames": "latent.frames",
            "rate": "rate",
        }
    },
    validate=check_decoded_video,
    estimate=decode_video_estimate,
    tags=("wan", "ltx"),
)
def VAEDecodeVideo(
    ctx: Context,
    vae: Vae,
    latent: Latent,
    rate: Annotated[float, Range(0.001, 1000)] = 16.0,
    tile: Annotated[int, Range(0, 16384, step=64), Advanced()] = 0,
    overlap: Annotated[int, Range(0, 4096, step=8), Advanced()] = 64,
) -> Video:
    """Turn the latent of a video into its frames.

    Args:
        vae: Of the model that made the latent.
        latent: Of one video, sampled or encoded.
        rate: Frames a second that the video is to have: 16 for Wan, 24 for Wan 2.2 5B, 25 for
            LTX-Video. 23.976 means 24000/1001.
        tile: Side of tiles to work in, in pixels, which takes less memory and gives slightly other
            pictures; 0 works on the whole, and in tiles only if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
    """
    from nodegraph.media.videos.rates import exact_rate
    from nodegraph.models.vae import decode_video, in_tiles

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return Video(decode_video(in_tiles(autoencoder, tile, overlap), latent), exact_rate(rate))


@node(
    category="latent",
    label="VAE encode video",
    lane="gpu",
    numerics=True,
    facts={
        "latent": {
            "width": "video.width",
            "height": "video.height",
            "frames": "video.frames",
            "channels": "vae.channels",
            "format": "vae.format",
        }
    },
    validate=check_encoded_video,
    estimate=encode_video_estimate,
    tags=("video to video", "wan", "ltx"),
)
def VAEEncodeVideo(
    ctx: Context,
    vae: Vae,
    video: Video,
    tile: Annotated[int, Range(0, 16384, step=64), Advanced()] = 0,
    overlap: Annotated[int, Range(0, 4096, step=8), Advanced()] = 64,
) -> Latent:
    """Turn a video into a latent that a model can work on.

    Args:
        vae: Of the model that is to work on it.
        video: With sides and a number of frames that the model can work on: TrimVideo makes it
            shorter.
        tile: Side of tiles to work in, in pixels, which takes less memory and gives slightly other
            pictures; 0 works on the whole, and in tiles only if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
    """
    from nodegraph.models.vae import encode_video, in_tiles

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return encode_video(in_tiles(autoencoder, tile, overlap), video.frames)
