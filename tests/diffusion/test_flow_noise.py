"""Flow models' noise levels and timesteps are those of diffusers' schedulers, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    FlowMatchLCMScheduler,
    MiniMaxH3Scheduler,
    UniPCMultistepScheduler,
)
from diffusers.pipelines.ideogram4.pipeline_ideogram4 import (
    _logit_normal_sigmas,
    _resolution_aware_mu,
)
from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
from diffusers.pipelines.stable_audio_3.pipeline_stable_audio_3 import logsnr_sigma_schedule
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.flow_noise import SPREADS, FlowNoise, model_noise
from nodegraph.families.flow_shift import flux2_mu, line_mu
from nodegraph.families.noise import draw_noise
from nodegraph.families.registry import get_family
from nodegraph.families.sampler_names import FLOW_SCHEDULE_NAMES, check_combination
from nodegraph.families.scheduler_file import with_shift
from nodegraph.sampling.flow_schedules import FLOW_SCHEDULES
from nodegraph.sampling.latent_noise import add_noise
from nodegraph.sampling.schedules import NoiseLevels, sigmas_for
from nodegraph.sampling.table_schedules import CONTINUOUS, CORRECTED, DISTILLED, MULTISTEP, Grid
from tests.messages import raises

# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EULER = "FlowMatchEulerDiscreteScheduler"
STEPS = [1, 2, 4, 7, 20, 28, 50]
SEVERAL = STEPS[1:]
"""One step can't be stretched to a terminal level: diffusers gives NaN there."""
TOKENS = [16, 256, 1024, 4096, 4301, 9216]
FLUX: dict[str, Any] = {
    "_class_name": EULER,
    "shift": 3.0,
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
}
QWEN = FLUX | {"max_shift": 0.9, "max_image_seq_len": 8192, "shift_terminal": 0.02}
LTX = FLUX | {"base_shift": 0.95, "max_shift": 2.05, "shift_terminal": 0.1}
LINEAR = FLUX | {"time_shift_type": "linear"}
CHROMA = {"_class_name": EULER, "shift": 1.0}
SD3 = {"_class_name": EULER, "shift": 3.0}
WAN: dict[str, Any] = {
    "_class_name": "UniPCMultistepScheduler",
    "use_flow_sigmas": True,
    "prediction_type": "flow_prediction",
    "flow_shift": 5.0,
}
SANA = WAN | {"_class_name": "DPMSolverMultistepScheduler", "flow_shift": 3.0}


def of_mochi(steps: int) -> Any:
    """The pipeline's levels, in the other direction: its scheduler walks along 1 - level."""
    gone = 1 - np.array(linear_quadratic_schedule(steps, 0.025)).astype(np.float32)
    return (1 - gone).tolist()


def of_cogview4(steps: int) -> Any:
    """As the pipeline has them in its call."""
    return np.linspace(1000, 1.0, steps).astype(np.int64).astype(np.float32) / 1000


def of_glm_image(steps: int) -> Any:
    """As the pipeline has them in its call."""
    levels = np.linspace(1000, 1.0, steps + 1)[:-1]
    return levels.astype(np.int64).astype(np.float32) / 1000


RAMPS: dict[str, Callable[[int], Any]] = {
    "ramp": lambda steps: np.linspace(1.0, 1 / steps, steps),
    "ramp32": lambda steps: torch.linspace(1.0, 1 / steps, steps).tolist(),
    "open": lambda steps: np.linspace(1.0, 0.0, steps + 1)[:-1],
    "open32": lambda steps: torch.linspace(1.0, 0.0, steps + 1)[:-1].tolist(),
    "linear_quadratic": of_mochi,
    "logsnr": lambda steps: logsnr_sigma_schedule(steps, -6.2, 2.0),
    "whole": of_cogview4,
    "open_whole": of_glm_image,
}


def test_names_and_registries_agree() -> None:
    assert tuple(FLOW_SCHEDULES) == FLOW_SCHEDULE_NAMES


def test_the_spreads_are_the_pipelines() -> None:
    assert set(SPREADS) == {"own", "logit_normal", "open_float32", "rising", "rising32", *RAMPS}


