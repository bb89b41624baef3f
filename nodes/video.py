"""Videos: load, save, trim, and convert from and to images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Audio, Context, File, Image, Range, Video, node

from ._credentials import warn_if_changed
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
    """Frames, audio and frame rate of a video."""

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
    """Load a video from a file, with its audio.

    Frames of variable frame rate, as in videos of phones and screen recordings, are repeated to
    keep their timing.

    Args:
        path: MP4, WebM, MOV, MKV, GIF and other formats. Relative paths start from the inputs
            folder.
        first: Number of frames to skip at the start.
        count: Maximum number of frames to load. 0 loads all.
        every: Load every n-th frame. The frame rate is divided by n.
        rate: Frames per second to resample to, before `first`, `count` and `every` apply. 0 keeps
            the rate of the file.
    """
    from nodegraph.media.videos.clips import read_video
    from nodegraph.media.videos.rates import exact_rate

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    loaded = read_video(
        file,
        first=first,
        count=count,
        every=every,
        rate=exact_rate(rate) if rate else None,
        names=environment.readable is None,
        on_progress=lambda _: ctx.check_cancelled(),
        warn=lambda message: ctx.log(message, "warning"),
    )
    warn_if_changed(ctx, file)
    return loaded


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
    """Save a video to the output folder, with the workflow that made it.

    Files are numbered: walk_00001.mp4. A file with the same content is not written again.

    Args:
        video: The video, with its audio.
        name: Prefix of the file names. clips/walk makes a sub-folder. Placeholders like %date% are
            filled in as in SaveImage.
        format: MP4 (H.264) plays everywhere, WebM (VP9) in browsers. Both need even sides. MKV
            (FFV1) is lossless.
        quality: Quality of MP4 and WebM.
    """
    from nodegraph.media.videos.encoding import VIDEO_SUFFIXES, encode_video

    total, height, width, _ = video.frames.shape
    if format != "mkv" and (height % 2 or width % 2):
        size = f"{width + width % 2} x {height + height % 2}"
        ctx.log(f"{format} needs even sides: {width} x {height} is written as {size}.")
    texts = ctx.file_metadata()
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
    """Make a video from images.

    Args:
        images: The frames, all of one size. A batch counts as several images.
        rate: Frames per second. 23.976 and 29.97 mean 24000/1001 and 30000/1001.
        audio: Audio that starts with the first frame.
    """
    from nodegraph.media.images.images import OPAQUE_HINT, is_transparent
    from nodegraph.media.videos.clips import video_from_images
    from nodegraph.media.videos.rates import exact_rate

    if any(map(is_transparent, images)):
        ctx.log(f"Videos cannot store transparency, so it is dropped. {OPAQUE_HINT}", "warning")
    return video_from_images(images, exact_rate(rate), audio)


@node(category="video", infer=video_frames_facts, tags=("frames", "split", "batch"))
def ImagesFromVideo(video: Video) -> VideoParts:
    """Split a video into its frames and its audio.

    Args:
        video: The video. Its frames become a batch of images.
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
    """Trim a video, with its audio.

    Args:
        video: Any video.
        first: Number of frames to skip at the start.
        count: Maximum number of frames to keep. 0 keeps all.
        every: Keep every n-th frame. The frame rate is divided by n.
    """
    from nodegraph.media.videos.clips import trim_video

    return trim_video(video, first=first, count=count, every=every)


@node(category="video", facts={"video": _SAME}, tags=("sound", "music", "mux"))
def SetVideoAudio(video: Video, audio: Audio | None = None) -> Video:
    """Replace or remove the audio of a video.

    Args:
        video: The video. Its frames do not change.
        audio: Audio that starts with the first frame. If left out, the video is silent.
    """
    return replace(video, audio=audio)
