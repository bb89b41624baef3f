"""Figures of audio: loudness by its standard, pitch, brightness, and names of notes."""

from __future__ import annotations

import math

import pytest
import torch

from nodegraph import Audio, InvalidValue
from nodegraph.media.audio import metrics as measuring
from nodegraph.media.audio.metrics import (
    SILENCE_DB,
    loudness,
    measure_audio,
    median_pitch,
    spectral_centroid,
)
from nodegraph.media.audio.sound_kinds import note_name, parse_pitch
from nodegraph.media.audio.transforms import amplify
from tests.audio.making import noise, tone
from tests.messages import raises


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_full_sine_of_1_khz_is_as_loud_as_the_standard_says(rate: int) -> None:
    # BS.1770-4: 0 dBFS at 997 Hz in one channel is -3.01 LKFS
    full = amplify(tone(1.0, rate, pitch=997), decibels=20 * math.log10(2))

    assert loudness(full) == pytest.approx(-3.01, abs=0.05)


def test_silence_between_beeps_makes_them_no_softer() -> None:
    beep = tone(1.0, 16_000).waveform
    alone = Audio(beep, 16_000)
    apart = Audio(torch.cat([beep, torch.zeros_like(beep).repeat(1, 3), beep], 1), 16_000)

    assert loudness(apart) == pytest.approx(loudness(alone), abs=1)


def test_low_sounds_count_less_for_loudness() -> None:
    assert loudness(tone(1.0, pitch=40)) < loudness(tone(1.0, pitch=997)) - 5


@pytest.mark.parametrize("hertz", [55.0, 123.4, 440.0, 1864.6])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_pitch_of_a_rich_tone_is_found_to_a_few_cents(hertz: float, rate: int) -> None:
    times = torch.arange(rate) / rate
    parts = [torch.sin(2 * math.pi * hertz * k * times) / k for k in range(1, 5)]
    found = median_pitch(Audio(torch.stack(parts).sum(0)[None], rate))

    assert found is not None
    assert 1200 * abs(math.log2(found / hertz)) < 6


def test_noise_and_silence_have_no_pitch() -> None:
    assert median_pitch(noise(20_000)) is None
    assert median_pitch(Audio(torch.zeros(1, 20_000), 16_000)) is None


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_very_short_silence_is_measured_too(samples: int) -> None:
    figures = measure_audio(Audio(torch.zeros(2, samples), 16_000))

    assert (figures.peak, figures.loudness, figures.pitch) == (SILENCE_DB, SILENCE_DB, None)
    assert figures.brightness == 0
    assert "no pitch" in figures.text


def test_brightness_is_where_the_power_lies() -> None:
    assert spectral_centroid(tone(1.0, pitch=440)) == pytest.approx(440, abs=5)


@pytest.mark.parametrize(
    ("text", "hertz"),
    [("A4", 440), ("a3", 220), ("C#5", 554.37), ("Db5", 554.37), ("c-1", 8.18), ("1.2kHz", 1200)],
)
def test_pitches_are_read_as_notes_and_hertz(text: str, hertz: float) -> None:
    assert parse_pitch(text) == pytest.approx(hertz, rel=1e-3)


def test_an_empty_pitch_is_left_open_and_a_wrong_one_refused() -> None:
    assert parse_pitch(" ") is None
    for wrong in ("H4", "loud", "0 Hz", "A"):
        with raises(InvalidValue, port="pitch"):
            parse_pitch(wrong)


def test_notes_are_named_with_their_cents() -> None:
    assert note_name(440) == "A4"
    assert note_name(440 * 2 ** (112 / 1200)) == "A#4 +12"


def test_long_audio_is_filtered_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    made = noise(48_000 * 2, channels=2, rate=48_000)
    whole = loudness(made)
    monkeypatch.setattr(measuring, "_PIECE", 3)

    assert loudness(made) == pytest.approx(whole, abs=1e-6)
