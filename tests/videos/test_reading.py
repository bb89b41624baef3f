"""Parts of videos, whose audio stays with them; what isn't whole, no video, or too large."""

from __future__ import annotations

import struct
from contextlib import suppress
from fractions import Fraction
from io import BytesIO
from itertools import accumulate, groupby
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nodegraph import Video
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images import memory_checks as room
from nodegraph.media.images.memory_checks import ImageTooLarge
from nodegraph.media.videos import video_files
from nodegraph.media.videos.clips import read_video
from nodegraph.media.videos.encoding import VideoFormat, encode_video
from nodegraph.media.videos.video_files import open_video, video_facts, video_texts
from tests.messages import raises
from tests.properties import examples
from tests.videos.making import FORMATS, NTSC, clip, shown_at, uneven, video, written


@pytest.mark.parametrize(
    ("first", "count", "every", "kept"),
    [
        (0, 0, 1, range(12)),
        (3, 0, 1, range(3, 12)),
        (3, 4, 1, range(3, 7)),
        (1, 0, 5, (1, 6, 11)),
        (1, 2, 5, (1, 6)),
        (11, 99, 1, (11,)),
    ],
)
def test_a_part_is_read_with_its_audio(
    tmp_path: Path, first: int, count: int, every: int, kept: tuple[int, ...]
) -> None:
    made = video(12, channels=2)
    path = written(tmp_path, made)

    found = read_video(path, first=first, count=count, every=every)

    assert torch.equal(found.frames, made.frames[list(kept)])
    assert found.rate == NTSC / every
    assert found.audio is not None
    assert made.audio is not None
    begin = round(first / NTSC * 48000)
    end = min(round((first + len(kept) * every) / NTSC * 48000), made.audio.waveform.shape[1])
    assert abs(found.audio.waveform.shape[1] - (end - begin)) <= 1
    length = min(found.audio.waveform.shape[1], end - begin)
    wanted = made.audio.waveform[:, begin : begin + length]
    assert torch.equal(found.audio.waveform[:, :length], wanted)


def test_a_beginning_behind_the_end_is_told(tmp_path: Path) -> None:
    with raises(InvalidValue, port="first", given="frame 5"):
        read_video(written(tmp_path, video(5)), first=5)


def test_reading_tells_of_each_frame_and_stops_when_it_is_told_to(tmp_path: Path) -> None:
    path, done = written(tmp_path, video(5)), []
    read_video(path, first=1, on_progress=done.append)
    assert done == [0, 1, 2, 3, 4]

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_video(path, on_progress=stop)