@pytest.mark.parametrize(
    ("spread", "ramp"),
    [
        ("rising", lambda steps: np.linspace(1.0, 1.0 / steps, steps)),
        ("rising32", lambda steps: torch.linspace(1.0, 1.0 / steps, steps).tolist()),
    ],
)
def test_rising_levels_are_those_of_an_inverted_scheduler(
    spread: str, ramp: Callable[[int], Any]
) -> None:
    """Such as those of MiniMax Music 3 and LongCat-AudioDiT, whose pipelines pass an even ramp."""
    noise = FlowNoise.from_config(SD3 | {"shift": 1.0}, spread=spread)
    reference = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, invert_sigmas=True)
    for steps in (*SEVERAL, 30):
        reference.set_timesteps(sigmas=ramp(steps))
        ladder = sigmas_for("normal", noise, steps, grid=CONTINUOUS, tokens=64)
        assert torch.equal(1.0 - ladder.sigmas, reference.sigmas)
        assert torch.equal(-ladder.sigmas.diff(), reference.sigmas.diff())


def test_levels_that_are_shifted_in_float32_are_minimaxs() -> None:
    """Its scheduler counts the end among the steps."""
    for shift in (1.0, 3.0, 12.0):
        config = {"_class_name": "MiniMaxH3Scheduler", "shift": shift}
        noise = FlowNoise.from_config(config, spread="open_float32")
        reference = MiniMaxH3Scheduler(shift=shift)
        for steps in SEVERAL:
            reference.set_timesteps(steps + 1)
            ladder = sigmas_for("normal", noise, steps, grid=CONTINUOUS, tokens=64)
            assert torch.equal(ladder.sigmas, reference.sigmas)


def test_logit_normal_levels_are_ideograms() -> None:
    noise = FlowNoise.from_config(CHROMA, spread="logit_normal")
    reference = FlowMatchEulerDiscreteScheduler.from_config(CHROMA)
    for width, height in ((64, 64), (1024, 1024), (2048, 1536)):
        mean = _resolution_aware_mu(height, width, 0.0)
        for steps in SEVERAL:
            reference.set_timesteps(sigmas=_logit_normal_sigmas(steps, mean, std=1.5).tolist())
            tokens = width * height // 256
            ladder = sigmas_for("normal", noise, steps, grid=CONTINUOUS, tokens=tokens)
            assert torch.equal(ladder.sigmas, reference.sigmas)
            assert torch.equal(ladder.timesteps, reference.timesteps)


@pytest.mark.parametrize("config", [FLUX, QWEN, LTX, LINEAR, CHROMA, SD3])
@pytest.mark.parametrize("spread", RAMPS)
@pytest.mark.parametrize("mu", [line_mu, flux2_mu])
def test_given_levels_are_shifted_as_by_diffusers(
    config: dict[str, Any], spread: str, mu: Any
) -> None:
    noise = FlowNoise.from_config(config, spread=spread, mu=mu)
    for reference_class in (FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler):
        reference = reference_class.from_config(config)
        for steps in SEVERAL:
            for tokens in TOKENS:
                found = mu(reference.config, tokens, steps)
                reference.set_timesteps(sigmas=RAMPS[spread](steps), mu=found)
                ladder = sigmas_for("normal", noise, steps, grid=CONTINUOUS, tokens=tokens)
                assert torch.equal(ladder.sigmas, reference.sigmas)
                assert torch.equal(ladder.timesteps, reference.timesteps)


def assert_levels(ladder: NoiseLevels, reference: Any, case: object) -> None:
    assert torch.equal(ladder.sigmas, reference.sigmas), case
    assert torch.equal(ladder.timesteps, reference.timesteps), case


@pytest.mark.parametrize("config", [FLUX, LTX, LINEAR, CHROMA, SD3])
def test_an_own_spread_is_that_of_flow_matching(config: dict[str, Any]) -> None:
    noise = FlowNoise.from_config(config, mu=line_mu)
    reference = FlowMatchEulerDiscreteScheduler.from_config(config)
    for steps in SEVERAL:
        reference.set_timesteps(steps, mu=line_mu(config, 1024, steps))
        for grid in (CONTINUOUS, DISTILLED):
            ladder = sigmas_for("normal", noise, steps, grid=grid, tokens=1024)
            assert_levels(ladder, reference, (steps, grid))


