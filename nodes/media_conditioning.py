"""Keyframes, and images, videos and sound that a prompt refers to."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any, Literal

from nodegraph import (
    Advanced,
    Audio,
    Conditioning,
    Context,
    Image,
    Latent,
    PromptText,
    Range,
    TextEncoder,
    Vae,
    node,
)

from ._family_facts import check_keyframe, check_references_to_video, keyframe_facts
from ._memory import encode_frames_estimate
from .video_conditioning import FirstPicture
from .video_latent import Side


def _loaded(ctx: Context, opened: ExitStack, *vaes: Vae | None) -> list[Any]:
    """The autoencoders of VAEs, until the stack is left; None of those that are not linked."""
    return [
        None if vae is None else opened.enter_context(ctx.weights(vae, calls_only=True))
        for vae in vaes
    ]


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    infer=keyframe_facts,
    validate=check_keyframe,
    estimate=encode_frames_estimate,
    tags=(
        *("minimax", "keyframe", "last frame", "image to video", "MiniMaxH3AddGuide"),
        *("audio", "soundtrack"),
    ),
)
def KeyframeConditioning(
    ctx: Context,
    conditioning: Conditioning,
    latent: Latent,
    vae: Vae | None = None,
    image: Image | None = None,
    audio_vae: Vae | None = None,
    audio: Audio | None = None,
    frame: Annotated[int, Range(-100_000, 100_000)] = 0,
) -> Conditioning:
    """Show MiniMax H3 an image, a clip or sound that stands at a frame of the video.

    Use it once per keyframe. The prompt is best encoded without the image, or with all images by
    EncodeEditPrompt.

    Args:
        conditioning: The prompt. A negative prompt does not need this node.
        latent: The latent of the video, empty or sampled, for its size and length.
        vae: The VAE of the model. It encodes the image.
        image: One image, or the frames of a clip. They are scaled to the size of the video, and
            their edges are cropped. A clip is cut to a multiple of 17 frames plus 5; fewer than 5
            frames are one image.
        audio_vae: The VAE that encodes the audio, which may be the same.
        audio: Sound that begins at the frame. It is cut at the end of the video.
        frame: Frame that they begin at, from 0. Negative numbers count from the end: -1 is the
            last frame.
    """
    from nodegraph.models.media_conditions import keyframe_tensors
    from nodegraph.sampling.inpainting import with_tensors

    with ExitStack() as opened:
        loaded = _loaded(ctx, opened, vae, audio_vae)
        tensors = keyframe_tensors(
            conditioning,
            latent,
            frame,
            autoencoder=loaded[0],
            images=image,
            sound_autoencoder=loaded[1],
            audio=audio,
        )
    return with_tensors(conditioning, tensors)


@node(
    category="conditioning",
    label="Reference to video",
    lane="gpu",
    numerics=True,
    facts={
        "conditioning": {"family": "encoder.family"},
        "latent": {"width": "width", "height": "height", "frames": "frames"},
    },
    validate=check_references_to_video,
    estimate=encode_frames_estimate,
    tags=(
        *("minimax", "MiniMaxH3ReferenceToVideo", "ref2va", "subject", "voice", "style"),
        *("reference image", "reference video", "reference audio"),
    ),
)
def ReferenceToVideoConditioning(
    ctx: Context,
    encoder: TextEncoder,
    text: Annotated[str, PromptText()] = "",
    vae: Vae | None = None,
    audio_vae: Vae | None = None,
    images: list[Image] | None = None,
    videos: list[Image] | None = None,
    soundtracks: list[Audio] | None = None,
    audios: list[Audio] | None = None,
    width: Side = 1344,
    height: Side = 768,
    frames: Annotated[int, Range(1, 100_000)] = 124,
    image_size: Annotated[Literal["video", "2048"], Advanced()] = "video",
) -> FirstPicture:
    """Encode a prompt that refers to images, videos and sound, for MiniMax H3 (ref2va).

    The text calls them <Picture 1>, <Video 1> and <Audio 1>, and so on. The soundtrack of a video
    counts among the audios, before those that stand alone. The latent is empty.

    Args:
        encoder: The text encoder of MiniMax H3.
        text: The prompt.
        vae: The VAE of the model. Without it, only the text encoder sees the images and videos.
        audio_vae: The VAE that encodes sound, which may be the same.
        images: Up to 9 images of any size. Of a batch, the first is used.
        videos: Up to 3 videos at 24 frames per second. They are cut to the length of the video and
            to a multiple of 17 frames plus 5.
        soundtracks: The sound of the videos, in their order.
        audios: Up to 3 sounds, such as voices.
        width, height: Size of the video in pixels: multiples of 32.
        frames: Number of frames: a multiple of 17 plus 5.
        image_size: Size that the model sees the images in: no larger than the video, or with a
            shorter side of 2048 pixels, which takes far longer.
    """
    from nodegraph.models.conditioning import encode_media
    from nodegraph.models.media_conditions import (
        MediaReference,
        fit_references,
        reference_tensors,
    )
    from nodegraph.sampling.inpainting import with_tensors

    tracks = [*(soundtracks or ()), *[None] * len(videos or ())]
    references = [
        *(MediaReference(image) for image in images or ()),
        *(
            MediaReference(video, is_video=True, audio=track)
            for video, track in zip(videos or (), tracks, strict=False)
        ),
        *(MediaReference(None, audio=audio) for audio in audios or ()),
    ]
    latent = Latent(None, width, height, frames=frames)
    fitted = fit_references(references, latent, full_images=image_size == "2048")
    with ctx.weights(encoder, calls_only=True) as text_model:
        conditioning = encode_media(
            text_model,
            text,
            [item.media for item in fitted],
            warn=lambda message: ctx.log(message, "warning"),
        )
    with ExitStack() as opened:
        loaded = _loaded(ctx, opened, vae, audio_vae)
        tensors = reference_tensors(fitted, *loaded)
    return FirstPicture(with_tensors(conditioning, tensors), latent)
