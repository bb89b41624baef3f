"""A waveform's image shows where it is loud."""

from __future__ import annotations

import torch

from nodegraph import Audio
from nodegraph.media.audio.visualization import waveform_image
from tests.audio.making import noise, tone


def waves(picture: torch.Tensor) -> torch.Tensor:
    """Pixels of the wave in each column."""
    background, line = picture[0, 0, 0], picture[0, picture.shape[1] // 2, 0]
    del line
    return ((picture[0] - background).abs().sum(-1) > 0.4).sum(0)


def test_loud_parts_are_high_and_silence_is_a_line() -> None:
    waveform = torch.cat([torch.zeros(1, 1000), noise(1000, 1).waveform * 2], dim=1)

    found = waveform_image(Audio(waveform, 8000), 100, 64)

    assert found.shape == (1, 64, 100, 3)
    assert waves(found)[:49].max() <= 2
    assert waves(found)[51:].min() > 40


def test_channels_lie_below_each_other() -> None:
    waveform = torch.stack([torch.ones(500), torch.zeros(500)])
    high = (waveform_image(Audio(waveform, 8000), 10, 40)[0, :20, 5] > 0.5).any()
    low = (waveform_image(Audio(waveform, 8000), 10, 40)[0, 20:28, 5] > 0.5).any()
    assert (bool(high), bool(low)) == (True, False)


def test_any_length_is_drawn_within_its_values() -> None:
    for samples in (0, 1, 7, 100_000):
        found = waveform_image(Audio(torch.rand(1, samples), 8000), 33, 17)
        assert found.shape == (1, 17, 33, 3)
        assert 0 <= found.min() <= found.max() <= 1
    assert waveform_image(tone(channels=8), 16, 16).shape == (1, 16, 16, 3)