def test_a_video_that_lies_on_its_side_is_set_upright(tmp_path: Path) -> None:
    sidewise = video(2, 32, 16)
    content = bytearray(encode_video(sidewise, "mp4", 100))
    at = content.index(b"tkhd") + 44
    # How a phone that is held upright writes it: turn it by 90 degrees to the right.
    content[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path = tmp_path / "phone.mp4"
    path.write_bytes(bytes(content))

    found, facts = read_video(path), video_facts(path)

    assert (facts.width, facts.height) == (16, 32)
    upright = sidewise.frames.rot90(-1, dims=(1, 2))
    assert found.frames.shape == upright.shape
    assert (found.frames - upright).abs().mean() < 0.02


def test_a_mirrored_video_is_shown_mirrored(tmp_path: Path) -> None:
    made = video(2, 32, 16)
    content = bytearray(encode_video(made, "mp4", 100))
    at = content.index(b"tkhd") + 44
    frames = made.frames
    for (a, b, c, d), shown in {
        (-1, 0, 0, 1): frames.flip(2),
        (1, 0, 0, -1): frames.flip(1),
        (0, 1, 1, 0): frames.transpose(1, 2),
        (0, -1, -1, 0): frames.transpose(1, 2).flip(1, 2),
        (-1, 0, 0, -1): frames.flip(1, 2),
        (0, -1, 1, 0): frames.rot90(1, dims=(1, 2)),
    }.items():
        matrix = [each << 16 for each in (a, b, 0, c, d, 0, 0, 0)]
        content[at : at + 36] = struct.pack(">9i", *matrix, 1 << 30)
        path = tmp_path / "mirror.mp4"
        path.write_bytes(bytes(content))
        found, facts = read_video(path).frames, video_facts(path)
        assert (facts.height, facts.width) == found.shape[1:3] == shown.shape[1:3]
        assert (found - shown).abs().mean() < 0.02, (a, b, c, d)


def test_a_matroska_may_begin_late(tmp_path: Path) -> None:
    late = [Fraction(at, 10) + 3 for at in range(20)]
    found = read_video(uneven(tmp_path / "late.mkv", late), rate=Fraction(10))
    assert len(found.frames) == 20
    assert shown_at(found, 0) == pytest.approx(3.0, abs=0.03)


def encoded(
    path: Path,
    frames: int,
    begin: Fraction | int,
    codec: str,
    *,
    has_audio: bool,
    heard_from: Fraction | int | None = None,
    **options: str,
) -> Path:
    """A video of frames that get brighter, at 10 a second, whose times begin late.

    Args:
        heard_from: When its audio begins; with its images if None.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv444p"
        if codec == "mpeg4":
            stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 10)
        heard = container.add_stream("pcm_s16le", rate=8000, layout="mono") if has_audio else None
        for at in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 40 * (at + 1), np.uint8))
            frame.pts, frame.time_base = int(10 * begin) + at, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if heard is None:
            return path
        pulse = np.zeros((1, 800 * frames), np.int16)
        pulse[:, :100] = 20_000
        audio = av.AudioFrame.from_ndarray(pulse, "s16", "mono")
        start = begin if heard_from is None else heard_from
        audio.rate, audio.pts, audio.time_base = 8000, int(8000 * start), Fraction(1, 8000)
        container.mux(heard.encode(audio))
        container.mux(heard.encode(None))
    return path


@pytest.mark.parametrize("has_audio", [False, True])
@pytest.mark.parametrize("frames", [1, 3, 5])
@pytest.mark.parametrize(
    ("name", "codec", "begin"),
    [
        ("a.mkv", "libx264", 2),
        ("a.mkv", "libx264", 0),
        ("a.mkv", "ffv1", 2),
        ("a.avi", "libx264", 0),
        ("a.avi", "mpeg4", 0),
    ],
)
def test_a_few_frames_are_read_once_whenever_they_begin(
    tmp_path: Path, frames: int, name: str, codec: str, begin: int, has_audio: bool
) -> None:
    path = encoded(tmp_path / name, frames, begin, codec, has_audio=has_audio)
    found = read_video(path)
    shades = (found.frames.mean(dim=(1, 2, 3)) * 255).tolist()
    assert shades == pytest.approx([40 * (at + 1) for at in range(frames)], abs=4)
    assert video_facts(path).frames == frames
    assert (found.audio is not None) == has_audio
    if found.audio is not None:
        assert float(found.audio.waveform[0, :90].mean()) == pytest.approx(20_000 / 2**15, abs=0.02)


@pytest.mark.parametrize(("codec", "delayed"), [("libx264", 0), ("libx264", 2), ("ffv1", 0)])
@pytest.mark.parametrize(
    ("begin", "lag"),
    [
        (0, Fraction(1, 20)),
        (0, Fraction(1, 10)),
        (0, 3),
        (Fraction(1, 10), Fraction(-1, 10)),
        (4, Fraction(-1, 10)),
        (4, Fraction(1, 10)),
    ],
)
def test_a_matroska_is_read_frame_by_frame_whenever_its_audio_begins(
    tmp_path: Path, codec: str, delayed: int, begin: Fraction | int, lag: Fraction | int
) -> None:
    options = {"bf": str(delayed)} if codec == "libx264" else {}
    path = encoded(
        *(tmp_path / "a.mkv", 5, begin, codec),
        has_audio=True,
        heard_from=begin + lag,
        **options,
    )
    found = read_video(path)
    shades = (found.frames.mean(dim=(1, 2, 3)) * 255).tolist()
    assert shades == pytest.approx([40 * (at + 1) for at in range(5)], abs=4)
    assert video_facts(path).frames == 5
    assert found.audio is not None
    heard = (found.audio.waveform[0].abs() > 0.3).nonzero()
    if lag < 0:  # what sounds before the first image is left out
        assert len(heard) == 0
    else:
        assert float(heard[0]) == pytest.approx(8000 * lag, abs=9)


def test_an_avi_that_begins_with_a_gap_stays_in_step_with_its_audio(tmp_path: Path) -> None:
    found = read_video(encoded(tmp_path / "a.avi", 3, 2, "libx264", has_audio=True))
    bright = (found.frames.mean(dim=(1, 2, 3)) * 255 > 60).nonzero()[0]
    assert found.audio is not None
    heard = (found.audio.waveform[0] > 0.3).nonzero()[0]
    # The second frame is the first brighter one, a tenth of a second behind the pulse.
    assert float(bright) / 10 - float(heard) / 8000 == pytest.approx(0.1, abs=0.02)


def alpha_video(path: Path, codec: str, form: str, **metadata: str) -> Path:
    """Two frames, the left half of which isn't there."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 16, form
        stream.metadata.update(metadata)
        pixels = np.full((16, 32, 4), 255, np.uint8)
        pixels[:, :16, 3] = 0
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(pixels, "rgba")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.mov", "qtrle", "argb"),
        ("a.mkv", "ffv1", "yuva444p"),
    ],
)
def test_transparency_that_is_left_out_is_told(
    tmp_path: Path, name: str, codec: str, form: str
) -> None:
    said: list[str] = []
    read_video(alpha_video(tmp_path / name, codec, form), warn=said.append)
    assert ["transparency" in each for each in said] == [True]
    opaque: list[str] = []
    read_video(written(tmp_path, video(2)), warn=opaque.append)
    assert opaque == []