@pytest.mark.parametrize("shift", [1.0, 3.0, 6.5])
def test_heun_s_levels_are_those_of_its_scheduler(shift: float) -> None:
    config = {"_class_name": "FlowMatchHeunDiscreteScheduler", "shift": shift}
    reference = FlowMatchHeunDiscreteScheduler.from_config(config)
    for steps in STEPS:
        reference.set_timesteps(steps)
        ladder = sigmas_for("normal", FlowNoise.from_config(config), steps, grid=CONTINUOUS)
        # there each level below the highest is written twice
        assert torch.equal(ladder.sigmas, reference.sigmas.unique().flip(0)), steps
        assert torch.equal(ladder.timesteps, reference.timesteps.unique().flip(0)), steps


MULTISTEPS = {
    "unipc": (UniPCMultistepScheduler, CORRECTED),
    "dpm": (DPMSolverMultistepScheduler, MULTISTEP),
}


@pytest.mark.parametrize("name", MULTISTEPS)
@pytest.mark.parametrize("config", [WAN, SANA, WAN | {"flow_shift": 1.0}])
def test_an_own_spread_is_that_of_the_multistep_solvers(name: str, config: dict[str, Any]) -> None:
    reference_class, grid = MULTISTEPS[name]
    reference = reference_class.from_config(config)
    for steps in STEPS:
        reference.set_timesteps(steps)
        ladder = sigmas_for("normal", FlowNoise.from_config(config), steps, grid=grid)
        assert_levels(ladder, reference, steps)


@pytest.mark.parametrize("name", MULTISTEPS)
@pytest.mark.parametrize("tokens", TOKENS)
def test_the_multistep_solvers_shift_by_size(name: str, tokens: int) -> None:
    reference_class, grid = MULTISTEPS[name]
    config = WAN | {"use_dynamic_shifting": True}
    reference = reference_class.from_config(config)
    noise = FlowNoise.from_config(config, mu=line_mu)
    for steps in STEPS:
        reference.set_timesteps(steps, mu=line_mu({}, tokens, steps))
        ladder = sigmas_for("normal", noise, steps, grid=grid, tokens=tokens)
        assert_levels(ladder, reference, steps)


@pytest.mark.parametrize("spread", RAMPS)
@pytest.mark.parametrize("config", [FLUX, QWEN, SD3])
def test_unipc_takes_given_levels(spread: str, config: dict[str, Any]) -> None:
    names = {"shift": "flow_shift"}
    options = {names.get(name, name): value for name, value in config.items()}
    reference = UniPCMultistepScheduler.from_config(WAN | options)
    noise = FlowNoise.from_config(config, spread=spread, mu=line_mu)
    for steps in SEVERAL:
        reference.set_timesteps(sigmas=np.array(RAMPS[spread](steps)), mu=line_mu(config, 99, 0))
        ladder = sigmas_for("normal", noise, steps, grid=CORRECTED, tokens=99)
        assert torch.equal(ladder.sigmas, reference.sigmas)
        assert torch.equal(ladder.timesteps, reference.timesteps)


COSMOS25 = {
    **WAN,
    "flow_shift": 1.0,
    "use_karras_sigmas": True,
    "sigma_max": 200.0,
    "sigma_min": 0.01,
}


@pytest.mark.parametrize("config", [COSMOS25, COSMOS25 | {"sigma_max": 80, "flow_shift": 3.0}])
def test_unipc_spaces_ratios_of_noise_and_image_as_karras(config: dict[str, Any]) -> None:
    reference = UniPCMultistepScheduler.from_config(config)
    noise = FlowNoise.from_config(config)
    for steps in STEPS:
        reference.set_timesteps(steps)
        ladder = sigmas_for("normal", noise, steps, grid=CORRECTED, tokens=99)
        assert torch.equal(ladder.sigmas, reference.sigmas)
        assert torch.equal(ladder.timesteps, reference.timesteps)


def test_a_chosen_shift_moves_levels_that_are_spaced_as_karras() -> None:
    plain, shifted = (
        sigmas_for("normal", FlowNoise.from_config(config), 5, grid=CORRECTED, tokens=99).sigmas
        for config in (COSMOS25, with_shift(COSMOS25, 3.0))
    )
    torch.testing.assert_close(shifted, 3 * plain / (1 + 2 * plain))


