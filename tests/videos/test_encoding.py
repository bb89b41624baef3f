"""What is written comes back: frames, rate, audio and texts; the same bytes each time."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodegraph import Audio, Video
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.videos.clips import read_video
from nodegraph.media.videos.encoding import VideoFormat, encode_video
from nodegraph.media.videos.video_files import video_facts, video_texts
from tests.messages import raises
from tests.properties import examples
from tests.videos.making import FORMATS, moving, tone, video, written


@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_a_video_comes_back_as_its_codec_keeps_it(tmp_path: Path, format: VideoFormat) -> None:
    made = video(frames=12, channels=2)

    found = read_video(written(tmp_path, made, format, quality=95))

    assert found.frames.shape == made.frames.shape
    assert found.frames.dtype == torch.float32
    assert found.rate == made.rate
    assert 0 <= found.frames.min() <= found.frames.max() <= 1
    # Color differences are kept for each fourth pixel, in steps of 1 / 224.
    assert (found.frames - made.frames).abs().mean() < 0.012
    assert found.audio is not None
    assert made.audio is not None
    assert found.audio.waveform.shape == made.audio.waveform.shape
    assert (found.audio.waveform - made.audio.waveform).abs().mean() < 0.02


def test_colors_are_those_of_high_definition_however_small(tmp_path: Path) -> None:
    colors = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0] * 3, [0.0] * 3, [0.5, 0.2, 0.8]]
    for color, kind in product(colors, FORMATS):
        made = Video(torch.tensor(color).expand(2, 16, 16, 3), Fraction(8))
        found = read_video(written(tmp_path, made, kind, quality=100)).frames
        torch.testing.assert_close(found, made.frames, rtol=0, atol=0.02)


@settings(max_examples=examples(25))
@given(
    st.integers(1, 6),
    st.integers(1, 40),
    st.integers(1, 40),
    st.fractions(min_value=Fraction(1, 4), max_value=240, max_denominator=1001),
    st.none() | st.tuples(st.sampled_from([1, 2, 6, 8]), st.sampled_from([8000, 44100, 48000])),
)
@example(3, 16, 16, Fraction(249, 100), None)  # the container guesses 5/2
@example(1, 1, 1, Fraction(43679, 364), None)  # FFmpeg reads it as 29999/250
@example(2, 1, 1, Fraction(116933, 713), None)  # and this as 164
def test_a_lossless_video_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    frames: int,
    width: int,
    height: int,
    rate: Fraction,
    heard: tuple[int, int] | None,
) -> None:
    audio = None
    if heard is not None and round(frames / rate * heard[1]) > 0:
        audio = Audio(torch.rand(heard[0], round(frames / rate * heard[1])) * 2 - 1, heard[1])
    levels = torch.randint(0, 256, (frames, height, width, 3)).float() / 255
    made = Video(levels, rate, audio)
    path = tmp_path_factory.mktemp("lossless") / "video.mkv"
    path.write_bytes(encode_video(made, "mkv"))

    found = read_video(path)

    assert torch.equal(found.frames, made.frames)
    assert found.rate == rate
    assert (found.audio is None) == (audio is None)
    if audio is not None and found.audio is not None:
        kept = found.audio.waveform.shape[1]
        assert abs(kept - audio.waveform.shape[1]) <= 1
        assert torch.equal(found.audio.waveform, audio.waveform[:, :kept])


@settings(max_examples=examples(25))
@given(
    st.sampled_from(FORMATS),
    st.integers(1, 5),
    st.sampled_from(
        ["1", "8", "12.5", "24000/1001", "24", "25", "60000/1001", "120", "24000/7007"]
    ),
)
def test_number_and_rate_of_frames_are_exact_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, format: VideoFormat, frames: int, rate: str
) -> None:
    made = video(frames, 16, 16, Fraction(rate))
    path = written(tmp_path_factory.mktemp("rates"), made, format)

    found, facts = read_video(path), video_facts(path)

    assert (len(found.frames), found.rate) == (frames, made.rate)
    assert (facts.frames, facts.rate, facts.has_audio) == (frames, made.rate, False)


@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_odd_sides_get_one_more_line(tmp_path: Path, format: VideoFormat) -> None:
    made = video(2, 17, 15)

    found = read_video(written(tmp_path, made, format, quality=95)).frames

    assert found.shape == (2, 16, 18, 3)
    torch.testing.assert_close(found[:, :15, :17], made.frames, rtol=0, atol=0.2)
    torch.testing.assert_close(found[:, 15], found[:, 14], rtol=0, atol=0.2)


@pytest.mark.parametrize("format", FORMATS)
def test_equal_videos_are_equal_bytes_with_their_texts(tmp_path: Path, format: VideoFormat) -> None:
    made = video(25, 96, 64, channels=1)
    texts = {"workflow": json.dumps({"prompt": "Fuchs 狐 🦊 " * 5000}), "nodegraph": "0.1.0"}

    data = encode_video(made, format, metadata=texts)

    assert all(data == encode_video(made, format, metadata=texts) for _ in range(2))
    path = tmp_path / "video"
    path.write_bytes(data)
    found = video_texts(path)
    assert {name: found[name] for name in texts} == texts


def test_a_player_needs_only_the_beginning_of_an_mp4() -> None:
    data = encode_video(video(), "mp4")
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_more_quality_takes_more_bytes() -> None:
    noise = Video(torch.rand(3, 64, 64, 3), Fraction(8))
    for kind in FORMATS[:2]:
        sizes = [len(encode_video(noise, kind, quality)) for quality in (1, 50, 100)]
        assert sizes == sorted(sizes)
        assert len(set(sizes)) == 3


def test_a_rate_that_a_codec_does_not_take_is_changed_and_the_length_kept(tmp_path: Path) -> None:
    made = Video(moving(4), Fraction(8), tone(Fraction(1, 2), rate=16000, channels=2))

    found = read_video(written(tmp_path, made, "webm")).audio

    assert found is not None
    assert (found.rate, found.waveform.shape) == (48000, (2, 24000))


@pytest.mark.parametrize(
    ("made", "options"),
    [
        (Video(torch.zeros(0, 8, 8, 3), Fraction(8)), {}),
        (Video(torch.zeros(1, 8, 8, 4), Fraction(8)), {}),
        (Video(torch.zeros(1, 1, 20_000, 3), Fraction(8)), {}),
        (Video(moving(1), Fraction(0)), {}),
        (Video(moving(1), Fraction(1, 2**40)), {}),
        (Video(moving(1), Fraction(8), Audio(torch.zeros(5, 9), 8000)), {}),
        (video(1), {"format": "mov"}),
        (video(1), {"quality": 0}),
    ],
)
def test_what_cannot_be_written_is_refused(made: Video, options: dict[str, Any]) -> None:
    with raises(InvalidValue):
        encode_video(made, **options)


def test_numbers_that_are_none_are_told() -> None:
    frames = moving(3)
    frames[1, 0, 0, 0] = float("nan")
    with raises(NumericalError, port="video"):
        encode_video(Video(frames, Fraction(8)), "mkv")
    audio = Audio(torch.full((1, 9), float("inf")), 8000)
    with raises(NumericalError, port="video"):
        encode_video(Video(moving(1), Fraction(8), audio), "mkv")


def test_writing_stops_when_it_is_told_to() -> None:
    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_video(video(5, channels=1), "mp4", on_progress=stop)
