"""Latent frames of videos."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Latent, Range, node

from ._latent_facts import KEPT

_SIZED: dict[str, str] = {name: KEPT[name] for name in ("width", "height", "format")}


@node(
    category="latent/transform",
    label="Cut frames of latent",
    facts={"latent": {**_SIZED, "batch": KEPT["batch"]}},
    tags=("LatentCut", "trim video", "first frame", "layers", "t"),
)
def CutLatentFrames(
    latent: Latent,
    start: Annotated[int, Range(-16384, 16384)] = 0,
    count: Annotated[int, Range(0, 16384)] = 0,
) -> Latent:
    """Keep a range of latent frames of a video, or layers of a layered image.

    The VAE decodes most latent frames to several video frames. Wan decodes each to four, except the
    first.

    Args:
        latent: The latent of a video. Its noise mask is cut, too.
        start: Index of the first frame to keep, starting at 0. Negative values count from the end:
            -1 is the last.
        count: Maximum number of frames to keep. 0 keeps all frames from start.
    """
    from nodegraph.sampling.latents.transforms import cut_frames

    return cut_frames(latent, start, count)


@node(
    category="latent/transform",
    label="Latent frames to batch",
    facts={"latent": _SIZED},
    tags=("LatentCutToBatch", "split frames", "layers", "qwen image layered"),
)
def LatentFramesToBatch(latent: Latent, size: Annotated[int, Range(1, 16384)] = 1) -> Latent:
    """Split a video latent along time into a batch.

    VAEDecode turns items of one latent frame into images.

    Args:
        latent: The latent of a video. Its noise mask is split, too.
        size: Latent frames per item. Frames at the end that do not fill an item are dropped.
    """
    from nodegraph.sampling.latents.transforms import frames_as_batch

    return frames_as_batch(latent, size)


@node(
    category="latent/transform",
    label="Replace latent frames",
    facts={"latent": {name: "destination." + name for name in ("width", "height", "batch")}},
    tags=("ReplaceVideoLatentFrames", "insert frames", "splice", "first frame"),
)
def ReplaceLatentFrames(
    destination: Latent,
    source: Latent,
    index: Annotated[int, Range(-16384, 16384)] = 0,
) -> Latent:
    """Replace some latent frames of a video by those of another.

    Args:
        destination: The latent of a video.
        source: The latent of a video or an image of the same size, with fewer frames.
        index: Latent frame that the first one replaces, starting at 0. Negative values count from
            the end.
    """
    from nodegraph.sampling.latents.video_frames import replace_frames

    return replace_frames(destination, source, index)


@node(
    category="latent/transform",
    label="Match first frames",
    numerics=True,
    facts={"latent": {**_SIZED, "batch": KEPT["batch"]}},
    tags=("NormalizeVideoLatentStart", "normalize", "brightness", "kandinsky", "flicker"),
)
def MatchFirstFrames(
    latent: Latent,
    frames: Annotated[int, Range(1, 16384)] = 4,
    reference: Annotated[int, Range(1, 16384)] = 5,
    statistics: Literal["joint", "per frame"] = "joint",
) -> Latent:
    """Match the brightness and contrast of a video's first frames to those of the next frames.

    Videos that Kandinsky 5 generates from an image may begin differently. The mean and the standard
    deviation of the latent change, within limits.

    Args:
        latent: The latent of a video. One with no more than these frames stays unchanged.
        frames: Number of latent frames to change, from the start.
        reference: Maximum number of latent frames after them to match.
        statistics: joint uses one mean for all frames and narrow limits, as diffusers. per frame
            uses one for each frame and wider limits, as ComfyUI.
    """
    from nodegraph.sampling.latents.video_frames import match_first_frames

    return match_first_frames(latent, frames, reference, statistics)