def test_an_animation_is_a_video(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (8, 6), color) for color in ("red", "lime", "blue")]
    path = tmp_path / "moving.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)

    found = read_video(path)

    assert found.frames[:, 3, 4].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert (found.rate, found.audio) == (10, None)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_frames_that_come_unevenly_are_shown_at_their_times(tmp_path: Path, suffix: str) -> None:
    times = [Fraction(at, 10) for at in range(20)] + [Fraction(at, 2) for at in range(4, 9)]
    path = uneven(tmp_path / f"phone.{suffix}", times, sound=Fraction(5))

    for rate in (None, Fraction(10), Fraction(25)):
        found, facts = read_video(path, rate=rate), video_facts(path, rate=rate)
        assert (len(found.frames), found.rate) == (facts.frames, facts.rate)
        assert rate in (None, found.rate)
        assert abs(len(found.frames) / found.rate - 4) < Fraction(3, 20)
        for seconds in (0.55, 1.75, 2.25, 3.05, 3.75):
            expected = max(time for time in times if time <= seconds)
            assert shown_at(found, seconds) == pytest.approx(float(expected), abs=0.06)
        assert found.audio is not None
        assert found.audio.waveform.shape[1] == 5 * 8000

    part = read_video(path, first=20, count=10, rate=Fraction(10))
    assert shown_at(part, 0.25) == pytest.approx(2.0, abs=0.03)
    assert part.audio is not None
    assert part.audio.waveform.shape[1] == 8000


def shown_frames(made: Video) -> list[int]:
    """Which frames of a `clip` are shown, each once, by their brightness."""
    shades = [round(shade * 255 / 20) for shade in made.frames.mean(dim=(1, 2, 3)).tolist()]
    return [shade for shade, _ in groupby(shades)]


def every_frame(count: int) -> list[int]:
    """As `shown_frames`, of a video that shows all."""
    return [at % 12 + 1 for at in range(count)]