@pytest.mark.parametrize("curve", ["karras", "exponential"])
@pytest.mark.parametrize("config", [FLUX, LTX, SD3])
@pytest.mark.parametrize("spread", ["own", "ramp"])
def test_karras_and_exponential_are_diffusers_own(
    curve: str, config: dict[str, Any], spread: str
) -> None:
    asked = config | {f"use_{curve}_sigmas": True}
    reference = FlowMatchEulerDiscreteScheduler.from_config(asked)
    for steps in (2, 7, 20):
        given = {"sigmas": RAMPS[spread](steps)} if spread in RAMPS else {}
        reference.set_timesteps(steps, mu=line_mu(config, 1024, steps), **given)
        for name, file in ((curve, config), ("normal", asked)):
            noise = FlowNoise.from_config(file, spread=spread, mu=line_mu)
            ladder = sigmas_for(name, noise, steps, grid=CONTINUOUS, tokens=1024)
            assert torch.equal(ladder.sigmas, reference.sigmas)
            assert torch.equal(ladder.timesteps, reference.timesteps)


def comfyui_table(shift: float) -> torch.Tensor:
    levels = torch.arange(1, 1001, dtype=torch.float64) / 1000
    return shift * levels / (1 + (shift - 1) * levels)


@pytest.mark.parametrize("steps", [1, 4, 20, 33])
def test_simple_has_comfyui_s_levels(steps: int) -> None:
    table = comfyui_table(3.0)
    expected = [table[-(1 + int(step * 1000 / steps))] for step in range(steps)]
    found = sigmas_for("simple", FlowNoise(shift=3.0), steps, grid=CONTINUOUS).sigmas[:-1]
    torch.testing.assert_close(found.double(), torch.stack(expected), rtol=1e-6, atol=0)


@pytest.mark.parametrize("steps", [1, 4, 20, 33])
def test_sgm_uniform_has_comfyui_s_levels(steps: int) -> None:
    even = torch.linspace(1, float(comfyui_table(3.0)[0]), steps + 1, dtype=torch.float64)[:-1]
    found = sigmas_for("sgm_uniform", FlowNoise(shift=3.0), steps, grid=CONTINUOUS).sigmas[:-1]
    torch.testing.assert_close(found.double(), 3 * even / (1 + 2 * even), rtol=1e-6, atol=0)


GRIDS = st.sampled_from([CONTINUOUS, MULTISTEP, CORRECTED, DISTILLED])


@given(
    name=st.sampled_from(FLOW_SCHEDULE_NAMES),
    grid=GRIDS,
    config=st.sampled_from([FLUX, QWEN, LTX, SD3, CHROMA, WAN]),
    spread=st.sampled_from(list(SPREADS)),
    steps=st.integers(1, 60),
    tokens=st.integers(1, 20_000),
)
def test_every_schedule_falls_strictly_to_zero(
    name: str, grid: Grid, config: dict[str, Any], spread: str, steps: int, tokens: int
) -> None:
    noise = FlowNoise.from_config(config, spread=spread, mu=line_mu)
    ladder = sigmas_for(name, noise, steps, grid=grid, tokens=tokens)
    assert ladder.sigmas.dtype == torch.float32
    assert ladder.sigmas.shape == (steps + 1,)
    assert ladder.timesteps.shape == (steps,)
    assert ladder.timesteps.dtype == (torch.float32 if grid.flow == "trained" else torch.int64)
    assert ladder.sigmas[-1] == 0
    # a shift of 1 may round to a hair above it
    assert ladder.sigmas[0] <= (1 + 5e-7 if grid.flow == "trained" else 1 - 5e-7)
    assert (ladder.sigmas.diff() < 0).all()


def test_a_single_step_begins_at_noise_whatever_the_terminal_level() -> None:
    for grid in (CONTINUOUS, CORRECTED):
        noise = FlowNoise.from_config(LTX, spread="ramp", mu=line_mu)
        ladder = sigmas_for("normal", noise, 1, grid=grid, tokens=64)
        assert ladder.sigmas.tolist() == pytest.approx([1, 0], abs=2e-6)


