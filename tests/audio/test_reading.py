"""Parts of audio files; what is damaged, no audio, or too much."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.audio import codec as reading
from nodegraph.media.audio.audio_files import audio_facts, audio_texts, is_audio_header
from nodegraph.media.audio.codec import read_audio
from tests.audio.making import FORMATS, noise, tone, written
from tests.messages import raises
from tests.videos.making import video
from tests.videos.making import written as written_video


@pytest.mark.parametrize(
    ("start", "seconds", "part"),
    [
        (0, 0, slice(None)),
        (0.5, 0, slice(22050, None)),
        (0.25, 0.5, slice(11025, 33075)),
        (0.9, 5, slice(39690, None)),
    ],
)
def test_a_part_is_read(tmp_path: Path, start: float, seconds: float, part: slice) -> None:
    made = noise(44100)
    path = written(tmp_path, made, "wav")

    found = read_audio(path, start=start, seconds=seconds)

    assert torch.equal(found.waveform, made.waveform[:, part])


def test_whole_numbers_are_parts_of_the_largest(tmp_path: Path) -> None:
    samples = [0, 2**14, -(2**15), 2**15 - 1]
    data = struct.pack("<4h", *samples)
    form = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    path = tmp_path / "a.wav"
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + form
        + b"data" + struct.pack("<I", len(data)) + data
    )  # fmt: skip

    assert read_audio(path).waveform.tolist() == [[0, 0.5, -1, (2**15 - 1) / 2**15]]


def test_audio_is_read_of_a_video(tmp_path: Path) -> None:
    made = video(5, channels=2)
    assert made.audio is not None

    found = read_audio(written_video(tmp_path, made, "mkv"))

    assert found.waveform.shape == made.audio.waveform.shape
    assert torch.equal(found.waveform, made.audio.waveform)


def test_a_video_without_audio_has_none(tmp_path: Path) -> None:
    path = written_video(tmp_path, video(2), "mp4")
    with raises(InvalidFile):
        read_audio(path)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_begins_like_audio(tmp_path: Path, format: str) -> None:
    path = written(tmp_path, tone(), format)  # type: ignore[arg-type]
    assert is_audio_header(path.read_bytes()[:12])


@pytest.mark.parametrize("format", ["wav", "flac"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_a_file_that_is_cut_short_is_told(tmp_path: Path, format: str, part: float) -> None:
    path = written(tmp_path, noise(44100), format)  # type: ignore[arg-type]
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])

    with raises(InvalidFile):
        read_audio(path)


@pytest.mark.parametrize("rate", [0, 5_000_000])
def test_an_absurd_rate_is_refused(tmp_path: Path, rate: int) -> None:
    path = written(tmp_path, noise(1000), "wav")
    data = bytearray(path.read_bytes())
    at = data.index(b"fmt ") + 12
    data[at : at + 4] = struct.pack("<I", rate)
    path.write_bytes(data)

    with pytest.raises(InvalidFile):
        audio_facts(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"just words, and more of them",
        b"RIFF\x04\0\0\0WAVE",
        b"fLaC" + bytes(60),
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_what_is_no_audio_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audio.flac"
    path.write_bytes(content)
    with raises(InvalidFile):
        read_audio(path)


def test_a_missing_file_is_told_with_one_like_it(tmp_path: Path) -> None:
    written(tmp_path, tone())
    with raises(InvalidFile):
        read_audio(tmp_path / "audoi.flac")


def test_a_beginning_behind_the_end_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, tone(0.5))
    with raises(InvalidValue, port="start", given="3 s"):
        read_audio(path, start=3)


def test_more_than_there_is_memory_for_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, noise(44100))
    monkeypatch.setattr(reading, "total_memory", lambda: 400_000)

    with raises(InvalidValue, port="seconds", given="1 s of 2 channels: about 369 kB"):
        read_audio(path)
    assert read_audio(path, seconds=0.1).seconds == Fraction(1, 10)


@pytest.mark.parametrize("comment", ["just words", "[1]", '{"workflow": 3}', "{"])
def test_foreign_comments_are_texts(tmp_path: Path, comment: str) -> None:
    import av

    path = tmp_path / "a.wav"
    with av.open(path, "w", format="wav") as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=8)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    found = audio_texts(path)

    assert found["comment"] == comment
    assert "workflow" not in found
