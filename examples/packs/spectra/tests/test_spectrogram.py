"""Tests of the spectrogram."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Audio
from nodegraph.packs.pack import pack_at
from nodegraph.python.testing import check_pack

Run = Callable[..., Any]
RATE = 8000


def tone(frequency: float) -> Audio:
    """A sine of one second."""
    time = torch.arange(RATE) / RATE
    return Audio(torch.sin(2 * torch.pi * frequency * time)[None], RATE)


@pytest.mark.parametrize("frequency", [500.0, 1000.0, 3000.0])
def test_a_tone_is_bright_at_its_frequency(run_node: Run, frequency: float) -> None:
    image = run_node("spectra:Spectrogram", audio=tone(frequency))
    rows = image[0, :, 5:-5, 0].mean(1)
    bins = rows.shape[0] - 1
    row = bins - int(rows.argmax())  # counted from the bottom
    assert row * (RATE / 2) / bins == pytest.approx(frequency, abs=RATE / 1024)


def test_a_chirp_rises(run_node: Run) -> None:
    chirp = run_node("spectra:Chirp", start=200.0, end=3000.0)
    image = run_node("spectra:Spectrogram", audio=chirp)[0, :, :, 0]
    rows = image.argmax(0)
    assert rows[5] > rows[image.shape[1] // 2] > rows[-5]


def test_silence_and_short_sounds_have_a_picture(run_node: Run) -> None:
    for samples in (1, 100, 5000):
        image = run_node("spectra:Spectrogram", audio=Audio(torch.zeros(2, samples), RATE))
        assert torch.isfinite(image).all()


def test_a_hop_beyond_the_window_is_refused(run_node: Run) -> None:
    with pytest.raises(Exception, match="longer than the window"):
        run_node("spectra:Spectrogram", audio=tone(500), window="256", hop=300)


def test_the_pack_keeps_to_the_rules() -> None:
    verdicts = check_pack(pack_at(Path(__file__).parents[1] / "src" / "spectra"))
    assert verdicts.is_passed, verdicts.as_dict()
