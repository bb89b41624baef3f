"""Videos as the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.videos.colors import BT709, rgb_to_yuv420
from nodegraph.media.videos.video_files import RATE

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame
    from av.container import OutputContainer
    from numpy.typing import NDArray

    from nodegraph.core.values import Audio, Video

VideoFormat = Literal["mp4", "webm", "mkv"]
VIDEO_SUFFIXES: Mapping[VideoFormat, str] = {"mp4": ".mp4", "webm": ".webm", "mkv": ".mkv"}
LONGEST_SIDE = 16384
"""In pixels, as each of the codecs takes it."""
_THREADS = "4"
"""A fixed number, as the bytes depend on it."""
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_LIMITED = 1
"""FFmpeg's number of the range from 16 to 235."""


@dataclass(frozen=True, slots=True)
class _Coding:
    """How a format is written.

    Attributes:
        container: FFmpeg's name of the container.
        codec, audio_codec: Of the images, and of the audio.
        pixels: The form of pixels.
        options: Of the codec, by the quality from 1 to 100.
        audio_rates: Samples a second that the audio's codec takes, the usual one first; none for
            any.
    """

    container: str
    codec: str
    pixels: str
    audio_codec: str
    options: Callable[[int], dict[str, str]]
    audio_rates: tuple[int, ...] = ()


