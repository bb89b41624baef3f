"""Video files: what is in them, opened with nothing but their own bytes. Imports no torch.

A file is a stranger's: FFmpeg opens no other file or address for it, only formats and codecs that
are listed here, and no image larger than allowed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from nodegraph.errors import InvalidFile
from nodegraph.media.audio.audio_files import (
    AUDIO_CODECS,
    damaged_file_error,
    translate_ffmpeg_errors,
)
from nodegraph.media.images.input_files import PICTURE_BRANDS, guess_file_kind, translate_os_errors
from nodegraph.media.images.memory_checks import decoding_bytes, most_pictures
from nodegraph.media.videos.containers import MATROSKA, is_complete, is_transport_stream
from nodegraph.media.videos.rates import (
    ALL_FRAMES,
    FASTEST,
    FramePart,
    FrameTimes,
    is_same_rate,
    resolve_frame_rate,
    round_down_rate,
)

if TYPE_CHECKING:
    from av import VideoFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

RATE = "NODEGRAPH_RATE"
"""Name of a stream's text: the exact rate, where the container has none."""
MAX_PIXELS = 2**26
"""Of a frame: 67 million, more than 8K has, as a small file can claim any size."""
READABLE = "MP4, MOV, WebM, Matroska, AVI, MPEG, Ogg, FLV, GIF"
_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,ogg,flv,gif"
_VIDEO_CODECS = (
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,mpeg4,mpeg2video,mpeg1video,h263,flv,theora,"
    "mjpeg,prores,dnxhd,ffv1,huffyuv,ffvhuff,utvideo,qtrle,png,gif,rawvideo"
)
_OPTIONS = {
    "format_whitelist": _FORMATS,
    "codec_whitelist": f"{_VIDEO_CODECS},{AUDIO_CODECS}",
    "protocol_whitelist": "none",
}
_SHORTFALL = Fraction(1, 100)
"""Part of a video's length that may be missing before it is taken to be cut short."""
_COUNTED = 256 << 20
"""Bytes that are read at most to count frames."""
_AHEAD = 17
"""Packets among which the first image is, as H.264 and H.265 put at most 16 before it."""
_TAIL = 2, 32
"""Seconds and frames before its end from which an MP4 is read to count its frames."""


def is_video_header(start: bytes) -> bool:
    """Whether a file may be an MP4, MOV, WebM or Matroska by its first 12 bytes."""
    is_picture = start[8:12] in PICTURE_BRANDS
    return start[:4] == MATROSKA or (start[4:8] == b"ftyp" and not is_picture)


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video file holds.

    Attributes:
        width, height: Of its frames as they are shown, in pixels.
        frames: How many, at this rate; None where it takes too long to find out.
        rate: Frames a second. Where they don't come evenly, a rate at which all can be shown, as
            far as memory allows.
        has_audio: Whether there is audio that can be read.
    """

    width: int
    height: int
    frames: int | None
    rate: Fraction
    has_audio: bool


class Orientation(NamedTuple):
    """How a frame is shown: rows and columns exchanged first, then each turned round."""

    is_transposed: bool = False
    is_flipped_across: bool = False
    is_flipped_down: bool = False

    def apply(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The image as it is shown; a view."""
        turned = picture.swapaxes(0, 1) if self.is_transposed else picture
        return turned[:: -1 if self.is_flipped_down else 1, :: -1 if self.is_flipped_across else 1]


