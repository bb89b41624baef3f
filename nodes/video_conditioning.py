"""Conditioning of video models in addition to the prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from nodegraph import (
    Advanced,
    Choices,
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
from nodegraph.models.camera_path import MOTIONS, CameraPath

from ._family_facts import (
    camera_facts,
    check_camera,
    check_control_video,
    check_first_picture,
    check_frame_guide,
    check_second_expert,
    check_tracks,
    control_video_facts,
    first_image_facts,
    frame_guide_facts,
    vace_facts,
)
from ._memory import (
    encode_camera_estimate,
    encode_control_estimate,
    encode_controlling_estimate,
    encode_frames_estimate,
)
from ._video_latent_facts import (
    FRAMES_PER_REFERENCE,
)
from .video_latent import Side

FAMILY_FACTS = {"conditioning": {"family": "conditioning.family"}}


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
        **FAMILY_FACTS,
        "latent": {"width": "image.width", "height": "image.height", "frames": "frames"},
    },
    infer=first_image_facts,
    validate=check_first_picture,
    estimate=encode_frames_estimate,
    tags=(
        *("wan", "ltx", "cosmos", "hunyuan", "HunyuanVideo15ImageToVideo", "animate", "minimax"),
        *("first frame", "last frame", "video editing", "skyreels"),
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

    Use it for the image-to-video models of Wan, Wan 2.2 5B, SkyReels, LTX-Video, Cosmos and
    HunyuanVideo, and for MiniMax H3. The latent is empty and has the size of the image.

    Args:
        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        image: One image of the size of the video. Use ResizeImage before this node. For Cosmos and
            SkyReels V2 with diffusion forcing, also the first frames of a video to continue. For
            HunyuanVideo 1.5, also a video, for models that were trained to edit videos.
        frames: Number of frames: a multiple of 4 plus 1 for Wan, SkyReels, Cosmos Predict2 and
            HunyuanVideo, a multiple of 8 plus 1 for LTX-Video and Cosmos 1.0, a multiple of 17
            plus 5 for MiniMax H3.
        encoder: The text encoder of the model, for Wan 2.1 and HunyuanVideo 1.5, if it includes the
            image encoder. Other models need none.
        last_image: One image of the same size that the video ends with, for Wan 2.1 and 2.2 14B,
            for the Fun inpaint model of Wan 2.2 5B, for SkyReels V2 with diffusion forcing, and for
            MiniMax H3.
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
    facts=FAMILY_FACTS,
    infer=vace_facts,
    validate=check_control_video,
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
        **FAMILY_FACTS,
        "latent": {"width": "video.width", "height": "video.height", "frames": "frames"},
    },
    infer=control_video_facts,
    validate=check_control_video,
    estimate=encode_controlling_estimate,
    tags=(
        *("wan", "cogvideox", "fun control", "WanFunControlToVideo", "Wan22FunControlToVideo"),
        *("video to video", "canny", "depth", "reference image"),
    ),
)
def ControlVideoConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    video: Image,
    frames: Annotated[int, Range(1, 100_000)] = 81,
    image: Image | None = None,
    image_encoder: ImageEncoder | None = None,
    reference: Image | None = None,
) -> FirstPicture:
    """Set the control video for a Fun control model of Wan or CogVideoX.

    For Wan, optionally also the first frame. The latent is empty and has the size of the control
    video.

    Args:
        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        video: Frames to follow, such as edges, depth or poses. Use ResizeImage before this node.
        frames: Number of frames: a multiple of 4 plus 1 for Wan, a multiple of 8 for CogVideoX, or
            one more for 1.0.
        image: One image of the same size that the video starts with, for Wan.
        image_encoder: The image encoder that sees this image, from a file of its own:
            clip_vision_h. Models of Wan 2.1 need it.
        reference: One image of the same size with the look of the video, for the models of Wan 2.2
            and of 2.1 V1.1.
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
        tensors = encode_control_video(autoencoder, conditioning, video, frames, image, reference)
    if image_encoder is not None and image is not None:
        with ctx.weights(image_encoder, calls_only=True) as eyes:
            tensors |= embed_first_frame_alone(eyes, image)
    height, width = video.shape[1:3]
    latent = Latent(None, width, height, frames=frames)
    return FirstPicture(with_tensors(conditioning, tensors), latent)


@node(
    category="conditioning",
    label="Point tracks",
    lane="gpu",
    numerics=True,
    facts={
        **FAMILY_FACTS,
        "latent": {"width": "image.width", "height": "image.height", "frames": "frames"},
    },
    infer=first_image_facts,
    validate=check_tracks,
    estimate=encode_frames_estimate,
    tags=(
        *("wan", "ATI", "WanTrackToVideo", "trajectory", "motion", "image to video"),
        *("spline", "drag"),
    ),
)
def TrackConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    image: Image,
    tracks: Annotated[str, Multiline()] = "[]",
    frames: Annotated[int, Range(1, 100_000)] = 81,
    temperature: Annotated[float, Range(1, 1000, step=0.1)] = 220.0,
    top_k: Annotated[int, Range(1, 10)] = 2,
    image_encoder: ImageEncoder | None = None,
) -> FirstPicture:
    """Set the first frame and the paths of its points, for the ATI model of Wan 2.1.

    The latent is empty and has the size of the image. Without tracks, the node sets the first frame
    alone.

    Args:
        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        image: One image of the size of the video. Use ResizeImage before this node.
        tracks: JSON: a list of tracks. A track is a list of points with `x` and `y` in pixels, 24
            per second: 121 points are the whole video. After its last point, a track ends.
        frames: Number of frames: a multiple of 4 plus 1.
        temperature: How narrow the trace of a point is. Higher values move a smaller surrounding.
        top_k: Number of points that move a place at most, where tracks meet.
        image_encoder: The image encoder that sees the image, from a file of its own:
            clip_vision_h.
    """
    from nodegraph.models.image_to_video import embed_first_frame_alone
    from nodegraph.models.point_tracks import encode_tracks, parse_tracks
    from nodegraph.sampling.inpainting import with_tensors

    points = parse_tracks(tracks)
    with ctx.weights(vae, calls_only=True) as autoencoder:
        tensors = encode_tracks(
            autoencoder, conditioning, image, frames, points, temperature=temperature, top_k=top_k
        )
    if image_encoder is not None:
        with ctx.weights(image_encoder, calls_only=True) as eyes:
            tensors |= embed_first_frame_alone(eyes, image)
    height, width = image.shape[1:3]
    latent = Latent(None, width, height, frames=frames)
    return FirstPicture(with_tensors(conditioning, tensors), latent)


