"""The forward process is diffusers' to the bit; noise depends on an item's own seed alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
)
from hypothesis import example, given
from hypothesis import strategies as st

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.noise import NoiseSchedule, draw_noise, item_generators
from nodegraph.sampling.latent_noise import add_noise
from tests.messages import raises

SD1 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CONFIGS: dict[str, dict[str, Any]] = {
    "sd1": SD1,
    "defaults": {},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "few": {"num_train_timesteps": 100, "beta_schedule": "linear"},
    "trained": {"trained_betas": [0.001, 0.01, 0.1, 0.2]},
    "zero_snr": {**SD1, "rescale_betas_zero_snr": True},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_tables_are_those_of_diffusers(config: dict[str, Any]) -> None:
    schedule = NoiseSchedule.from_config(config)
    ddim = DDIMScheduler.from_config(config)
    assert torch.equal(schedule.betas, ddim.betas)
    assert torch.equal(schedule.alphas_cumprod, ddim.alphas_cumprod)
    euler = EulerDiscreteScheduler.from_config(config)
    assert torch.equal(schedule.sigmas, euler.sigmas[:-1].flip(0))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_exponential_table_is_that_of_diffusers() -> None:
    """Which one of its schedulers has alone."""
    config = {"beta_schedule": "exp", "num_train_timesteps": 1024}
    schedule, heun = NoiseSchedule.from_config(config), HeunDiscreteScheduler.from_config(config)
    assert torch.equal(schedule.betas, heun.betas)
    assert torch.equal(schedule.alphas_cumprod, heun.alphas_cumprod)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prediction_type", "flow_prediction"),
        ("beta_schedule", "sigmoid"),
        ("timestep_spacing", "trailling"),
        ("thresholding", True),
        ("timestep_type", "continuous"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(InvalidFile, match=key):
        NoiseSchedule.from_config({key: value})


def test_timesteps_and_sigmas_invert_each_other_at_whole_timesteps() -> None:
    schedule = NoiseSchedule.from_config(SD1)
    every = np.arange(schedule.timesteps)
    back = schedule.sigma_to_timestep(schedule.timestep_to_sigma(every))
    np.testing.assert_allclose(back, every, atol=1e-4)  # log sigmas are float32


def test_sigma_to_timestep_is_that_of_diffusers() -> None:
    schedule = NoiseSchedule.from_config(SD1)
    table = np.log(schedule.sigmas.numpy())
    sigmas = np.geomspace(0.001, 100, 50)
    euler = EulerDiscreteScheduler.from_config(SD1)
    expected = [euler._sigma_to_t(sigma, table) for sigma in sigmas]
    np.testing.assert_array_equal(schedule.sigma_to_timestep(sigmas), expected)


def test_timesteps_of_zero_terminal_snr_are_those_of_diffusers() -> None:
    """The table's last level is a floor that is below the two before it."""
    config = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    schedule = NoiseSchedule.from_config(config)
    assert schedule.sigmas[-1] < schedule.sigmas[-2]
    table = np.log(schedule.sigmas.numpy())
    sigmas = np.concatenate([schedule.sigmas[-4:].numpy(), np.geomspace(0.001, 1e5, 50)])
    euler = EulerDiscreteScheduler.from_config(config)
    expected = [euler._sigma_to_t(sigma, table) for sigma in sigmas]
    np.testing.assert_array_equal(schedule.sigma_to_timestep(sigmas), expected)


def test_timesteps_of_levels_that_are_alike_are_numbers() -> None:
    schedule = NoiseSchedule.from_config({"trained_betas": [0.1, 0.0, 0.0, 0.2, 0.0]})
    found = schedule.sigma_to_timestep(schedule.sigmas.numpy()).tolist()
    assert found == pytest.approx([2, 2, 2, 3, 3], abs=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        {"trained_betas": [0.0, 0.1, 0.2]},
        {"trained_betas": [0.1, 1.0, 0.2]},
        {"trained_betas": [0.1, -0.1, 0.2]},
        {"trained_betas": [0.1, "0.2"]},
        {"trained_betas": [0.1]},
        {"trained_betas": "linear"},
        {"trained_betas": [1e-12, 0.1]},
        {"beta_start": 1e-12},
    ],
    ids=str,
)
def test_variances_that_give_no_noise_levels_are_refused(config: dict[str, Any]) -> None:
    with raises(InvalidFile, port="model"):
        NoiseSchedule.from_config(config)


