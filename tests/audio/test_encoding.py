"""What is written comes back: samples, rate, channels and texts; the same bytes each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Audio
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.audio.audio_files import audio_facts, audio_texts
from nodegraph.media.audio.codec import LAYOUTS, AudioFormat, encode_audio, read_audio
from tests.audio.making import FORMATS, noise, tone, written
from tests.messages import raises


@pytest.mark.parametrize("channels", LAYOUTS)
@pytest.mark.parametrize("rate", [8000, 44100, 192_000])
def test_a_wav_holds_every_bit(tmp_path: Path, channels: int, rate: int) -> None:
    made = noise(3001, channels, rate)
    made = Audio(made.waveform * 3, rate)  # louder than 1, too

    path = written(tmp_path, made, "wav")

    assert torch.equal(read_audio(path).waveform, made.waveform)
    facts = audio_facts(path)
    assert (facts.channels, facts.rate, facts.samples) == (channels, rate, 3001)


@pytest.mark.parametrize("channels", LAYOUTS)
def test_a_flac_holds_24_bits(tmp_path: Path, channels: int) -> None:
    made = noise(70_001, channels)
    rounded = (made.waveform.double() * 2**23).round().clamp(max=2**23 - 1) / 2**23

    path = written(tmp_path, made, "flac")

    found = read_audio(path)
    assert found.rate == made.rate
    assert torch.equal(found.waveform.double(), rounded)
    # What was read is written to the same bytes.
    assert encode_audio(found, "flac") == path.read_bytes()
    assert audio_facts(path).samples == 70_001


@pytest.mark.parametrize("rate", [48000, 24000, 44100])
def test_an_ogg_is_about_the_same(tmp_path: Path, rate: int) -> None:
    made = tone(0.5, rate, channels=2)

    path = written(tmp_path, made, "ogg")

    found = read_audio(path)
    assert found.rate == 48000  # in which Opus is heard
    assert abs(float(found.seconds - made.seconds)) < 0.01
    assert (found.waveform.std(1) - made.waveform.std(1)).abs().max() < 0.02
    assert len(path.read_bytes()) < made.waveform.numel()


@pytest.mark.parametrize("format", FORMATS)
def test_equal_audio_is_equal_bytes_with_its_texts(tmp_path: Path, format: AudioFormat) -> None:
    texts = {"workflow": json.dumps({"prompt": "Fuchs 狐 🦊 " * 5000}), "nodegraph": "0.1.0"}

    data = encode_audio(tone(channels=2), format, metadata=texts)

    assert all(data == encode_audio(tone(channels=2), format, metadata=texts) for _ in range(2))
    path = tmp_path / "audio"
    path.write_bytes(data)
    found = audio_texts(path)
    assert {name: found[name] for name in texts} == texts


def test_more_quality_takes_more_bytes() -> None:
    sizes = [len(encode_audio(noise(48_000), "ogg", quality)) for quality in (1, 50, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("format", ["flac", "ogg"])
def test_what_is_too_loud_is_cut_off(tmp_path: Path, format: AudioFormat) -> None:
    path = written(tmp_path, Audio(tone().waveform * 20, 48000), format)
    assert 0.95 < read_audio(path).waveform.max() < 1.3


@pytest.mark.parametrize(
    ("made", "options"),
    [
        (Audio(torch.zeros(2, 0), 8000), {}),
        (Audio(torch.zeros(9, 8), 8000), {}),
        (Audio(torch.zeros(1, 1, 8), 8000), {}),
        (Audio(torch.zeros(1, 8), 0), {}),
        (Audio(torch.zeros(1, 8), 700_000), {}),
        (tone(), {"format": "mp3"}),
        (tone(), {"quality": 0}),
    ],
)
def test_what_cannot_be_written_is_refused(made: Audio, options: dict[str, Any]) -> None:
    with raises(InvalidValue):
        encode_audio(made, **options)


@pytest.mark.parametrize("format", FORMATS)
def test_numbers_that_are_none_are_told(format: AudioFormat) -> None:
    made = noise()
    made.waveform[1, 2000] = float("nan")
    with raises(NumericalError, port="audio"):
        encode_audio(made, format)