def read_orientation(frame: VideoFrame) -> Orientation:
    """What the display matrix of a frame says, to the nearest quarter; mirrored ones, too.

    Source: ISO/IEC 14496-12, 6.2.2: a pixel at (x, y) is shown at (a x + c y, b x + d y).
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, c < 0, b < 0)
    return Orientation(False, a < 0, d < 0)


def video_facts(
    path: Path,
    *,
    rate: Fraction | None = None,
    part: FramePart = ALL_FRAMES,
    max_pixels: int = MAX_PIXELS,
    names: bool = True,
) -> VideoFacts:
    """What is in a video file; its first frame is decoded.

    Args:
        rate: At which it is read; None for its own.
        part: Which frames are read, as the rate of uneven ones depends on the memory for these.
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, damaged, holds no video, or larger frames.
    """
    with open_video(path, max_pixels=max_pixels, names=names) as video:
        first = video.first_frame()
        is_turned = read_orientation(first).is_transposed
        size = (first.height, first.width) if is_turned else (first.width, first.height)
        has_audio = video.audio is not None
    with open_video(path, max_pixels=max_pixels) as video:
        rate = rate or video.rate_for(part)
        return VideoFacts(*size, video.count(path, rate), rate, has_audio)


def video_texts(path: Path) -> dict[str, str]:
    """The texts that a video file carries, by name in small letters.

    Raises:
        InvalidFile: It is missing or holds no video.
    """
    with open_video(path) as video:
        # Matroska writes names in capitals.
        return {name.lower(): text for name, text in video.container.metadata.items()}


class OpenVideo:
    """A video file that is open.

    Attributes:
        pictures: Its stream of images.
        audio: That of audio; None if there is none, or none that can be read.
    """

    def __init__(
        self,
        container: InputContainer,
        file: BinaryIO,
        name: str,
        max_pixels: int,
        threads: int,
    ) -> None:
        self.container = container
        self._file = file
        self.name = name
        self._max_pixels = max_pixels
        self.pictures = self._pictures()
        self.pictures.codec_context.thread_count = threads
        self.audio = self._audio()
        self._begin = self._stream_start
        self._shown = _PresentationTimes()
        self._ahead: list[Any] = []
        self._packets_left: Iterator[Any] | None = None
        self._length: Fraction | None = None

    @cached_property
    def rate(self) -> Fraction:
        """As `VideoFacts.rate`, whatever memory there is."""
        stream = self.pictures
        if not stream.average_rate:
            self._look_ahead()
        return resolve_frame_rate(
            stream.average_rate,
            (stream.base_rate if self._times else stream.guessed_rate) or stream.base_rate,
            stream.metadata.get(RATE, ""),
            length=self._length,
            times=self._times,
        )

    def rate_for(self, part: FramePart, warn: Callable[[str], None] | None = None) -> Fraction:
        """The rate to read a part at: where frames come unevenly, one that memory allows.

        Args:
            warn: Called with what is left out at that rate, and what helps.
        """
        times, rate, limit = self._times, self.rate, ""
        if times is None or times.is_even_at(rate):
            return rate
        codec = self.pictures.codec_context
        most = most_pictures(decoding_bytes(codec.width, codec.height, 1))
        if most is not None and not part.count:
            most = part.first + most * part.every
            # Where there is no memory for each frame once, reading raises.
            if times.count <= most < times.end * rate:
                limit = f", not {float(rate):g}, because memory is limited to {most:,} frames"
                rate = round_down_rate((most - 1) / times.end)
        if warn is not None and (limit or not times.is_complete_at(rate)):
            least = times.shortest
            warn(
                f"{Path(self.name).name} is read at {float(rate):g} frames per "
                f"second{limit}. Its frames are unevenly spaced, at least "
                f"{float(least * 1000):.3g} ms apart: {times.left_out(rate):,} of "
                f"{times.count:,} are skipped. Set `rate` for another rate, up to "
                f"{float(min(FASTEST, 1 / least)):.4g}, or `count` for a part."
            )
        return rate

    @cached_property
    def _times(self) -> FrameTimes | None:
        """Of its frames, where they are needed and their packets are not too large to read all."""
        stream = self.pictures
        kind = self.container.format.name
        mean, guess = stream.average_rate, stream.base_rate
        # Of an MP4 the mean is exact, as it lists all frames.
        is_even = "mp4" in kind and mean and guess and is_same_rate(mean, guess)
        if is_even or RATE in stream.metadata:
            return None
        position = self._file.tell()
        try:
            return self._scan_times()
        finally:
            # The other container reads on where it was.
            self._file.seek(position)

    def _scan_times(self) -> FrameTimes | None:
        """Read all packets of its images in a container of their own, and decode none."""
        self._file.seek(0)
        with _container(self._file, self.name, self._max_pixels) as container:
            packets = container.demux(container.streams[self.pictures.index])
            is_animation = container.format.name == "gif"
            return FrameTimes.of_packets(
                packets, _base(self.pictures), has_exact_lengths=is_animation
            )

    @property
    def has_separate_alpha(self) -> bool:
        """Whether a WebM or Matroska has transparency beside its images, which isn't decoded."""
        return self.pictures.metadata.get("alpha_mode") == "1"

    def frames(self) -> Iterator[VideoFrame]:
        """All frames, in the order in which they are shown.

        Raises:
            InvalidFile: It is damaged or cut short.
        """
        size, self._shown = None, _PresentationTimes()
        for packet in self._picture_packets():
            self._shown.add(packet)
            with translate_ffmpeg_errors(self.name):
                decoded = packet.decode()
            for frame in decoded:
                if self._begin is None:
                    self._begin = frame.pts
                size = size or (frame.width, frame.height)
                if (frame.width, frame.height) != size:
                    raise InvalidFile(f"{self.name} is refused: its images change their size")
                yield frame
        self._check_length()

    def frames_at(self, rate: Fraction) -> Iterator[VideoFrame]:
        """Frames at an even rate: those that are shown longer come several times.

        As FFmpeg's constant frame rate does it: each begins at the tick nearest to its time, and of
        several at one tick the last is shown.

        Raises:
            InvalidFile: It is damaged or cut short.
        """
        shown, done = None, 0
        for at, frame in enumerate(self.frames()):
            tick = at if frame.pts is None else round(self.time_of(frame.pts) * rate)
            while shown is not None and done < tick:
                yield shown
                done += 1
            shown = frame
        total = max(done + 1, self._total(rate))
        while shown is not None and done < total:
            yield shown
            done += 1

    @property
    def start_time(self) -> Fraction:
        """When the first image is shown, in seconds of the file's clock.

        Where the file doesn't tell, that is known once the image was read.
        """
        start = self._stream_start
        return (self._begin or 0 if start is None else start) * _base(self.pictures)

    @property
    def _stream_start(self) -> int | None:
        """What FFmpeg says; None where it is the time of the first image that is shown."""
        # Of few frames of H.264 in a Matroska it says nothing, or when the audio begins.
        is_matroska = "matroska" in self.container.format.name
        return None if is_matroska else self.pictures.start_time

    def _allow_for_delay(self, packet: Any) -> None:
        """An AVI has times of decoding alone, and images are shown later than the first one's."""
        is_known = packet.pts is not None and packet.dts is not None
        if self.container.format.name == "avi" and is_known:
            self._begin = (self.pictures.start_time or 0) + packet.pts - packet.dts

    def time_of(self, pts: int) -> Fraction:
        """Seconds since the first image."""
        return (pts - (self._begin or 0)) * _base(self.pictures)

    @property
    def _end_time(self) -> Fraction:
        """Seconds until the last image isn't shown any more, as far as packets were read."""
        shown = self._shown
        if shown.latest is None or shown.end is None:
            return Fraction(0)
        # A Matroska may leave out how long images are shown.
        lasts = Fraction(0) if shown.has_length else 1 / self.rate
        return max(Fraction(0), self.time_of(shown.end), self.time_of(shown.latest) + lasts)

    def _total(self, rate: Fraction) -> int:
        """Frames at a rate, as far as packets were read."""
        latest = self._shown.latest
        last = -1 if latest is None else round(self.time_of(latest) * rate)
        return max(last + 1, _ticks(self._end_time, rate))

    def first_frame(self) -> VideoFrame:
        """Raises: InvalidFile: There is none."""
        frame = next(islice(self.frames(), 1), None)
        if frame is None:
            raise damaged_file_error(self.name, "it contains no image")
        return frame

    def count(self, path: Path, rate: Fraction) -> int | None:
        """How many frames `frames_at` gives, without decoding them; None if that takes long."""
        may_skip = self._skip_to_tail()
        if not may_skip and path.stat().st_size > _COUNTED:
            return None
        self._shown, count, size = _PresentationTimes(), 0, 0
        for packet in self._picture_packets():
            self._shown.add(packet)
            count, size = count + _is_shown(packet), size + packet.size
            if size > _COUNTED:
                return None
        # Those without times are shown one after the other.
        return count if self._shown.untimed else self._total(rate)

    def _skip_to_tail(self) -> bool:
        """Go on near the end where a file has a list of all its images, as an MP4 does."""
        import av

        stream, (seconds, frames) = self.pictures, _TAIL
        if "mp4" not in self.container.format.name or self._begin is None or not stream.duration:
            return False
        margin = max(Fraction(seconds), frames / self.rate) / _base(stream)
        target = self._begin + stream.duration - int(margin)
        if target > self._begin:
            try:
                self.container.seek(target, stream=stream)
            except av.FFmpegError:  # it is in fragments that nothing lists
                return False
            self._packets_left = None
        return True

    def _picture_packets(self) -> Iterator[Any]:
        """Those of its images; of the first few it is taken when the first image is shown."""
        self._look_ahead()
        first, self._ahead = self._ahead, []
        if first:
            self._allow_for_delay(first[0])
        if self._begin is None:
            times = [each.pts for each in first if _is_shown(each) and each.pts is not None]
            self._begin = min(times, default=None)
        yield from chain(first, self._packets_left or ())

    def _look_ahead(self) -> None:
        """Read the first packets of its images, which are kept to be decoded."""
        if self._packets_left is not None:
            return
        self._packets_left = self._packets(self.pictures)
        # Where images come in their order, two tell as much; they may be large.
        ahead = _AHEAD if self.pictures.codec_context.codec.reorder else 2
        self._ahead = list(islice(self._packets_left, ahead))
        shown = [each for each in self._ahead if _is_shown(each)]
        times = sorted(each.pts for each in shown if each.pts is not None)
        lengths = [each.duration for each in shown if each.duration]
        lengths += [after - before for before, after in pairwise(times) if after > before]
        self._length = min(lengths) * _base(self.pictures) if lengths else None

    def _packets(self, stream: VideoStream | AudioStream) -> Iterator[Any]:
        packets = self.container.demux(stream)
        while True:
            with translate_ffmpeg_errors(self.name):
                packet = next(packets, None)
            if packet is None:
                return
            yield packet

    def audio_frames(self) -> Iterator[Any]:
        """All frames of its audio, in order; none if it has none.

        Raises:
            InvalidFile: It is damaged.
        """
        for packet in self._packets(self.audio) if self.audio is not None else ():
            with translate_ffmpeg_errors(self.name):
                yield from packet.decode()

    def _pictures(self) -> VideoStream:
        from av.stream import Disposition

        # The cover image of a song is a stream, too.
        streams = [
            each
            for each in self.container.streams.video
            if each.codec_context is not None and not each.disposition & Disposition.attached_pic
        ]
        if not streams:
            raise InvalidFile(f"{self.name} is not a video: it contains no moving images")
        [stream, *_] = streams
        codec = stream.codec_context
        if codec.codec.name not in _VIDEO_CODECS.split(","):
            raise InvalidFile(
                f"{self.name} is refused: its codec is not supported",
                given=codec.codec.name,
                expected="H.264, H.265, VP8, VP9, AV1, MPEG-4, ProRes, FFV1 and others",
                hint="Convert it to MP4 (H.264) or WebM (VP9).",
            )
        # Some codecs don't even tell the size of what is larger.
        if not 0 < codec.width * codec.height <= self._max_pixels:
            raise InvalidFile(
                f"{self.name} is refused: its images are too large, or damaged",
                given=f"{codec.width} x {codec.height} pixels" if codec.width else None,
                expected=f"at most {self._max_pixels:,} pixels",
            )
        codec.options = {"max_pixels": str(self._max_pixels)}
        codec.thread_type = "AUTO"
        return stream

    def _audio(self) -> AudioStream | None:
        for stream in self.container.streams.audio:
            codec = stream.codec_context
            if codec is not None and codec.codec.name in AUDIO_CODECS.split(","):
                return stream
        return None

    def _declared_duration(self) -> Fraction | None:
        """Seconds that its images last, as the file says, if one can go by that."""
        stream, kind = self.pictures, self.container.format.name
        if "mp4" in kind and stream.duration:
            return stream.duration * _base(stream)
        if "matroska" in kind:
            until = _seconds(stream.metadata.get("DURATION", ""))
            # FFmpeg writes when they end there, others how long they last: the less of the two.
            begins = max(Fraction(0), self.start_time)
            return None if until is None else max(Fraction(0), until - begins)
        return None

    def _check_length(self) -> None:
        until, length = self._end_time, self._declared_duration()
        if length is None or until >= length * (1 - _SHORTFALL) - 1 / self.rate / 2:
            return
        # A whole file may not tell how long its last image is shown, or what was trimmed.
        if not is_complete(self._file):
            raise damaged_file_error(
                self.name, f"only {float(until):.1f} of {float(length):.1f} s are there"
            )