def test_a_shift_that_rounds_above_all_noise_is_taken_as_by_diffusers() -> None:
    shift = 0.5190095047523762
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 4, 4))
    found = sigmas_for("normal", FlowNoise(shift=shift, spread="ramp"), 4).sigmas
    assert found[0] > 1
    assert torch.equal(found, scheduler.sigmas)


def test_larger_latents_get_more_noise() -> None:
    noise = FlowNoise.from_config(FLUX, spread="ramp", mu=line_mu)
    small, large = (sigmas_for("normal", noise, 8, tokens=tokens).sigmas for tokens in (256, 4096))
    assert (large[1:-1] > small[1:-1]).all()


def test_denoise_walks_the_end_of_the_schedule() -> None:
    ladder = sigmas_for("normal", FlowNoise(shift=3.0), 20, 0.36, grid=CONTINUOUS)
    assert (ladder.first, ladder.steps) == (13, 7)


@pytest.mark.parametrize("name", ["leading", "trailing", "linspace"])
def test_schedules_over_a_table_are_refused(name: str) -> None:
    with raises(InvalidValue, port="schedule") as caught:
        sigmas_for(name, FlowNoise(), 5)
    assert caught.value.problem.expected == ", ".join(FLOW_SCHEDULES)
    with raises(InvalidValue, port="schedule"):
        check_combination("euler", name, "flow")


def test_lcm_follows_more_schedules_in_flow_models() -> None:
    check_combination("lcm", "karras", "flow")
    with raises(InvalidValue, port="schedule", given="karras"):
        check_combination("lcm", "karras", "discrete")


@pytest.mark.parametrize(
    "config",
    [
        SD3 | {"invert_sigmas": True},
        SD3 | {"use_beta_sigmas": True},
        SD3 | {"time_shift_type": "cubic"},
        WAN | {"use_karras_sigmas": True},
        WAN | {"use_karras_sigmas": True, "sigma_max": 0.01, "sigma_min": 200.0},
        SANA | {"use_karras_sigmas": True, "sigma_max": 200.0, "sigma_min": 0.01},
        WAN | {"prediction_type": "epsilon"},
        WAN | {"use_flow_sigmas": False},
        {"shift": 3.0},
        FLUX,
    ],
)
def test_what_would_be_sampled_wrongly_is_refused(config: dict[str, Any]) -> None:
    with raises(InvalidFile, port="model"):
        FlowNoise.from_config(config)


def test_a_scheduler_file_says_what_the_model_was_trained_on() -> None:
    family = replace(get_family("sd1"), noise="flow", spread="ramp", mu=line_mu)
    flow = model_noise(FLUX, family)
    assert isinstance(flow, FlowNoise)
    assert (flow.kind, flow.spread) == ("flow", "ramp")
    ddim = {"_class_name": "DDIMScheduler"}
    assert model_noise(ddim, get_family("sd1")).kind == "discrete"
    with raises(InvalidFile, port="model", given="DDIMScheduler"):
        model_noise(ddim, family)


@pytest.mark.parametrize("timestep", [0, 1, 500, 1000])
def test_adding_noise_is_diffusers_forward_process(timestep: int) -> None:
    latent = Latent(torch.randn(2, 16, 8, 8), 64, 64, 2)
    noisy = add_noise(latent, FlowNoise(), seed=4, timestep=timestep)
    noise = draw_noise((16, 8, 8), 4, [0, 1])
    sigma = torch.tensor(timestep / 1000)
    expected = sigma * noise + (1.0 - sigma) * latent.samples
    assert torch.equal(noisy.samples, expected)
    assert torch.equal(
        add_noise(latent, FlowNoise(), seed=4, sigma=timestep / 1000).samples, expected
    )


def test_adding_noise_checks_its_inputs() -> None:
    latent = Latent(torch.zeros(1, 16, 8, 8), 64, 64)
    with raises(InvalidValue, port="timestep", given="1001"):
        add_noise(latent, FlowNoise(), seed=0, timestep=1001)
    with raises(InvalidValue, port="sigma", given="1.5"):
        add_noise(latent, FlowNoise(), seed=0, sigma=1.5)