RECORDING = [*range(0, 10_000, 2000), *range(10_000, 11_000, 40), *range(12_000, 20_000, 2000)]
"""Milliseconds at which frames of a screen recording are shown: one now and then, and a burst."""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "flv"])
@pytest.mark.parametrize("calm", [0, 60_000])
def test_a_burst_of_frames_is_shown_at_its_times(tmp_path: Path, suffix: str, calm: int) -> None:
    # FFmpeg looks at the first seconds alone to find out at what rate frames come.
    times = [*range(0, calm, 2000), *(time + calm for time in RECORDING)]
    codec = "libvpx" if suffix == "webm" else "libx264"
    path, said = clip(tmp_path / f"screen.{suffix}", times, codec), []

    found, facts = read_video(path, warn=said.append), video_facts(path)

    assert shown_frames(found) == every_frame(len(times))
    assert 25 <= found.rate <= 60
    assert (len(found.frames), found.rate) == (facts.frames, facts.rate)
    assert abs(len(found.frames) / found.rate - Fraction(calm + 18_000, 1000)) < Fraction(1, 10)
    assert said == []


def test_a_video_with_gaps_is_as_long_as_in_its_file(tmp_path: Path) -> None:
    path = clip(tmp_path / "gap.mp4", [0, 40, 80, 2000, 2040, 3960], "libx264")
    found = read_video(path)
    assert (found.rate, len(found.frames)) == (25, 100)


EVEN = [
    *((f"a.{suffix}", 70) for suffix in ("gif", "mp4", "mov", "mkv", "webm", "flv", "ts", "avi")),
    *(("a.gif", delay) for delay in (30, 40, 90, 110, 130, 170, 330, 1000)),
    *(("a.mp4", delay) for delay in (90, 330)),
]


@pytest.mark.parametrize(("name", "delay"), EVEN)
def test_frames_that_come_evenly_are_read_once_each(tmp_path: Path, name: str, delay: int) -> None:
    path = tmp_path / name
    if path.suffix == ".gif":
        save_gif(path, [delay] * 12)
    else:
        codec = {".webm": "libvpx", ".avi": "mpeg4"}.get(path.suffix, "libx264")
        options = {"bf": "0"} if codec == "libx264" else {}
        clip(path, [delay * at for at in range(12)], codec, **options)
    found, facts = read_video(path), video_facts(path)
    assert (len(found.frames), found.rate) == (12, Fraction(1000, delay))
    assert (facts.frames, facts.rate) == (12, found.rate)


def save_gif(path: Path, delays: list[int]) -> None:
    """A GIF of frames that are shown so many milliseconds."""
    pictures = [Image.new("RGB", (32, 16), (20 * (at % 12 + 1),) * 3) for at in range(len(delays))]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays)


@pytest.mark.parametrize(
    ("delays", "rate", "frames"),
    [
        ([40, 40, 40, 50, 40, 40] * 4, 24, 24),
        ([30, 30, 40] * 8, 30, 24),
        ([100] * 5 + [2000], 10, 25),
    ],
)
def test_a_gif_has_the_rate_that_its_delays_are_rounded_from(
    tmp_path: Path, delays: list[int], rate: int, frames: int
) -> None:
    save_gif(tmp_path / "a.gif", delays)
    found = read_video(tmp_path / "a.gif")
    assert (found.rate, len(found.frames)) == (rate, frames)


def test_a_gif_whose_last_frame_is_short_is_as_long_as_it_says(tmp_path: Path) -> None:
    save_gif(tmp_path / "a.gif", [1000, 1000, 100])
    found = read_video(tmp_path / "a.gif")
    assert abs(len(found.frames) / found.rate - Fraction(21, 10)) < Fraction(1, 20)


def test_a_video_of_two_rates_has_no_more_frames_than_show_all(tmp_path: Path) -> None:
    # 24 and 30 frames a second: FFmpeg guesses 120, at which each comes four times.
    steps = [42, 42, 41] * 10 + [33, 33, 34] * 10
    times = list(accumulate(steps, initial=0))
    found = read_video(clip(tmp_path / "a.mp4", times, "libx264"))
    assert shown_frames(found) == every_frame(len(times))
    assert found.rate <= 60


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_jitter_of_a_camera_makes_no_higher_rate(tmp_path: Path, suffix: str) -> None:
    times = [int(33.4 * at) + 9 * (at % 7 == 0) for at in range(900)]
    path, said = clip(tmp_path / f"phone.{suffix}", times, "libx264"), []
    found = read_video(path, warn=said.append)
    assert 29 < found.rate <= 30
    assert said == []


