"""Distances of audio: none to itself, of pitch and loudness as they were changed."""

from __future__ import annotations

import pytest
import torch

from nodegraph import Audio, InvalidValue
from nodegraph.media.audio.mel import (
    SOUND_MEL,
    MelFormat,
    griffin_lim,
    log_mel_spectrogram,
    mel_filters,
)
from nodegraph.media.audio.metrics import compare_audio
from nodegraph.media.audio.transforms import amplify
from nodegraph.media.audio.visualization import mel_images, spectrogram_image
from tests.audio.making import noise, tone
from tests.messages import raises


def test_audio_is_not_apart_from_itself() -> None:
    likeness = compare_audio(tone(1.0), tone(1.0))

    assert (likeness.spectral, likeness.cepstral, likeness.cents, likeness.loudness_difference) == (
        0,
        0,
        0,
        0,
    )


def test_a_semitone_and_six_decibels_are_told() -> None:
    higher = amplify(tone(1.0, pitch=440 * 2 ** (1 / 12)), decibels=-6)
    likeness = compare_audio(tone(1.0), higher)

    assert likeness.cents == pytest.approx(100, abs=2)
    assert likeness.loudness_difference == pytest.approx(-6, abs=0.1)


def test_loudness_alone_is_no_distance_of_timbre() -> None:
    made = noise(20_000)
    likeness = compare_audio(made, amplify(made, decibels=-6))

    assert likeness.spectral == pytest.approx(6, abs=0.1)
    assert likeness.cepstral < 0.1


def test_lengths_and_channels_may_differ_but_not_rates() -> None:
    assert compare_audio(tone(0.3), tone(1.0, channels=2)).spectral > 0
    with raises(InvalidValue, port="audio", given="48000, 44100"):
        compare_audio(tone(), noise())
    with raises(InvalidValue, port="audio"):
        compare_audio(Audio(torch.zeros(1, 0), 16_000), Audio(torch.zeros(1, 0), 16_000))


def test_bands_of_mel_overlap_so_that_all_frequencies_are_in_two() -> None:
    filters = mel_filters(16_000, 1024, 40, 30.0)

    assert filters.shape == (40, 513)
    assert torch.allclose(filters.sum(0)[40:460], torch.ones(420), atol=0.3)


def test_a_tone_comes_back_from_its_spectrogram() -> None:
    made = tone(1.0, 16_000, pitch=523)
    (back,) = griffin_lim(log_mel_spectrogram(made.waveform), iterations=16)
    likeness = compare_audio(made, Audio(back[None], 16_000))

    assert back.shape == (SOUND_MEL.samples,)
    assert likeness.cents == pytest.approx(0, abs=15)
    assert likeness.loudness_difference == pytest.approx(0, abs=1)


def test_griffin_lim_is_the_same_for_a_seed_and_for_a_batch() -> None:
    mels = log_mel_spectrogram(
        torch.stack([tone(0.5, 16_000).waveform[0], noise(8000, 1).waveform[0]])
    )
    both = griffin_lim(mels, iterations=4, seed=3)

    assert torch.equal(both, griffin_lim(mels, iterations=4, seed=3))
    assert torch.equal(both[1:], griffin_lim(mels[1:], iterations=4, seed=3))
    assert not torch.allclose(both, griffin_lim(mels, iterations=4, seed=4), atol=1e-3)


def test_silence_stays_silent() -> None:
    assert griffin_lim(log_mel_spectrogram(torch.zeros(1, 10)), iterations=2).abs().max() == 0


def test_spectrograms_have_high_tones_above_low_ones() -> None:
    def row(pitch: float) -> int:
        picture = spectrogram_image(tone(0.5, pitch=pitch), 40, 60)
        assert picture.shape == (1, 60, 40, 3)
        return int(picture[0, :, 20].sum(-1).argmax())

    assert row(4000) < row(400)


@pytest.mark.parametrize("samples", [0, 1, 700])
def test_spectrograms_of_little_are_drawn_too(samples: int) -> None:
    assert spectrogram_image(noise(samples, channels=3, rate=1000), 17, 33).isfinite().all()


def test_mels_are_drawn_upright() -> None:
    form = MelFormat(16_000, 1024, 256, frames=3, bands=5)
    mels = torch.full((2, 3, 5), -3.0)
    mels[:, 1, 4] = 0
    picture = mel_images(mels, form, scale=2)

    assert picture.shape == (2, 10, 6, 3)
    assert (picture[0, 0, 2] > picture[0, 9, 2]).all()
