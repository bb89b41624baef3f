"""Conditioning of video models in addition to the prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from nodegraph import (
    Advanced,
    Audio,
    Conditioning,
    Context,
    Image,
    ImageEncoder,
    InvalidValue,
    Latent,
    Mask,
    Multiline,
    Range,
    TextEncoder,
    Vae,
    node,
)

from ._memory import (
    encode_control_estimate,
    encode_controlling_estimate,
    encode_frames_estimate,
)
from ._video_latent_facts import (
    FRAMES_PER_REFERENCE,
    check_film,
    check_frame_count,
    controlled_video_facts,
)
from .video_latent import Side

_FAMILY = {"conditioning": {"family": "conditioning.family"}}


class ControlledVideo(NamedTuple):
    """Conditioning with a control video, and the latent to sample.

    Attributes:
        conditioning: The prompt with the control video.
        latent: Empty, with a latent frame for each reference image before the video.
        references: Number of these latent frames. CutLatentFrames removes them after sampling.
    """

    conditioning: Conditioning
    latent: Latent
    references: int


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
    tags=(
        *("wan", "ltx", "cosmos", "hunyuan", "HunyuanVideo15ImageToVideo", "animate", "minimax"),
        *("first frame", "last frame", "video editing"),
    ),
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
    inpaint_model: Annotated[bool, Advanced()] = False,
) -> FirstPicture:
    """Set the first frame for an image-to-video model, and optionally the last one.

    Use it for the image-to-video models of Wan, Wan 2.2 5B, LTX-Video, Cosmos and HunyuanVideo
    1.5, and for MiniMax H3. The latent is empty and has the size of the image.

    Args:
        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        image: One image of the size of the video. Use ResizeImage before this node. For Cosmos,
            also the first frames of a video to continue. For HunyuanVideo 1.5, also a video, for
            models that were trained to edit videos.
        frames: Number of frames: a multiple of 4 plus 1 for Wan, Cosmos Predict2 and HunyuanVideo
            1.5, a multiple of 8 plus 1 for LTX-Video and Cosmos 1.0, a multiple of 17 plus 5 for
            MiniMax H3.
        encoder: The text encoder of the model, for Wan 2.1 and HunyuanVideo 1.5, if it includes the
            image encoder. Other models need none.
        last_image: One image of the same size that the video ends with, for Wan 2.1 and 2.2 14B,
            for the Fun inpaint model of Wan 2.2 5B, and for MiniMax H3.
        image_encoder: The image encoder from a file of its own: clip_vision_h for Wan 2.1,
            sigclip_vision_patch14_384 for HunyuanVideo 1.5. It sees the first image of a video.
        inpaint_model: Set this for the Fun inpaint model of Wan 2.2 5B, if there is no last image.
            Other models ignore it.
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
        tensors = encode_first_frame(
            autoencoder, conditioning, image, frames, last_image, as_film=inpaint_model
        )
    if encoder is not None:
        with ctx.weights(encoder, calls_only=True) as text_model:
            tensors |= embed_first_frame(text_model, image[:1], last_image)
    if image_encoder is not None:
        with ctx.weights(image_encoder, calls_only=True) as eyes:
            tensors |= embed_first_frame_alone(eyes, image[:1], last_image)
    height, width = image.shape[1:3]
    latent = Latent(None, width, height, frames=frames)
    return FirstPicture(with_tensors(conditioning, tensors), latent)


@node(
    category="conditioning",
    label="VACE conditioning",
    lane="gpu",
    numerics=True,
    facts=_FAMILY,
    infer=controlled_video_facts,
    validate=check_frame_count,
    estimate=encode_control_estimate,
    tags=(
        *("wan", "vace", "WanVaceToVideo", "control video", "reference image"),
        *("video inpainting", "outpainting", "video to video"),
    ),
)
def VaceConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    width: Side = 832,
    height: Side = 480,
    frames: Annotated[int, Range(1, 100_000)] = 81,
    video: Image | None = None,
    mask: Mask | None = None,
    reference: Image | None = None,
    strength: Annotated[float, Range(0, 1000, step=0.01)] = 1.0,
) -> ControlledVideo:
    """Set the control video, masks and reference images for Wan VACE.

    Without a video and references, the video is generated from the prompt alone. After sampling,
    remove the latent frames of the references: link `references` to the `start` of a
    CutLatentFrames.

    Args:
        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        width, height: Size of the video in pixels.
        frames: Number of frames: a multiple of 4 plus 1.
        video: Frames to follow or to keep, such as edges, depth, or a video with gray areas to
            fill. They have the size of the video. A shorter video continues with gray frames.
        mask: One mask for each frame: white is generated from the frame as a control image, black
            is kept. Frames without a mask are white.
        reference: One or more images of what the video shows, of any size.
        strength: Factor of the control's effect. 0 ignores it.
    """
    from nodegraph.models.image_to_video import ControlVideo, encode_vace
    from nodegraph.sampling.inpainting import with_tensors

    control = ControlVideo(width, height, frames, video, mask, reference, strength)
    with ctx.weights(vae, calls_only=True) as autoencoder:
        tensors = encode_vace(autoencoder, conditioning, control)
    count = 0 if reference is None else len(reference)
    latent = Latent(None, width, height, frames=frames + count * FRAMES_PER_REFERENCE)
    return ControlledVideo(with_tensors(conditioning, tensors), latent, count)


