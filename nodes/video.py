"""Videos: reading, writing, cutting, and between them and pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Audio, Context, File, Image, Range, Video, node

from ._facts import check_result_name, image_state
from ._result_files import result_name, save_result
from ._video_facts import (
    check_part,
    check_video,
    frames_video_facts,
    loaded_video_facts,
    trimmed_video_facts,
    video_frames_facts,
)

_SAME = {name: f"video.{name}" for name in ("width", "height", "frames", "rate")}


class VideoParts(NamedTuple):
    """What a video is made of."""

    image: Image
    rate: float
    audio: Audio | None


@node(
    version=2,
    category="video",
    lane="io",
    infer=loaded_video_facts,
    validate=check_video,
    fingerprint=image_state,
    tags=("open", "read", "movie", "clip"),
)
def LoadVideo(
    ctx: Context,
    path: Annotated[str, File("video")],
    first: Annotated[int, Range(0, 1_000_000_000)] = 0,
    count: Annotated[int, Range(0, 1_000_000_000)] = 0,
    every: Annotated[int, Range(1, 10_000), Advanced()] = 1,
    rate: Annotated[float, Range(0, 1000), Advanced()] = 0.0,
) -> Video:
    """Read a video from a file, with its audio.

    Where frames don't come evenly, as those of phones and screen recordings, what is shown longer
    comes several times: all happens when it does in the file.

    Args:
        path: MP4, WebM, MOV, MKV, GIF and others; relative paths start from the inputs folder.
        first: Frames to leave out at the beginning.
        count: How many frames to read at most; 0 for all.
        every: Read one of so many; the rate is divided by it.
        rate: Frames a second to read it at, before `first`, `count` and `every` count them; 0 for
            the file's own.
    """
    from nodegraph.media.videos.clips import read_video
    from nodegraph.media.videos.rates import exact_rate

    environment = ctx.environment
    return read_video(
        environment.inputs / Path(path).expanduser(),
        first=first,
        count=count,
        every=every,
        rate=exact_rate(rate) if rate else None,
        names=environment.readable is None,
        on_progress=lambda _: ctx.check_cancelled(),
        warn=lambda message: ctx.log(message, "warning"),
    )


@node(
    category="video",
    lane="io",
    output="files",
    validate=check_result_name,
    tags=("write", "file", "movie", "mp4"),
)
def SaveVideo(
    ctx: Context,
    video: Video,
    name: str = "video",
    format: Literal["mp4", "webm", "mkv"] = "mp4",
    quality: Annotated[int, Range(1, 100), Advanced()] = 75,
) -> None:
    """Write a video to the output folder, with the workflow that made it.

    Files are numbered: walk_00001.mp4. One with the same content is not written again.

    Args:
        video: With its audio, if it has some.
        name: What the file names begin with; clips/walk makes a sub-folder. Words such as %date%
            are filled in as in SaveImage.
        format: MP4 (H.264) plays anywhere, WebM (VP9) in browsers; both get even sides. MKV (FFV1)
            is lossless.
        quality: Of MP4 and WebM.
    """
    from nodegraph.media.images.workflow_metadata import workflow_metadata
    from nodegraph.media.videos.encoding import VIDEO_SUFFIXES, encode_video

    total, height, width, _ = video.frames.shape
    if format != "mkv" and (height % 2 or width % 2):
        size = f"{width + width % 2} x {height + height % 2}"
        ctx.log(f"{format} has even sides only: {width} x {height} is written as {size}.")
    texts = workflow_metadata(ctx.workflow)
    content = encode_video(
        video, format, quality, texts, on_progress=lambda done: ctx.progress(done, total)
    )
    name = result_name(ctx, name, (width, height))
    save_result(ctx, name, VIDEO_SUFFIXES[format], content, kind="video")


@node(category="video", infer=frames_video_facts, tags=("frames", "animate", "batch"))
def VideoFromImages(
    ctx: Context,
    images: list[Image],
    rate: Annotated[float, Range(0.001, 1000)] = 24.0,
    audio: Audio | None = None,
) -> Video:
    """Make a video of pictures.

    Args:
        images: Its frames, all of one size; a batch counts as that many pictures.
        rate: Frames a second; 23.976 and 29.97 mean 24000/1001 and 30000/1001.
        audio: Begins with the first frame.
    """
    from nodegraph.media.images.images import OPAQUE_HINT, is_transparent
    from nodegraph.media.videos.clips import video_from_images
    from nodegraph.media.videos.rates import exact_rate

    if any(map(is_transparent, images)):
        ctx.log(f"Videos have no transparency, so it is left out. {OPAQUE_HINT}", "warning")
    return video_from_images(images, exact_rate(rate), audio)


@node(category="video", infer=video_frames_facts, tags=("frames", "split", "batch"))
def ImagesFromVideo(video: Video) -> VideoParts:
    """Take a video apart into its frames and its audio.

    Args:
        video: Its frames become a batch of pictures.
    """
    return VideoParts(video.frames, float(video.rate), video.audio)


@node(
    category="video",
    infer=trimmed_video_facts,
    validate=check_part,
    tags=("cut", "crop", "shorten"),
)
def TrimVideo(
    video: Video,
    first: Annotated[int, Range(0, 1_000_000_000)] = 0,
    count: Annotated[int, Range(0, 1_000_000_000)] = 0,
    every: Annotated[int, Range(1, 10_000), Advanced()] = 1,
) -> Video:
    """Keep a part of a video, with its audio.

    Args:
        video: Of any length.
        first: Frames to leave out at the beginning.
        count: How many frames to keep at most; 0 for all.
        every: Keep one of so many; the rate is divided by it.
    """
    from nodegraph.media.videos.clips import trim_video

    return trim_video(video, first=first, count=count, every=every)


@node(category="video", facts={"video": _SAME}, tags=("sound", "music", "mux"))
def SetVideoAudio(video: Video, audio: Audio | None = None) -> Video:
    """Give a video other audio, or none.

    Args:
        video: Its frames stay as they are.
        audio: Begins with the first frame; left out, the video is silent.
    """
    return replace(video, audio=audio)