@dataclass(slots=True)
class _PresentationTimes:
    """What the packets of images say of when these are shown, by the stream's clock.

    Attributes:
        latest: When the last one begins.
        has_length: Whether it is said how long that is shown.
        end: When all are over, as far as it is said.
        untimed: How many don't say when.
    """

    latest: int | None = None
    has_length: bool = True
    end: int | None = None
    untimed: int = 0

    def add(self, packet: Any) -> None:
        if not _is_shown(packet):
            return
        if packet.pts is None:
            self.untimed += 1
            return
        if self.latest is None or packet.pts > self.latest:
            self.latest, self.has_length = packet.pts, bool(packet.duration)
        end = packet.pts + (packet.duration or 0)
        self.end = end if self.end is None else max(self.end, end)


@contextmanager
def open_video(
    source: Path | BinaryIO,
    *,
    max_pixels: int = MAX_PIXELS,
    names: bool = True,
    threads: int = 0,
) -> Iterator[OpenVideo]:
    """Open a video; nothing is decoded yet.

    Args:
        source: A file's path, or the file itself.
        max_pixels: Of a frame.
        names: Whether an error may name files like one that is missing.
        threads: That decode; 0 for as many as there are processors.
    Raises:
        InvalidFile: It is missing, damaged, holds no video, or larger frames.
    """
    if not isinstance(source, Path):
        with _container(source, "the file", max_pixels) as container:
            yield OpenVideo(container, source, "the file", max_pixels, threads)
        return
    with translate_os_errors(source, names=names):
        file = source.open("rb")
    with file, _container(file, str(source), max_pixels, path=source) as container:
        yield OpenVideo(container, file, str(source), max_pixels, threads)


