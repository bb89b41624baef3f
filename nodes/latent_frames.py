"""Latents of videos, frame by frame."""

from __future__ import annotations

from typing import Annotated

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
    """Keep some of the latent frames of a video, or layers of a picture in layers.

    The VAE makes several frames of most of them, such as Wan's four of each but the first.

    Args:
        latent: Of a video; its noise mask comes along.
        start: The first that is kept, counted from 0; below 0 from the end, -1 being the last.
        count: How many at most; 0 is all from there.
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
    """Take the latent of a video apart along time, into a batch.

    Of items of one latent frame, VAEDecode makes pictures.

    Args:
        latent: Of a video; its noise mask comes along.
        size: Latent frames of each item; what doesn't fill one at the end is left out.
    """
    from nodegraph.sampling.latents.transforms import frames_as_batch

    return frames_as_batch(latent, size)