def test_sigmas_beyond_the_table_are_held_at_its_ends() -> None:
    schedule = NoiseSchedule.from_config(SD1)
    assert schedule.sigma_to_timestep(np.array([0.0, 1e6])).tolist() == [0.0, 999.0]


def test_seeds_count_modulo_two_to_the_32nd() -> None:
    """As docs/samplers.md says: torch takes no more of them."""
    assert torch.equal(draw_noise((4, 2, 2), 5, [0]), draw_noise((4, 2, 2), 5 + 2**32, [0]))
    assert not torch.equal(draw_noise((4, 2, 2), 5, [0]), draw_noise((4, 2, 2), 5 + 2**31, [0]))


@given(seed=st.integers(0, 2**64 - 1), item=st.integers(0, 7))
@example(2**64 - 3, 5)
def test_an_item_of_a_batch_is_what_its_seed_alone_gives(seed: int, item: int) -> None:
    batch = draw_noise((4, 4, 4), seed, range(8))
    assert torch.equal(batch[item : item + 1], draw_noise((4, 4, 4), (seed + item) % 2**64, [0]))


def test_noise_is_float32_and_follows_the_batch_index() -> None:
    noise = draw_noise((4, 8, 8), 5, [3, 1])
    assert noise.dtype == torch.float32
    assert noise.shape == (2, 4, 8, 8)
    assert torch.equal(noise[1:], draw_noise((4, 8, 8), 6, [0]))


def test_generators_go_on_where_the_initial_noise_ended() -> None:
    generator = item_generators(3, [0])[0]
    same = torch.Generator().manual_seed(3)
    for _ in range(2):
        drawn = torch.randn(1, 4, 8, 8, generator=generator)
        assert torch.equal(drawn, torch.randn(1, 4, 8, 8, generator=same))


@pytest.mark.parametrize("timestep", [0, 1, 500, 999])
def test_adding_noise_is_diffusers_forward_process(timestep: int) -> None:
    latent = Latent(torch.randn(2, 4, 8, 8), 64, 64, 2)
    noisy = add_noise(latent, NoiseSchedule.from_config(SD1), seed=4, timestep=timestep)
    ddpm = DDPMScheduler.from_config(SD1)
    noise = draw_noise((4, 8, 8), 4, [0, 1])
    expected = ddpm.add_noise(latent.samples, noise, torch.tensor([timestep] * 2))
    assert torch.equal(noisy.samples, expected)


def test_a_sigma_does_what_its_timestep_does() -> None:
    latent, schedule = Latent(torch.randn(1, 4, 8, 8), 64, 64), NoiseSchedule.from_config(SD1)
    by_timestep = add_noise(latent, schedule, seed=0, timestep=300)
    by_sigma = add_noise(latent, schedule, seed=0, sigma=float(schedule.sigmas[300]))
    torch.testing.assert_close(by_sigma.samples, by_timestep.samples)
    assert torch.equal(add_noise(latent, schedule, seed=0, sigma=0).samples, latent.samples)


def test_a_timestep_between_two_gives_a_noise_level_between_theirs() -> None:
    latent, schedule = Latent(torch.zeros(1, 4, 64, 64), 512, 512), NoiseSchedule.from_config(SD1)
    low, middle, high = (
        float(add_noise(latent, schedule, seed=0, timestep=t).samples.std())
        for t in (300, 300.5, 301)
    )
    assert low < middle < high


def test_adding_noise_checks_its_inputs() -> None:
    schedule = NoiseSchedule.from_config(SD1)
    with raises(InvalidValue, port="latent"):
        add_noise(Latent(None, 64, 64), schedule, seed=0, timestep=1)
    latent = Latent(torch.zeros(1, 4, 8, 8), 64, 64)
    with raises(InvalidValue, port="timestep", given="1000"):
        add_noise(latent, schedule, seed=0, timestep=1000)
    with raises(InvalidValue, port="sigma", given="nan"):
        add_noise(latent, schedule, seed=0, sigma=float("nan"))
    with raises(ValueError):
        add_noise(latent, schedule, seed=0)
