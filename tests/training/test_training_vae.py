import numpy as np
import pytest
import torch

from training.config import ROOT, load_config
from training.models import SCALING_FACTOR, build_vae
from training.pixels import to_pixels, to_tensor
from training.vae import normalise_latents, psnr

CONFIG = load_config(ROOT / "training/configs/smoke.toml")


def test_normalising_the_latents_leaves_the_reconstruction_alone():
    torch.manual_seed(0)
    vae = build_vae(CONFIG).eval().requires_grad_(False)
    images = torch.randn(8, 3, 32, 32)
    before = vae.decode(vae.encode(images).latent_dist.mean).sample
    normalise_latents(vae, images)
    latents = vae.encode(images).latent_dist.mean
    assert torch.allclose(vae.decode(latents).sample, before, atol=1e-5)
    scaled = latents * SCALING_FACTOR
    assert torch.allclose(scaled.mean((0, 2, 3)), torch.zeros(4), atol=1e-4)
    assert torch.allclose(scaled.std((0, 2, 3)), torch.ones(4), atol=1e-4)


def test_pixels_survive_the_way_to_a_tensor_and_back():
    pictures = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
    assert (to_pixels(to_tensor(pictures)) == pictures).all()


def test_one_level_off_everywhere_is_48_decibels():
    flat = np.full((2, 4, 4, 3), 7, np.uint8)
    assert psnr(flat, flat + 1) == pytest.approx(48.13, abs=0.01)