def test_frames_that_no_usual_rate_shows_are_told_of(tmp_path: Path) -> None:
    steps = ([3, 16, 400, 34, 17] * 24)[:-1]
    times = list(accumulate(steps, initial=0))
    path, said = clip(tmp_path / "hasty.mp4", times, "libx264"), []

    found = read_video(path, warn=said.append)

    assert found.rate == 60
    [message] = said
    assert "hasty.mp4 is read at 60 frames per second" in message
    assert "3 ms" in message
    assert "of 120 are skipped" in message
    assert "`rate`" in message
    read_video(path, rate=Fraction(30), warn=said.append)
    assert len(said) == 1


def test_uneven_frames_are_read_at_the_rate_that_memory_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, said = clip(tmp_path / "screen.mp4", RECORDING, "libx264"), []
    monkeypatch.setattr(room, "total_memory", lambda: 15 * 32 * 16 * 100 / room.SHARE)

    found, facts = read_video(path, warn=said.append), video_facts(path)

    assert 95 <= len(found.frames) <= 100
    assert (len(found.frames), found.rate) == (facts.frames, facts.rate)
    assert abs(len(found.frames) - 18 * found.rate) < 2
    [message] = said
    assert f"at {float(found.rate):g} frames per second, not 25" in message
    assert "memory is limited to 100 frames" in message
    assert "`rate`" in message
    # A part that fits is read at the whole rate, as is what leaves out most frames.
    assert read_video(path, count=50, warn=said.append).rate == 25
    assert read_video(path, every=5, warn=said.append).rate == 5
    assert len(said) == 1
    # There is no memory for each frame once.
    monkeypatch.setattr(room, "total_memory", lambda: 15 * 32 * 16 * 20)
    with pytest.raises(ImageTooLarge):
        read_video(path)


@pytest.mark.parametrize(("bits", "form"), [(10, "yuv420p10le"), (8, "gray"), (8, "nv12")])
def test_other_forms_of_pixels_are_read(tmp_path: Path, bits: int, form: str) -> None:
    gray = np.linspace(16, 235, 32).round()
    levels = np.tile(gray, (16, 1)).astype(np.uint8)
    path = tmp_path / "gray.mkv"
    with av.open(str(path), "w") as container:
        codec = "rawvideo" if form == "nv12" else "ffv1"
        stream = container.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 16, form
        frame = av.VideoFrame.from_ndarray(np.repeat(levels[..., None], 3, -1))
        container.mux(stream.encode(frame.reformat(format=form)))
        container.mux(stream.encode(None))

    found = read_video(path).frames[0]

    assert found.shape == (16, 32, 3)
    torch.testing.assert_close(
        found[..., 1], torch.from_numpy(levels / np.float32(255)), rtol=0, atol=0.012
    )


def test_what_cannot_be_read_of_the_audio_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, said = written(tmp_path, video(3, channels=1)), []
    monkeypatch.setattr(video_files, "AUDIO_CODECS", "aac")

    assert read_video(path, warn=said.append).audio is None
    assert said == ["The audio of video.mkv cannot be read and is skipped."]


def test_a_missing_file_gets_the_nearest_name(tmp_path: Path) -> None:
    written(tmp_path, video(1))
    with raises(InvalidFile):
        video_facts(tmp_path / "vidoe.mkv")
    with raises(InvalidFile) as raised:
        video_facts(tmp_path / "vidoe.mkv", names=False)
    assert raised.value.problem.hint is None


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (b"", "an empty file"),
        (b"just words", "plain text"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"\x89PNG\r\n\x1a\n", "an image (PNG)"),
    ],
)
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes, title: str) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with raises(InvalidFile):
        read_video(path)


def test_a_folder_and_a_sound_are_no_videos(tmp_path: Path) -> None:
    with raises(InvalidFile):
        read_video(tmp_path)
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with raises(InvalidFile):
        read_video(path)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_a_video_that_is_cut_short_is_refused(
    tmp_path: Path, format: VideoFormat, part: float
) -> None:
    path = written(tmp_path, video(24, 96, 64), format)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])

    with raises(InvalidFile):
        read_video(path)