@node(
    category="conditioning",
    label="Control video",
    lane="gpu",
    numerics=True,
    facts={
        **_FAMILY,
        "latent": {"width": "video.width", "height": "video.height", "frames": "frames"},
    },
    validate=check_frame_count,
    estimate=encode_controlling_estimate,
    tags=("wan", "fun control", "WanFunControlToVideo", "video to video", "canny", "depth"),
)
def ControlVideoConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    video: Image,
    frames: Annotated[int, Range(1, 100_000)] = 81,
    image: Image | None = None,
    image_encoder: ImageEncoder | None = None,
) -> FirstPicture:
    """Set the control video, and optionally the first frame, for a Fun control model of Wan 2.1.

    The latent is empty and has the size of the control video.

    Args:
        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        video: Frames to follow, such as edges, depth or poses. Use ResizeImage before this node.
        frames: Number of frames: a multiple of 4 plus 1.
        image: One image of the same size that the video starts with.
        image_encoder: The image encoder that sees this image, from a file of its own:
            clip_vision_h. Models of Wan 2.1 need it.
    """
    from nodegraph.models.image_to_video import embed_first_frame_alone, encode_control_video
    from nodegraph.sampling.inpainting import with_tensors

    if image_encoder is not None and image is None:
        raise InvalidValue(
            "the image encoder has no image to see",
            port="image",
            hint="Link the first image, or remove the link of the image encoder.",
        )
    with ctx.weights(vae, calls_only=True) as autoencoder:
        tensors = encode_control_video(autoencoder, conditioning, video, frames, image)
    if image_encoder is not None and image is not None:
        with ctx.weights(image_encoder, calls_only=True) as eyes:
            tensors |= embed_first_frame_alone(eyes, image)
    height, width = video.shape[1:3]
    latent = Latent(None, width, height, frames=frames)
    return FirstPicture(with_tensors(conditioning, tensors), latent)


@node(
    category="conditioning",
    lane="gpu",
    numerics=True,
    facts=_FAMILY,
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
    from contextlib import ExitStack

    from nodegraph.models.media_conditions import keyframe_tensors
    from nodegraph.sampling.inpainting import with_tensors

    with ExitStack() as opened:
        loaded = [
            None if each is None else opened.enter_context(ctx.weights(each, calls_only=True))
            for each in (vae, audio_vae)
        ]
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
    validate=check_frame_count,
    estimate=encode_frames_estimate,
    tags=(
        *("minimax", "MiniMaxH3ReferenceToVideo", "ref2va", "subject", "voice", "style"),
        *("reference image", "reference video", "reference audio"),
    ),
)
def ReferenceToVideoConditioning(
    ctx: Context,
    encoder: TextEncoder,
    text: Annotated[str, Multiline()] = "",
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
    from contextlib import ExitStack

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
        loaded = [
            None if each is None else opened.enter_context(ctx.weights(each, calls_only=True))
            for each in (vae, audio_vae)
        ]
        tensors = reference_tensors(fitted, *loaded)
    return FirstPicture(with_tensors(conditioning, tensors), latent)


@node(
    category="latent",
    lane="gpu",
    numerics=True,
    facts={
        "latent": {
            name: f"latent.{name}"
            for name in ("width", "height", "batch", "frames", "channels", "format")
        }
    },
    estimate=encode_frames_estimate,
    tags=(
        *("ltx", "keyframe", "first frame", "last frame", "IC-LoRA", "image to video"),
        *("LTXVAddGuide", "LTXVImgToVideoInplace", "control video"),
    ),
)
def AddFrameGuide(
    ctx: Context,
    latent: Latent,
    vae: Vae,
    image: Image,
    frame: Annotated[int, Range(-100_000, 100_000)] = 0,
    strength: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    append: bool = False,
) -> Latent:
    """Guide a frame of an LTX-2 video with an image, or several frames with a clip.

    Use it once per image: for the first frame, the last one, or any frame between. Link the latent
    of the last one to the sampler. The sampled latent keeps the guides; RemoveFrameGuides and
    UpscaleLatent remove them.

    Args:
        latent: The latent of a video, empty or sampled.
        vae: The VAE of the model.
        image: One image, or the frames of a clip. They are scaled to the size of the video, and
            their edges are cropped. A clip is cut to a multiple of 8 frames plus 1, and at the end
            of the video.
        frame: Frame that the guide begins at, from 0. Negative numbers count from the end: -1 is
            the last frame. A clip begins at 0 or at a multiple of 8 plus 1.
        strength: At 1 the model gets the guide without noise and does not change it. Lower values
            let the model change it.
        append: Give the model a guide at frame 0 beside the video, for the control videos of
            IC-LoRAs. If off, it replaces the first frames. Other guides are always beside.
    """
    from nodegraph.models.image_to_video import with_frame_guide

    with ctx.weights(vae, calls_only=True) as autoencoder:
        return with_frame_guide(autoencoder, latent, image, frame, strength, append=append)


@node(
    category="latent",
    facts={
        "latent": {
            name: f"latent.{name}"
            for name in ("width", "height", "batch", "frames", "channels", "format")
        }
    },
    tags=("ltx", "keyframe", "LTXVCropGuides"),
)
def RemoveFrameGuides(latent: Latent) -> Latent:
    """Remove the guides of AddFrameGuide from a latent, for example before it is sampled again.

    Args:
        latent: The latent of a video. Its samples do not change.
    """
    return replace(latent, guides=())


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