_CODINGS: Mapping[VideoFormat, _Coding] = {
    "mp4": _Coding(
        "mp4",
        "libx264",
        "yuv420p",
        "aac",
        lambda quality: {
            "crf": str(10 + round((100 - quality) * 0.4)),
            "preset": "medium",
            # With it, narrow videos come out a bit different each time.
            "x264-params": "mbtree=0",
        },
        (48000, 44100, 96000, 88200, 64000, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
    ),
    "webm": _Coding(
        "webm",
        "libvpx-vp9",
        "yuv420p",
        "libopus",
        lambda quality: {
            "crf": str(10 + round((100 - quality) * 0.5)),
            "b": "0",
            "deadline": "good",
            "cpu-used": "3",
            "tile-columns": "2",
        },
        (48000,),
    ),
    "mkv": _Coding("matroska", "ffv1", "bgr0", "pcm_f32le", lambda _: {"level": "1"}),
}


def encode_video(
    video: Video,
    format: VideoFormat = "mp4",
    quality: int = 75,
    metadata: Mapping[str, str] | None = None,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> bytes:
    """A video as the bytes of a file; the same video gives the same bytes.

    Args:
        format: ``mp4`` is H.264 with AAC, which plays anywhere, ``webm`` VP9 with Opus. Both get
            even sides: odd ones are lengthened by a line like the last. ``mkv`` is FFV1 with
            samples as they are: lossless, in 8 bits a color.
        quality: 1 to 100, for MP4 and WebM.
        metadata: Texts by name, such as ``workflow``.
        on_progress: Told how many frames are done, after each; may raise, to stop.
    Raises:
        InvalidValue: There are no frames, or settings, sides, rate or channels are out of range.
        NumericalError: NaN or infinity.
    """
    _check(video, format, quality)
    coding = _CODINGS[format]
    buffer = BytesIO()
    with _container(buffer, coding, metadata or {}) as container:
        pictures = _picture_stream(container, coding, video, quality)
        audio = None
        if video.audio is not None and video.audio.waveform.numel():
            audio = _AudioWriter(container, coding, video.audio)
        for number, frame in enumerate(_frames(video, coding.pixels), 1):
            container.mux(pictures.encode(frame))
            if audio is not None:
                # Side by side, as a player reads them.
                audio.write(until=number / video.rate)
            if on_progress is not None:
                on_progress(number)
        container.mux(pictures.encode(None))
        if audio is not None:
            audio.finish()
    return buffer.getvalue()


def _check(video: Video, format: str, quality: int) -> None:
    if format not in _CODINGS:
        raise InvalidValue(
            f"there is no video format {format!r}", port="format", expected=", ".join(_CODINGS)
        )
    if not 1 <= quality <= 100:
        raise InvalidValue(
            "quality is out of range", port="quality", given=str(quality), expected="1 to 100"
        )
    shape = tuple(video.frames.shape)
    if len(shape) != 4 or shape[-1] != 3 or 0 in shape or max(shape[1:3]) > LONGEST_SIDE:
        raise InvalidValue(
            "these frames cannot be written",
            port="video",
            given=f"shape {shape}",
            expected=f"(frames, height, width, 3), sides of at most {LONGEST_SIDE} pixels",
        )
    if video.rate <= 0 or max(video.rate.numerator, video.rate.denominator) >= 2**31:
        raise InvalidValue("the frame rate is out of range", port="video", given=str(video.rate))
    if video.audio is not None and len(video.audio.waveform) not in _LAYOUTS:
        raise InvalidValue(
            "audio with this number of channels cannot be written",
            port="video",
            given=str(len(video.audio.waveform)),
            expected=", ".join(map(str, _LAYOUTS)),
        )


def _container(buffer: BytesIO, coding: _Coding, metadata: Mapping[str, str]) -> OutputContainer:
    import av

    # Else it would hold a random id.
    options = {"fflags": "+bitexact"}
    if coding.container == "mp4":
        # Texts of any name; and what a player needs first at the beginning.
        options["movflags"] = "use_metadata_tags+faststart"
    container = av.open(
        buffer,
        "w",
        format=coding.container,
        container_options=options,
        # To move it there, what was written is read once more.
        io_open=lambda *_: BytesIO(buffer.getvalue()),
    )
    container.metadata.update(metadata)
    return container


def _picture_stream(container: OutputContainer, coding: _Coding, video: Video, quality: int) -> Any:
    options = {**coding.options(quality), "threads": _THREADS}
    stream: Any = container.add_stream(coding.codec, rate=video.rate, options=options)
    _, height, width, _ = video.frames.shape
    is_halved = coding.pixels == "yuv420p"
    stream.height, stream.width = (
        (height + height % 2, width + width % 2) if is_halved else (height, width)
    )
    stream.pix_fmt = coding.pixels
    stream.metadata[RATE] = str(video.rate)
    codec = stream.codec_context
    codec.time_base = 1 / video.rate
    if is_halved:
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        codec.color_range = _LIMITED
    return stream


def _frames(video: Video, form: str) -> Iterator[VideoFrame]:
    import numpy as np

    for number, picture in enumerate(video.frames):
        pixels = picture.detach().to("cpu").float().numpy()
        if not np.isfinite(pixels).all():
            raise NumericalError(f"frame {number} has NaN or infinity", port="video")
        pixels = pixels.clip(0, 1)
        if form == "yuv420p":
            height, width, _ = pixels.shape
            even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            frame = _frame_from_planes(form, even.shape[:2], rgb_to_yuv420(even))
        else:
            levels = (pixels * 255).round().astype(np.uint8)
            blue_first = np.pad(levels[..., ::-1], ((0, 0), (0, 0), (0, 1)))
            plane = blue_first.reshape(len(levels), -1)
            frame = _frame_from_planes(form, levels.shape[:2], (plane,))
        frame.pts, frame.time_base = number, 1 / video.rate
        yield frame


def _frame_from_planes(
    form: str, size: tuple[int, ...], planes: tuple[NDArray[np.uint8], ...]
) -> VideoFrame:
    """A frame of these bytes, whose lines are longer in there, by what suits the processor."""
    import av
    import numpy as np

    frame = av.VideoFrame(size[1], size[0], form)
    for plane, values in zip(frame.planes, planes, strict=True):
        lines = np.zeros((values.shape[0], plane.line_size), np.uint8)
        lines[:, : values.shape[1]] = values
        plane.update(lines.tobytes())
    return frame


class _AudioWriter:
    """Writes audio piece by piece."""

    def __init__(self, container: OutputContainer, coding: _Coding, audio: Audio) -> None:
        import numpy as np

        self._container = container
        self._audio = audio
        samples = audio.waveform.detach().to("cpu").float().numpy()
        if not np.isfinite(samples).all():
            raise NumericalError("the audio has NaN or infinity", port="video")
        self._samples = samples.clip(-1, 1)
        self._layout = _LAYOUTS[len(samples)]
        rates = coding.audio_rates
        rate = audio.rate if not rates or audio.rate in rates else rates[0]
        self._stream: Any = container.add_stream(coding.audio_codec, rate=rate, layout=self._layout)
        if coding.audio_rates:
            self._stream.codec_context.bit_rate = 96_000 * len(samples)
        self._at = 0

    def write(self, *, until: Fraction) -> None:
        """Write what is heard before a time, in seconds."""
        self._write(round(until * self._audio.rate))

    def finish(self) -> None:
        """Write what is left."""
        self._write(self._samples.shape[1])
        self._container.mux(self._stream.encode(None))

    def _write(self, end: int) -> None:
        import av
        import numpy as np

        piece = self._samples[:, self._at : end]
        if not piece.shape[1]:
            return
        frame: Any = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(piece.T).reshape(1, -1), format="flt", layout=self._layout
        )
        frame.sample_rate = self._audio.rate
        frame.pts, frame.time_base = self._at, Fraction(1, self._audio.rate)
        self._at += piece.shape[1]
        self._container.mux(self._stream.encode(frame))
