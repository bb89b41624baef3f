"""The GAN and the VAE of the history, for a few steps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.history import gan, vae


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    latents = np.random.default_rng(0).standard_normal((16, 8, 16, 16)).astype(np.float16)
    np.save(tmp_path / "latents.npy", latents)
    return tmp_path


def test_a_contest_that_was_stopped_goes_on_as_it_would(folder: Path) -> None:
    contest = gan.Contest(folder)
    contest.advance(1.0)
    contest.save()
    again = gan.Contest(folder)
    assert again.step == 1
    assert again.advance(0.5) == contest.advance(0.5)
    again.save()
    assert gan.learned(folder) == 2 * gan.BATCH
    made = gan.decoder(folder)(torch.zeros(2, 64))
    assert made.shape == (2, 8, 16, 16)
    torch.testing.assert_close(made, contest.average(torch.zeros(2, 64)))


def test_a_vae_learns_and_its_decoder_is_kept(folder: Path) -> None:
    made = vae.train(folder, 2 * vae.FIT.batch)(torch.zeros(2, 64))
    assert vae.learned(folder) == 2 * vae.FIT.batch
    assert made.shape == (2, 8, 16, 16)
    assert made.isfinite().all()