@contextmanager
def _container(
    file: BinaryIO, name: str, max_pixels: int, path: Path | None = None
) -> Iterator[InputContainer]:
    import av

    try:
        container: Any = av.open(
            file,
            # Of a short one FFmpeg doesn't know what it is.
            format="mpegts" if is_transport_stream(file) else None,
            metadata_errors="replace",
            container_options=dict(_OPTIONS),
            options={"max_pixels": str(max_pixels)},
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        like = f": it looks like {guess_file_kind(path)}" if path is not None else ""
        raise InvalidFile(f"{name} is not a readable video{like}", expected=READABLE) from error
    with container:
        yield container


def _is_shown(packet: Any) -> bool:
    # What was trimmed from a file that wasn't written anew is in there still; an AVI has empty
    # ones where an image is shown on.
    return not packet.is_discard and (packet.size > 0 or packet.pts is not None)


def _ticks(seconds: Fraction, rate: Fraction) -> int:
    """How many frames fill a time: one that is less than half there isn't."""
    return round(seconds * rate)


def _base(stream: VideoStream) -> Fraction:
    return stream.time_base or Fraction(1, 1000)


def _seconds(text: str) -> Fraction | None:
    """Of a time such as 00:00:01.043000000."""
    hours, minutes, seconds = ["", "", "", *text.split(":")][-3:]
    try:
        return Fraction(hours) * 3600 + Fraction(minutes) * 60 + Fraction(seconds)
    except ValueError:
        return None
