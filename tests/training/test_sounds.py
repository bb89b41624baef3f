"""Sounds by formula, the pool of them, the judges that need no training, and the card."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nodegraph.core.values import Audio
from nodegraph.families.sounds import FEATURES, TOKENS
from nodegraph.media.audio.metrics import median_pitch
from nodegraph.media.audio.sound_kinds import SOUND_KINDS
from training.items.sounds.card import card
from training.items.sounds.judges import KindJudge, PitchJudge, lengths_of, looks_of
from training.items.sounds.kinds import FORMULAS, NAMES, PEAK, drawn, sound
from training.items.sounds.pool import asked_sounds, drawing, rendered, stored_sounds
from training.items.sounds.train import build_model
from training.items.sounds.waves import RATE


def made(kind: str, hertz: float, seconds: float = 0.6, seed: int = 0) -> np.ndarray:
    return sound(kind, hertz, seconds, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", NAMES)
def test_every_kind_is_as_loud_and_as_long_as_asked(kind: str) -> None:
    rng = np.random.default_rng(1)
    hertz, seconds = drawn(kind, rng)
    wave = sound(kind, hertz, seconds, rng)

    assert np.abs(wave).max() == pytest.approx(PEAK)
    assert np.abs(wave[round(seconds * RATE) + 1 :]).max(initial=0) < 1e-6
    assert np.array_equal(made(kind, hertz), made(kind, hertz))


@pytest.mark.parametrize(
    "kind", ["plucked string", "harp", "flute", "violin", "clarinet", "piano", "marimba"]
)
def test_tones_have_the_pitch_that_was_asked_for(kind: str) -> None:
    found = median_pitch(Audio(torch.from_numpy(made(kind, 440))[None], RATE))

    assert found is not None
    assert 1200 * abs(np.log2(found / 440)) < 15


def test_kinds_are_those_that_the_node_offers() -> None:
    assert list(FORMULAS) == list(SOUND_KINDS)


def test_a_pool_is_made_once_and_drawn_from(tmp_path: Path) -> None:
    mels, sounds = stored_sounds(40, 5, tmp_path)
    again, _ = stored_sounds(40, 5, tmp_path)
    batch = drawing(mels, sounds)(6, np.random.default_rng(0))

    assert torch.equal(mels, again)
    assert batch.items.shape == (6, TOKENS, FEATURES)
    assert batch.numbers[:, 0].min() > 5
    assert 0.2 < float(mels.float().std()) < 2


def test_the_judge_of_pitch_hears_pitches_and_lengths_are_heard() -> None:
    asked = asked_sounds(20, np.random.default_rng(3))
    waves = rendered(asked, np.random.default_rng(4))
    heard = PitchJudge(cents=200, lengths=2)(waves, asked.kinds)

    cents = 1200 * (heard - asked.pitches.log2()).abs()
    assert float(cents.median()) < 75
    assert float((lengths_of(waves) - asked.seconds).abs().median()) < 0.02


def test_the_judge_of_kinds_takes_sounds_of_any_loudness() -> None:
    waves = torch.from_numpy(np.stack([made("harp", 300), made("drum", 100)])).float()

    assert torch.allclose(looks_of(waves), looks_of(waves * 0.1), atol=1e-4)
    assert KindJudge().eval()(looks_of(waves)).shape == (2, 20)


def test_the_model_fits_in_four_megabytes() -> None:
    assert 2 * sum(weight.numel() for weight in build_model().parameters()) < 4e6


def test_the_card_says_whether_the_aim_is_met() -> None:
    row = {"kind_right": 0.96, "pitch_cents": 30.0, "pitch_within_50_cents": 0.8}
    row |= {"length_error_ms": 9.0, "log_spectral_distance_db": 5.0}
    row |= {"mel_cepstral_distortion_db": 4.0, "loudness_difference_lu": 1.0}
    run = {"parameters": 2e6, "bytes": 4e6, "steps": 10, "planned": 20, "batch": 64, "pool": 99}
    figures = {"sounds": 400, "steps": 20, "renders": row, "there_and_back": row}
    figures |= {"best_scale": 2.0, "model": {"2.0": row | {"cpu_ms": 50}}}
    figures |= {"kinds": {"bell": row}, "open": {"kind_right": 0.9}}
    told = {"run": run | {"seconds": 3600, "loss": 0.1}, "figures": figures}

    assert "It meets its aim" in card(told)
    row["pitch_cents"] = 50.0
    figures["model"]["2.0"]["pitch_cents"] = 50.0
    assert "It doesn't meet its aim" in card(told)
