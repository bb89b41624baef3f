"""Frame interpolation: new frames between those of a video."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from nodegraph import Context, File, Image, Range, Video, node
from nodegraph.families.helper_recipes import FrameInterpolationModel
from nodegraph.models.helper_files import open_frame_interpolator

from ._frame_interpolation_facts import (
    check_interpolated_image,
    check_interpolated_video,
    check_interpolator,
    interpolated_image_estimate,
    interpolated_image_facts,
    interpolated_video_estimate,
    interpolated_video_facts,
    interpolator_state,
    interpolator_weights,
)

Multiplier = Annotated[int, Range(1, 64)]


class LoadedFrameInterpolationModel(NamedTuple):
    model: FrameInterpolationModel


@node(
    category="video",
    lane="io",
    validate=check_interpolator,
    fingerprint=interpolator_state,
    estimate=interpolator_weights,
    tags=("FrameInterpolationModelLoader", "FILM", "film_net", "VFI"),
)
def LoadFrameInterpolationModel(
    ctx: Context, model: Annotated[str, File("model")]
) -> LoadedFrameInterpolationModel:
    """Load a frame interpolation model: FILM.

    Args:
        model: Name under a models folder or path of a .safetensors file, such as
            film_net_fp16.safetensors.
    """
    environment = ctx.environment
    recipe = open_frame_interpolator(model, environment.models, device=str(environment.device))
    return LoadedFrameInterpolationModel(recipe)


@node(
    category="video",
    lane="gpu",
    numerics=True,
    infer=interpolated_video_facts,
    validate=check_interpolated_video,
    estimate=interpolated_video_estimate,
    tags=("FILM", "VFI", "slow motion", "smooth", "fps", "frame rate", "in-between"),
)
def InterpolateVideo(
    ctx: Context,
    model: FrameInterpolationModel,
    video: Video,
    multiplier: Multiplier = 2,
    slow_motion: bool = False,
) -> Video:
    """Compute new frames between the frames of a video, for smooth or slow motion.

    Args:
        model: A model from LoadFrameInterpolationModel.
        video: The video. Its frames and its audio do not change.
        multiplier: 2 computes one frame between each two, 3 two frames, and so on. Powers of two
            suit FILM best.
        slow_motion: Keep the frame rate, so the video plays slower. Otherwise the frame rate is
            multiplied, and the duration stays.
    """
    from nodegraph.models.frame_interpolation import interpolate_frames

    with ctx.weights(model) as interpolator:
        frames = interpolate_frames(interpolator, video.frames, multiplier, on_frame=ctx.progress)
    rate = video.rate if slow_motion else video.rate * multiplier
    return replace(video, frames=frames, rate=rate)


@node(
    category="video",
    lane="gpu",
    numerics=True,
    infer=interpolated_image_facts,
    validate=check_interpolated_image,
    estimate=interpolated_image_estimate,
    tags=("FrameInterpolate", "FILM", "VFI", "tween", "morph", "in-between"),
)
def InterpolateFrames(
    ctx: Context, model: FrameInterpolationModel, image: Image, multiplier: Multiplier = 2
) -> Image:
    """Compute new images between the images of a batch.

    Args:
        model: A model from LoadFrameInterpolationModel.
        image: A batch of images in their order, such as the frames of a video. They do not change.
            Transparency fades evenly.
        multiplier: 2 computes one image between each two, 3 two images, and so on.
    """
    from nodegraph.models.frame_interpolation import interpolate_frames

    with ctx.weights(model) as interpolator:
        return interpolate_frames(interpolator, image, multiplier, on_frame=ctx.progress)
