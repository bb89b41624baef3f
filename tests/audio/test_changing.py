"""Parts, sequences, mixtures and other rates of audio."""

from __future__ import annotations

import pytest
import torch

from nodegraph import Audio
from nodegraph.errors import InvalidValue
from nodegraph.media.audio.transforms import amplify, concatenate, mix, resample, trim
from tests.audio.making import noise, tone
from tests.messages import raises


def audio(*samples: float, rate: int = 1000) -> Audio:
    return Audio(torch.tensor([samples]), rate)


def test_a_part_is_kept() -> None:
    found = trim(audio(1, 2, 3, 4, 5), start=0.001, seconds=0.002)
    assert found.waveform.tolist() == [[2, 3]]


def test_a_part_behind_the_end_is_told() -> None:
    with raises(InvalidValue, port="start", given="1 s"):
        trim(audio(1, 2), start=1)


def test_one_follows_the_other() -> None:
    found = concatenate([audio(1, 2), audio(3), audio(4)], gap=0.001)
    assert found.waveform.tolist() == [[1, 2, 0, 3, 0, 4]]


def test_both_are_heard_until_the_later_one_ends() -> None:
    found = mix(audio(1, 1), audio(1, 1, 1), level=0.5, start=0.001)
    assert found.waveform.tolist() == [[1, 1.5, 0.5, 0.5]]


def test_one_channel_goes_on_all() -> None:
    both = Audio(torch.tensor([[1.0], [2.0]]), 1000)
    assert mix(audio(1), both).waveform.tolist() == [[2], [3]]


@pytest.mark.parametrize(
    "others",
    [
        [],
        [noise(rate=8000), noise(rate=16000)],
        [noise(channels=2), noise(channels=3)],
    ],
)
def test_what_does_not_go_together_is_told(others: list[Audio]) -> None:
    with raises(InvalidValue):
        concatenate(others)


def test_audio_is_made_louder() -> None:
    assert amplify(audio(0.5, -0.25), normalize=True).waveform.tolist() == [[1, -0.5]]
    louder = amplify(audio(0.25), decibels=20).waveform
    torch.testing.assert_close(louder, torch.tensor([[2.5]]))
    assert amplify(audio(0, 0), normalize=True).waveform.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("old", "new"),
    [(44100, 48000), (48000, 16000), (8000, 48000), (44100, 44101), (48000, 8001)],
)
def test_a_tone_keeps_its_pitch_and_length_at_another_rate(old: int, new: int) -> None:
    found = resample(tone(0.3, old, channels=2), new)

    wanted = tone(0.3, new, channels=2)
    assert found.rate == new
    assert abs(found.waveform.shape[1] - wanted.waveform.shape[1]) <= 1
    # But for the edges, where a tone begins at once; -60 dB.
    inner = slice(new // 20, -new // 20)
    length = min(found.waveform.shape[1], wanted.waveform.shape[1])
    away = (found.waveform[:, :length] - wanted.waveform[:, :length])[:, inner]
    assert away.abs().max() < 1e-3


def test_what_is_too_high_for_a_rate_is_left_out() -> None:
    found = resample(tone(0.3, 48000, pitch=9000), 16000)
    assert found.waveform[:, 800:-800].abs().max() < 1e-3


def test_constant_stays_constant_and_the_same_rate_the_same() -> None:
    level = Audio(torch.full((1, 4000), 0.5), 44100)
    inner = resample(level, 48000).waveform[:, 100:-100]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.5))
    assert resample(level, 44100) is level


@pytest.mark.parametrize(("old", "new"), [(500, 8000), (8000, 500_000)])
def test_absurd_rates_are_told(old: int, new: int) -> None:
    with raises(InvalidValue, port="rate"):
        resample(Audio(torch.zeros(1, 8), old), new)
