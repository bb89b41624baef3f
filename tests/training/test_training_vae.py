from dataclasses import replace

import numpy as np
import pytest
import torch

from training.config import ROOT, load_config
from training.models import SCALING_FACTOR, build_vae
from training.pixels import to_pixels, to_tensor
from training.scenes import SceneMaker
from training.vae import measure_latents, normalise_latents, psnr, training_pictures

CONFIG = load_config(ROOT / "training/configs/smoke.toml")


def test_normalising_the_latents_leaves_the_reconstruction_alone():
    torch.manual_seed(0)
    vae = build_vae(CONFIG).eval().requires_grad_(False)
    images = torch.randn(8, 3, 32, 32)
    before = vae.decode(vae.encode(images).latent_dist.mean).sample
    normalise_latents(vae, measure_latents(vae, images))
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


def test_steps_train_on_pieces_round_objects_or_on_whole_scenes(font):
    config = replace(CONFIG, data=replace(CONFIG.data, resolution=64))
    maker = SceneMaker.from_config(config)
    settings = replace(config.vae, crop=32, whole=0.5)
    rng = np.random.default_rng(0)
    shapes = {training_pictures(maker, settings, 8, rng).shape for _ in range(20)}
    assert shapes == {(8, 32, 32, 3), (2, 64, 64, 3)}


def test_pieces_show_more_of_the_objects_than_scenes_do(font):
    config = replace(CONFIG, data=replace(CONFIG.data, resolution=64, mix=(0, 1, 0, 0)))
    maker = SceneMaker.from_config(config)
    rng = np.random.default_rng(0)
    pieces = training_pictures(maker, replace(config.vae, crop=32, whole=0.0), 64, rng)
    scenes, _ = maker.batch(64, rng)
    assert np.mean([p.std() for p in pieces]) > 1.15 * np.mean([p.std() for p in scenes])