def test_a_file_that_names_others_opens_none(tmp_path: Path) -> None:
    written(tmp_path, video(1), "mp4")
    lists = {
        "concat.mp4": b"ffconcat version 1.0\nfile video.mp4\n",
        "list.m3u8": b"#EXTM3U\n#EXTINF:1,\nvideo.mp4\n#EXT-X-ENDLIST\n",
        "remote.sdp": b"v=0\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    }
    for name, content in lists.items():
        path = tmp_path / name
        path.write_bytes(content)
        with raises(InvalidFile):
            read_video(path)
        with raises(InvalidFile), open_video(BytesIO(content)):
            pass


def claiming(content: bytes, width: int, height: int) -> bytes:
    """An MP4 of 48 x 32 pixels that says it has others, in both places."""
    entry = content.index(b"avc1", content.index(b"stsd")) + 28
    assert content[entry : entry + 4] == struct.pack(">HH", 48, 32)
    header = content.index(b"tkhd") + 80
    sizes = struct.pack(">HH", width, height)
    changed = content[:entry] + sizes + content[entry + 4 :]
    whole = struct.pack(">II", width << 16, height << 16)
    return changed[:header] + whole + changed[header + 8 :]


def test_a_small_file_that_claims_huge_frames_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, video(1, 320, 160), "mp4")
    with raises(InvalidFile, given="320 x 160 pixels"):
        video_facts(path, max_pixels=320 * 160 - 1)
    path = written(tmp_path, video(1, 320, 160), "mkv")
    with raises(InvalidFile):
        video_facts(path, max_pixels=320 * 160 - 1)
    assert video_facts(path, max_pixels=320 * 160).height == 160
    path.write_bytes(claiming(encode_video(video(2), "mp4"), 65_000, 65_000))
    with suppress(InvalidFile):
        # The stream itself knows better than its container.
        assert read_video(path).frames.shape == (2, 32, 48, 3)


def test_more_frames_than_there_is_memory_for_are_refused_while_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = written(tmp_path, video(12)), []
    monkeypatch.setattr(room, "total_memory", lambda: 15 * 48 * 32 * 5)

    with raises(ImageTooLarge, port="count", given="48 x 32 pixels, 5 of them: about 115 kB"):
        read_video(path, on_progress=done.append)

    assert done == [1, 2, 3, 4]
    assert len(read_video(path, count=4).frames) == 4


def test_frames_of_several_sizes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "both.mpg"
    with path.open("wb") as file:
        for side in (32, 64):
            part = BytesIO()
            with av.open(part, "w", format="mpegts") as container:
                stream = container.add_stream("mpeg2video", rate=25)
                stream.width, stream.height, stream.pix_fmt = side, 32, "yuv420p"
                for _ in range(30):
                    container.mux(stream.encode(av.VideoFrame(side, 32, "yuv420p")))
                container.mux(stream.encode(None))
            file.write(part.getvalue())
    with raises(InvalidFile):
        read_video(path)


def test_names_of_texts_are_in_small_letters(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    path.write_bytes(encode_video(video(1), "mkv", metadata={"workflow": "{}"}))
    assert video_texts(path)["workflow"] == "{}"


CONTENTS = {kind: encode_video(video(4, channels=1), kind, metadata={"a": "b"}) for kind in FORMATS}


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FORMATS), st.lists(st.tuples(st.integers(0), st.binary(min_size=1))))
def test_damaged_files_raise_errors_of_ours_only(
    tmp_path_factory: pytest.TempPathFactory,
    kind: VideoFormat,
    damages: list[tuple[int, bytes]],
) -> None:
    content = bytearray(CONTENTS[kind])
    for place, damage in damages:
        start = place % len(content)
        content[start : start + len(damage)] = damage
    path = tmp_path_factory.mktemp("fuzz") / f"video.{kind}"
    path.write_bytes(bytes(content))

    for read in (video_facts, video_texts, read_video):
        with suppress(InvalidFile, InvalidValue):
            read(path)
