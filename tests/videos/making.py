"""Small videos, and files of them."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from nodegraph import Audio, Video
from nodegraph.media.videos.encoding import VIDEO_SUFFIXES, VideoFormat, encode_video

FORMATS: list[VideoFormat] = ["mp4", "webm", "mkv"]
NTSC = Fraction(24000, 1001)
SHADE = 50
"""How much brighter, of 255, a frame of `uneven` is for each second."""


def moving(frames: int = 5, width: int = 48, height: int = 32) -> torch.Tensor:
    """A gradient over which a wave moves, in steps of 1 / 255."""
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    waves = [(torch.sin((x + y) * 3 + at) + 1) / 2 for at in range(frames)]
    found = torch.stack([torch.stack([x, y, wave], -1) for wave in waves])
    return (found * 255).round() / 255


def tone(seconds: Fraction, rate: int = 48000, channels: int = 1) -> Audio:
    """A tone on each channel, each twice as high as the one before."""
    times = torch.arange(round(seconds * rate)) / rate
    pitches = [220.0 * 2**channel for channel in range(channels)]
    return Audio(
        torch.stack([torch.sin(2 * math.pi * pitch * times) / 2 for pitch in pitches]), rate
    )


def video(
    frames: int = 5, width: int = 48, height: int = 32, rate: Fraction = NTSC, channels: int = 0
) -> Video:
    """With a tone on each of its channels, if it has some."""
    audio = tone(frames / rate, channels=channels) if channels else None
    return Video(moving(frames, width, height), rate, audio)


def written(folder: Path, made: Video, format: VideoFormat = "mkv", **options: int) -> Path:
    """The video in a file."""
    path = folder / f"video{VIDEO_SUFFIXES[format]}"
    path.write_bytes(encode_video(made, format, **options))
    return path


def uneven(path: Path, times: list[Fraction], sound: Fraction = Fraction(0)) -> Path:
    """A video whose frames come at their times, each as bright as it is late; with a tone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv444p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        heard = container.add_stream("flac", rate=8000, layout="mono") if sound else None
        for time in times:
            pixels = np.full((16, 32, 3), round(time * SHADE), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if heard is not None:
            samples = np.zeros((1, round(sound * 8000)), np.int16)
            audio = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            audio.rate, audio.pts, audio.time_base = 8000, 0, Fraction(1, 8000)
            container.mux(heard.encode(audio))
            container.mux(heard.encode(None))
    return path


def shown_at(made: Video, seconds: float) -> float:
    """The time that the frame shown then had in a file of `uneven`."""
    frame = made.frames[min(len(made.frames) - 1, int(seconds * made.rate))]
    return float(frame.mean()) * 255 / SHADE


def clip(
    path: Path,
    times: list[int],
    codec: str,
    form: str = "yuv420p",
    clock: int = 1000,
    **options: str,
) -> Path:
    """A video of frames at their times, each brighter than the one before.

    Args:
        clock: How many of its ticks are a second.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=min(clock, 30), options=options)
        stream.width, stream.height, stream.pix_fmt = 32, 16, form
        stream.codec_context.time_base = Fraction(1, clock)
        for at, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 20 * (at % 12 + 1), np.uint8))
            frame.pts, frame.time_base = time, Fraction(1, clock)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def copied(
    path: Path, made: Path, skipped: int = 0, lasts: int | None = None, **options: str
) -> Path:
    """A copy of a video without its first packets; a Matroska doesn't tell its frames' lengths.

    Args:
        lasts: How long each frame is said to last, by the clock of `made`.
    """
    with av.open(str(made)) as source, av.open(str(path), "w", options=options) as target:
        [given] = source.streams
        stream = target.add_stream_from_template(given)
        for at, packet in enumerate(source.demux(given)):
            if packet.size and at >= skipped:
                packet.stream = stream
                if lasts is not None:
                    packet.duration = lasts
                target.mux(packet)
    return path