class CameraShot(NamedTuple):
    """A camera's path, and the size and length of the video."""

    camera: CameraPath
    width: int
    height: int
    frames: int


@node(
    category="conditioning",
    label="Camera motion",
    facts={"camera": {name: name for name in ("width", "height", "frames")}},
    tags=("wan", "WanCameraEmbedding", "fun camera", "camera control", "pan", "zoom", "roll"),
)
def CameraMotion(
    motion: Annotated[str, Choices(MOTIONS)] = "static",
    width: Side = 832,
    height: Side = 480,
    frames: Annotated[int, Range(1, 100_000)] = 81,
    speed: Annotated[float, Range(0, 10, step=0.1)] = 1.0,
    focal_x: Annotated[float, Range(0.001, 10), Advanced()] = 0.5,
    focal_y: Annotated[float, Range(0.001, 10), Advanced()] = 0.5,
    center_x: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 0.5,
    center_y: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 0.5,
) -> CameraShot:
    """Move a camera through a video, for a Fun camera model of Wan.

    Link the camera to a CameraConditioning, which takes the size and length of the video from it.

    Args:
        motion: How the camera moves. Zooming moves it forward and back.
        width, height: Size of the video in pixels.
        frames: Number of frames: a multiple of 4 plus 1.
        speed: Factor of the motion. At 1 the camera turns by 60 degrees in the whole video.
        focal_x, focal_y: Focal lengths as parts of the width and height of a frame of 1280 x 720.
        center_x, center_y: Optical center as parts of the width and height.
    """
    optics = (focal_x, focal_y, center_x, center_y)
    return CameraShot(
        CameraPath(motion, width, height, frames, speed, *optics), width, height, frames
    )


@node(
    category="conditioning",
    label="Camera path",
    lane="gpu",
    numerics=True,
    facts={
        **FAMILY_FACTS,
        "latent": {name: f"camera.{name}" for name in ("width", "height", "frames")},
    },
    infer=camera_facts,
    validate=check_camera,
    estimate=encode_camera_estimate,
    tags=("wan", "fun camera", "WanCameraImageToVideo", "camera control", "image to video"),
)
def CameraConditioning(
    ctx: Context,
    conditioning: Conditioning,
    vae: Vae,
    camera: CameraPath,
    image: Image | None = None,
    image_encoder: ImageEncoder | None = None,
) -> FirstPicture:
    """Set the camera, and optionally the first frame, for a Fun camera model of Wan.

    The latent is empty and has the size and length of the camera's video.

    Args:
        conditioning: The prompt. A negative prompt does not need this node.
        vae: The VAE of the model.
        camera: The camera's path, from CameraMotion.
        image: One image of the size of the video, which starts with it. Use ResizeImage before this
            node.
        image_encoder: The image encoder that sees this image, from a file of its own:
            clip_vision_h. Models of Wan 2.1 need it.
    """
    from nodegraph.models.camera_motion import encode_camera
    from nodegraph.models.image_to_video import embed_first_frame_alone
    from nodegraph.sampling.inpainting import with_tensors

    if image_encoder is not None and image is None:
        raise InvalidValue(
            "the image encoder has no image to see",
            port="image",
            hint="Link the first image, or remove the link of the image encoder.",
        )
    with ctx.weights(vae, calls_only=True) as autoencoder:
        tensors = encode_camera(autoencoder, conditioning, camera, image)
    if image_encoder is not None and image is not None:
        with ctx.weights(image_encoder, calls_only=True) as eyes:
            tensors |= embed_first_frame_alone(eyes, image)
    latent = Latent(None, camera.width, camera.height, frames=camera.frames)
    return FirstPicture(with_tensors(conditioning, tensors), latent)


@node(
    category="latent",
    lane="gpu",
    numerics=True,
    infer=frame_guide_facts,
    validate=check_frame_guide,
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


@node(
    category="conditioning",
    facts=FAMILY_FACTS,
    validate=check_second_expert,
    tags=("wan", "low noise", "two experts"),
)
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
    from nodegraph.families.family_checks import check_has_second_expert
    from nodegraph.families.registry import get_family
    from nodegraph.sampling.inpainting import with_tensors

    if conditioning.family is not None:
        check_has_second_expert(get_family(conditioning.family))

    return with_tensors(conditioning, {LATE_CFG: torch.tensor([cfg], dtype=torch.float64)})


@node(category="conditioning", facts=FAMILY_FACTS, tags=("ltx", "cosmos", "fps"))
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
